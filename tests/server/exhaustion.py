# SPDX-License-Identifier: BSD-2-Clause
"""All 65536 ids used up under the eyes of one client that stays (takes a while)."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Case, Client, Closed, REFUSED_IDS, VERSION, main  # noqa: E402


class Exhaustion(Case):
    def test_the_newcomer_is_refused_when_ids_run_out(self):
        server = self.server()
        witness = self.client(server, 1, keep=False)
        for expected in range(1, 65536):
            client = Client(server, 1, keep=False)
            self.assertEqual(client.id, expected)
            client.close()
            if expected % 50 == 0:
                witness.pending()
        late = self.client(server)
        self.assertEqual(late.receive(), (REFUSED_IDS, None))
        self.assertRaises(Closed, late.receive)
        self.assertEqual(server.log().count("refused"), 1)
        self.assertIn("65536 ids", server.log())
        self.assertNotIn(0, [value for value, _ in witness.pending()], "no id is used twice")
        witness.close()
        while self.client(server).receive() == (REFUSED_IDS, None):
            pass
        again = self.client(server)
        self.assertEqual(again.receive(), (VERSION, None))


if __name__ == "__main__":
    main()
