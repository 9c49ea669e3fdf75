"""How a grader lives among others: seeds, neighbours, users, and a sudden death.

    life_test.py GRADER RUBRIC SUBMISSION

Runs a lab's grader on the reference solution. Works on copies in a folder of its own that every
user can read; the grader's binary is then also what its processes are found by.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

GRADER, RUBRIC, SUBMISSION = sys.argv[1:4]
NOBODY = 65534


class Grader:
    """One running grader; its results come line by line."""

    def __init__(self, folder, *options, user=None):
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, True)
        self.process = subprocess.Popen(
            [f"{folder}/grader", f"--submission={folder}/submission.so",
             f"--rubric={folder}/rubric.json", f"--results={write_end}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False,
            # Not Bazel's: GoogleTest would keep a file there that another user may not touch.
            env={"PATH": "/usr/bin:/bin"},
            user=user, group=user, extra_groups=[] if user else None)
        os.close(write_end)
        self.results = os.fdopen(read_end, encoding="utf-8")

    def lines(self):
        with self.results:
            for line in self.results:
                yield json.loads(line)

    def run(self):
        """All lines, without what differs between two runs: times and process ids."""
        lines = list(self.lines())
        assert self.process.wait() == 0, lines
        for line in lines:
            for key in ("duration_ms", "timeline", "seed"):
                line.pop(key, None)
        return lines


def scores(lines):
    return {line["id"]: (line["status"], line["points"]) for line in lines if line["type"] == "check"}


def processes_of(binary):
    """Processes on this machine that run the very file `binary`."""
    wanted = os.stat(binary)
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            exe = os.stat(f"/proc/{pid}/exe")
        except OSError:
            continue
        if (exe.st_dev, exe.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(int(pid))
    return found


def traces(folder):
    """What a grader could have left on this machine."""
    objects = {(kind, line.split()[1]) for kind in ("msg", "sem", "shm")
               for line in Path(f"/proc/sysvipc/{kind}").read_text("ascii").splitlines()[1:]}
    files = {f"{place}/{name}" for place in ("/dev/shm", "/tmp") for name in os.listdir(place)
             if name.startswith("ipclab-")}
    mounts = {line for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()
              if folder in line}
    return objects | files | mounts


class LifeOfAGrader(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="life-")
        os.chmod(self.folder, 0o755)
        for source, name in ((GRADER, "grader"), (SUBMISSION, "submission.so"),
                             (RUBRIC, "rubric.json")):
            shutil.copy(source, f"{self.folder}/{name}")
            os.chmod(f"{self.folder}/{name}", 0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def test_the_same_seed_gives_the_same_results(self):
        self.assertEqual(Grader(self.folder, "--seed=7").run(), Grader(self.folder, "--seed=7").run())

    def test_two_graders_side_by_side_do_not_disturb_each_other(self):
        alone = scores(Grader(self.folder).run())
        pair = [Grader(self.folder), Grader(self.folder)]
        for lines in [grader.run() for grader in pair]:
            self.assertEqual(scores(lines), alone)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_an_ordinary_user_gets_the_same_results_as_root(self):
        try:
            ordinary = Grader(self.folder, "--seed=7", user=NOBODY)
        except PermissionError:
            self.skipTest("this namespace has no other user")
        self.assertEqual(ordinary.run(), Grader(self.folder, "--seed=7").run())

    def test_nothing_outlives_a_grader_that_is_killed(self):
        before = traces(self.folder)
        for start in range(1, 40, 3):
            grader = Grader(self.folder)
            started = 0
            for line in grader.lines():
                started += line["type"] == "start"
                if started == start:
                    break
            grader.process.send_signal(signal.SIGKILL)
            grader.process.wait()
            grader.results.close()
            self.wait_until_gone()
        # What a neighbour made meanwhile goes away again; a leftover of ours stays.
        deadline = time.monotonic() + 20
        while traces(self.folder) - before and time.monotonic() < deadline:
            time.sleep(0.05)  # Sets the pace only.
        self.assertEqual(traces(self.folder) - before, set())

    def wait_until_gone(self):
        """The kernel ends a box's processes a moment after the grader's end; wait for each."""
        for pid in processes_of(f"{self.folder}/grader"):
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            self.assertTrue(poll.poll(20_000), f"process {pid} outlives its grader")
            os.close(handle)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
