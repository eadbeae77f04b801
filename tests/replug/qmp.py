# SPDX-License-Identifier: BSD-2-Clause
"""A QMP client for the tests: commands, their errors, and the events that came meanwhile."""
import json
import select
import socket
import time

PATIENCE = 60


class QmpError(Exception):
    """QEMU refused a command; the text is QEMU's."""


class Qmp:
    def __init__(self, path, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:  # QEMU makes the socket a moment after its start
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.bytes, self.events = b"", []
        self._message()
        self.command("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _message(self, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while b"\n" not in self.bytes:
            if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"QMP said nothing for {seconds} s")
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("QEMU closed its QMP socket")
            self.bytes += more
        line, self.bytes = self.bytes.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        """Executes it and returns what it returns. Underscores in arguments stand for hyphens."""
        request = {"execute": name}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._message()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(answer["error"]["desc"])
            else:
                return answer["return"]

    def wait_event(self, name, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event.get("data", {})
            answer = self._message(max(0.01, end - time.monotonic()))
            if "event" in answer:
                self.events.append(answer)

    def wait_until(self, what, condition, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError(f"not after {seconds} s: {what}")
            time.sleep(0.02)

    def migrate(self, uri):
        """Starts a migration and waits for its end; QmpError with QEMU's reason if it fails."""
        self.command("migrate", uri=uri)

        def ended():
            state = self.command("query-migrate")
            if state.get("status") in ("failed", "cancelled"):
                raise QmpError(state.get("error-desc", state["status"]))
            return state if state.get("status") == "completed" else None

        return self.wait_until("the migration's end", ended)

    def job(self, name, **arguments):
        """Runs a job (snapshot-save and the like) to its end; QmpError with its reason if it fails."""
        self.command(name, job_id="job", **arguments)

        def ended():
            for job in self.command("query-jobs"):
                if job["id"] == "job" and job["status"] == "concluded":
                    return job
            return None

        job = self.wait_until(f"the end of {name}", ended)
        self.command("job-dismiss", id="job")
        if job.get("error"):
            raise QmpError(job["error"])
