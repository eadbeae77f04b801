# SPDX-License-Identifier: BSD-2-Clause
"""What the user sees: names, colour, prompts, input, logs."""
import os
import subprocess

from harness import EXIT_TIMEOUT, EXIT_TOOL, STANDIN, LaunchTest, Terminal, main


class Output(LaunchTest):
    def test_every_line_has_its_guests_name(self):
        file = self.topology("guest alpha APP -- =one x0a =two x0a\nguest b APP -- =three x0a\n")
        _, out, _ = self.run_tool("run", file, status=0)
        self.assertEqual(sorted(out.splitlines()), ["alpha | one", "alpha | two", "b     | three"])

    def test_control_bytes_are_shown_and_not_obeyed(self):
        _, out, _ = self.run_tool("run", STANDIN, "--plain", "--", "x1b", "=]2J", "x07", "x0d",
                                  "=x", "x0d", "x0a", "xff", "x0a", status=0)
        self.assertEqual(out, "a | \\x1b]2J\\x07\na | x\na | \\xff\n")

    def test_the_last_line_needs_no_newline(self):
        _, out, _ = self.run_tool("run", STANDIN, "--plain", "--", "=bye", status=0)
        self.assertEqual(out, "a | bye\n")

    def test_no_line_of_a_flood_is_torn_or_lost(self):
        names = [chr(ord("a") + i) for i in range(3)]
        process = self.start("run", STANDIN, "--plain", "-n", "3", "--", "f",
                             stderr=subprocess.DEVNULL)
        lines = [process.stdout.readline().decode() for _ in range(3000)]
        process.terminate()
        process.stdout.read()
        process.wait(60)
        for line in lines:
            self.assertIn(line, [f"{n} | a line of the flood\n" for n in names])
        self.assert_clean()

    def test_qemus_stderr_goes_to_stderr_with_its_guests_name(self):
        _, out, err = self.run_tool("run", STANDIN, "--plain", "--qemu-arg=-d",
                                    "--qemu-arg=cpu_reset", "--", "=x", "x0a", status=0)
        self.assertEqual(out, "a | x\n")
        self.assertTrue(err)
        for line in err.splitlines():
            self.assertTrue(line.startswith("a ! ") or line == "a !", line)

    def test_logs_are_raw(self):
        log = self.path("log")
        file = self.topology("region w\nguest server APP on=w -- x1b =[m x0d x0a\n"
                             "guest b APP on=w -- =b\n")
        self.run_tool("run", file, "--log", log, status=0)
        self.assertEqual(sorted(os.listdir(log)),
                         ["b.log", "b.qemu.log", "server.log", "server.qemu.log", "server.w.log"])
        with open(os.path.join(log, "server.log"), "rb") as f:
            self.assertEqual(f.read(), b"\x1b[m\r\n")
        with open(os.path.join(log, "b.log"), "rb") as f:
            self.assertEqual(f.read(), b"b")

    def test_a_log_that_cannot_be(self):
        file = self.path("file", "")
        _, _, err = self.run_tool("run", STANDIN, "--plain", "--log", file + "/x", status=EXIT_TOOL)
        self.assertIn(f"can't make the log directory {file}/x: Not a directory", err)
        _, _, err = self.run_tool("run", STANDIN, "--plain", "--log", file, status=EXIT_TOOL)
        self.assertIn(f"can't write the log {file}/a.log: Not a directory", err)


class Colour(LaunchTest):
    def shown(self, **env):
        status, text = Terminal(self, "run", STANDIN, "-n", "2", "--plain", "--", "=x", "x0a",
                                env=self.env(**env)).finish()
        self.assertEqual(status, 0, text)
        self.assert_clean()
        return text

    def test_a_terminal_gets_a_colour_per_guest(self):
        text = self.shown()
        self.assertIn("\033[36ma |\033[0m x", text)
        self.assertIn("\033[33mb |\033[0m x", text)

    def test_no_color_and_dumb_terminals_get_none(self):
        self.assertNotIn("\033", self.shown(NO_COLOR="1"))
        self.assertNotIn("\033", self.shown(TERM="dumb"))

    def test_a_pipe_gets_none(self):
        _, out, err = self.run_tool("run", STANDIN, "--plain", "--", "=x", "x0a", "e17", status=1)
        self.assertNotIn("\033", out + err)


class Input(LaunchTest):
    def test_a_lone_guest_reads_our_stdin(self):
        _, out, _ = self.run_tool("run", STANDIN, "--plain", "--", "r", "r", status=0,
                                  input=b"hello\nthere\n")
        self.assertEqual(out, "a | [hello]\na | [there]\n")

    def test_a_chosen_guest_reads_it(self):
        file = self.topology("guest a APP -- e16\nguest b APP -- r\n")
        _, out, _ = self.run_tool("run", file, "--input", "b", status=0, input=b"for b\n")
        self.assertEqual(out, "b | [for b]\n")

    def test_nobody_reads_it(self):
        self.run_tool("run", STANDIN, "--plain", "--input", "none", "--timeout", "1", "--", "r",
                      status=EXIT_TIMEOUT, input=b"x\n")

    def test_more_input_than_the_guest_takes_at_once(self):
        line = "0123456789" * 3000
        _, out, _ = self.run_tool("run", STANDIN, "--plain", "--", "r", status=0,
                                  input=line.encode() + b"\n")
        shown = out.replace("a | ", "").replace("\n", "")
        self.assertEqual(shown, f"[{line}]")

    def test_a_prompt_comes_before_its_answer(self):
        terminal = Terminal(self, "run", STANDIN, "--plain", "--", "=name:", "r",
                            env=self.env(NO_COLOR="1"))
        terminal.text += self.read_until(terminal.fd, "a | name:[")
        terminal.type("bob\n")
        status, text = terminal.finish()
        self.assertEqual(status, 0, text)
        # The terminal's own echo stands between the prompt and what the guest says of it.
        self.assertIn("bob]", text)
        self.assert_clean()


if __name__ == "__main__":
    main()
