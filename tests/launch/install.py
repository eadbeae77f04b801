# SPDX-License-Identifier: BSD-2-Clause
"""`cmake --install`: what lies there works from there, wherever that is."""
import os
import re
import subprocess

from harness import BUILD, LaunchTest, main

PEER = r"""
#include <stdio.h>
#include <isthmus/msg.h>
#include <isthmus/msg_queue.h>

int main(void)
{
	struct msg_region *region;
	struct msg_peer self;

	if (msg_attach(NULL, NULL, &region))
		return 1;
	msg_self(region, &self);
	printf("i am %s\n", self.name);
	return msg_leave(region) ? 1 : 0;
}
"""


class Install(LaunchTest):
    def run_there(self, *words, **more):
        done = subprocess.run(words, env=self.env(**more), cwd=self.dir, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_it_works_from_there(self):
        first, prefix = self.path("first"), self.path("moved")
        self.run_there("cmake", "--install", os.path.abspath(BUILD), "--prefix", first)
        os.rename(first, prefix)
        tool = os.path.join(prefix, "bin/isthmus")
        listed = self.run_there(tool, "list")
        self.assertEqual(re.findall(r"^  (\w+) ", listed, re.MULTILINE),
                         ["chat", "courier", "hello", "inspect", "pingpong", "rpc", "stream", "topics", "workers"])
        self.assertIn("a | Hello from hello", self.run_there(tool, "run", "hello.elf", "-n", "2", "--timeout", "50"))
        self.assertIn("sticky-ids", self.run_there(os.path.join(prefix, "bin/ivshmem-server"), "--help"))
        self.assertTrue(os.access(os.path.join(prefix, "lib/isthmus/apps/chat"), os.X_OK))
        self.peer(prefix)
        self.assertTrue(os.path.exists(os.path.join(prefix, "share/doc/isthmus/wire-format.md")))

    def peer(self, prefix):
        """A host peer, built from what pkg-config would say."""
        folder = os.path.join(prefix, "lib/pkgconfig")
        with open(os.path.join(folder, "isthmus.pc"), encoding="ascii") as f:
            text = f.read().replace("${pcfiledir}", folder)
        values = dict(re.findall(r"^(\w+)[=:] ?(.*)$", text, re.MULTILINE))
        flags = (values["Cflags"] + " " + values["Libs"]).replace("${prefix}", values["prefix"]).split()
        region = self.path("room")
        with open(region, "wb") as f:
            f.truncate(1 << 20)
        self.run_there("gcc", self.path("peer.c", PEER), "-o", self.path("peer"), *flags)
        self.assertEqual(self.run_there(self.path("peer"), ISTHMUS_REGION=region, ISTHMUS_NAME="me"), "i am me\n")


if __name__ == "__main__":
    main()
