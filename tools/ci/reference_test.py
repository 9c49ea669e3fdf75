"""The workflow with a lab's real grader, on its reference solution and on one with a mistake.

    reference_test.py LAB PROGRAM GRADER SOLUTION PATCH FILE...
"""

import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import testing

LAB, PROGRAM, GRADER, SOLUTION, PATCH, *FILES = sys.argv[1:]


class Reference(unittest.TestCase):
    def setUp(self):
        self.folder = testing.scratch(self)
        self.upstream = testing.Repository(self.folder / "upstream")
        testing.copy_files(self.upstream, FILES)
        self.upstream.commit()
        self.student = testing.Repository(self.folder / "student", self.upstream)
        self.runner = testing.Runner(self.folder, self.upstream, self.student, {
            "common/cli/lab": PROGRAM, f"graders/{LAB}/{LAB}_grader": GRADER})

    def grade(self, source):
        self.student.write(f"labs/{LAB}/{LAB}.cc", source)
        self.student.commit()
        return self.runner.run(labs=LAB)

    def tamper(self):
        for path in (f"graders/{LAB}/rubric.json", f"graders/{LAB}/exports.txt",
                     f"labs/{LAB}/{LAB}.h", f"solutions/{LAB}/{LAB}.cc", "lab",
                     "tools/ci/grade.sh"):
            self.student.write(path, "#error tampered\n", "100755")

    def assert_same_grade_when_tampered(self, source):
        clean = self.grade(source)
        self.tamper()
        tampered = self.grade(source)
        self.assertEqual(clean.status, 0, clean.log)
        self.assertEqual(tampered.status, 0, tampered.log)
        self.assertEqual(tampered.grade(), clean.grade())
        self.assertEqual(tampered.verdicts(), clean.verdicts())
        self.assertEqual(len((tampered.workspace / "report/ignored.txt").read_text().splitlines()),
                         6)
        return clean

    def test_the_reference_solution_has_all_points_however_the_rest_looks(self):
        run = self.assert_same_grade_when_tampered(Path(SOLUTION).read_text(encoding="utf-8"))
        self.assertEqual(run.grade(), {"graded": "true", "points": "100", "max-points": "100",
                                       "percent": "100"})

    def test_a_mistake_costs_the_same_points_however_the_rest_looks(self):
        # patch(1) refuses links, which is how Bazel shows files to a test.
        wrong = Path(shutil.copyfile(SOLUTION, self.folder / "wrong.cc"))
        subprocess.run(["/usr/bin/patch", "-s", wrong, PATCH], check=True, stdin=subprocess.DEVNULL)
        source = wrong.read_text(encoding="utf-8")
        run = self.assert_same_grade_when_tampered(source)
        caught_by = re.search(r"(?m)^Caught-by: (\S+)$", Path(PATCH).read_text(encoding="utf-8"))
        self.assertEqual(run.verdicts()[caught_by[1]][0], "failed")
        self.assertIn(caught_by[1], run.summary)
        self.assertIn("```mermaid", run.summary)
        self.assertLess(float(run.outputs["points"]), 100)
        self.assertGreater(float(run.outputs["points"]), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
