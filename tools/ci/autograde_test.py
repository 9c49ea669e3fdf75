"""The workflow as it runs: a student who changes the repository around the labs changes nothing.

    autograde_test.py LAB_PROGRAM FAKE_GRADER FILE...: files from the root of the workspace
"""

import sys
import unittest

import testing

PROGRAM, GRADER, *FILES = sys.argv[1:]
SOLVED = '#include "half.h"\nint answer() { return 42; }\n'
RUBRIC = """{"lab": "half", "exercises": [
  {"id": "half.1", "name": "one", "points": 10, "title": "Exercise", "title_zh": "练习", "checks": [
    {"id": "A.One", "points": 5, "proves": "Check A.One", "proves_zh": "检查一"},
    {"id": "A.Two", "points": 5, "proves": "Check A.Two", "proves_zh": "检查二"}]}]}"""
HALF = {"graded": "true", "points": "5", "max-points": "10", "percent": "50"}
NOT_GRADED = {"graded": "false"}


class Autograde(unittest.TestCase):
    """The lab half, whose grader always finds one of two checks passed."""

    def setUp(self):
        self.folder = testing.scratch(self)
        self.upstream = testing.Repository(self.folder / "upstream")
        testing.copy_files(self.upstream, FILES)
        for lab in ("half", "full"):
            for path, text in (
                    (f"labs/{lab}/{lab}.h", 'extern "C" int answer();\n'),
                    (f"labs/{lab}/{lab}.cc", SOLVED.replace("half", lab)),
                    (f"graders/{lab}/exports.txt", "answer\n"),
                    (f"graders/{lab}/rubric.json", RUBRIC.replace("half", lab))):
                self.upstream.write(path, text)
        self.upstream.commit()
        self.student = testing.Repository(self.folder / "student", self.upstream)
        self.runner = testing.Runner(self.folder, self.upstream, self.student, {
            "common/cli/lab": PROGRAM, "graders/half/half_grader": GRADER,
            "graders/full/full_grader": GRADER})

    def grade(self, **inputs):
        self.student.commit()
        inputs.setdefault("labs", "half")
        return self.runner.run(**inputs)

    def assert_half(self, run):
        self.assertEqual(run.status, 0, run.log)
        self.assertEqual(run.grade(), HALF)
        self.assertEqual(run.verdicts(), {"A.One": ("passed", 5), "A.Two": ("failed", 0)})
        self.assertEqual(run.result["isolation"]["mode"], "full")

    def test_grades_a_clean_repository(self):
        run = self.grade()
        self.assert_half(run)
        self.assertIn("ci: taken: half", run.log)
        self.assertIn("ci: points=5\n", run.log)
        self.assertIn("A.Two", run.summary)
        self.assertEqual(run.commands(), [])

    def test_grades_a_tampered_repository_the_same(self):
        canary = self.folder / "canary"
        script = f"#!/bin/sh\ntouch '{canary}'\necho '::set-output name=points::100'\nexit 0\n"
        changed = ["lab", "tools/ci/overlay.sh", "tools/ci/grade.sh", "tools/ci/prepare.sh",
                   "tools/ci/say.sh", "tools/dev/build.sh", "tools/dev/setup.sh"]
        added = ["bazel", "tools/bazel", "bin/git", "bin/g++", "graders/half/half_grader"]
        for path in changed + added:
            self.student.write(path, script, "100755")
        texts = {
            "graders/half/rubric.json": RUBRIC.replace("5", "500"),
            "graders/half/exports.txt": "nothing\n",
            "labs/half/half.h": "#error the student's header\n",
            "labs/half/BUILD": "genrule(name = 'evil')\n",
            "WORKSPACE": "evil\n", "MODULE.bazel": "evil\n", ".bazelversion": "0.0.1\n",
            ".bazelrc": f"build --script_path={canary}\n", "user.bazelrc": "build --evil\n",
            "Makefile": f"all:\n\ttouch {canary}\n", ".gitattributes": "* filter=evil -text\n",
            ".gitmodules": "[submodule \"x\"]\n\tpath = x\n\turl = ext::false\n",
            "tools/ci/totals.py": f"open({str(canary)!r}, 'w')\nprint('points=100')\n",
            "tools/ci/json.py": f"open({str(canary)!r}, 'w')\n",
            "labs/half/stddef.h": "#error found\n",
            ".lab/bazel-bin/common/cli/lab": script,
            ".github/workflows/grade.yml": "on: push\n",
            ".github/workflows/autograde.yml": "on: push\n",
            "odd\n::error::name": "x",
        }
        for path, text in texts.items():
            self.student.write(path, text)
        run = self.grade()
        self.assert_half(run)
        self.assertFalse(canary.exists())
        listed = (run.workspace / "report/ignored.txt").read_text().splitlines()
        wanted = sorted(set(changed + added + list(texts)) - {".github/workflows/autograde.yml"})
        names = sorted(line[2:].strip('"').replace("\\n", "\n") for line in listed)
        self.assertEqual(names, wanted)
        self.assertEqual(run.commands(),
                         ["::notice title=Ignored::paths that differ from the graders' repository "
                          f"and change nothing: {len(wanted)}"])
        for path in set(wanted) - {"odd\n::error::name"}:
            self.assertRegex(run.log, rf"(?m)^  (added  |changed)  {path}$".replace("+", r"\+"))

    def test_builds_in_the_graders_checkout_alone(self):
        run = self.grade()
        folders = {line.split(" ")[0] for line in self.runner.builds.read_text().splitlines()}
        self.assertEqual(folders, {str(run.workspace / "upstream")})
        self.assertIn("//graders/half:half_grader", self.runner.builds.read_text())
        self.assertNotIn("//graders/full", self.runner.builds.read_text())

    def test_shows_nothing_of_the_runner_to_the_graders(self):
        run = self.grade()
        self.assertIn("env=", str(run.result))
        self.assertNotIn("leaked", str(run.result))
        self.assertNotIn("GITHUB", str(run.result))

    def test_does_not_count_a_lab_whose_file_was_refused(self):
        self.student.write("labs/half/half.cc", "/etc/passwd", "120000")
        run = self.grade()
        self.assertEqual(run.status, 3, run.log)
        self.assertEqual(run.outputs, NOT_GRADED)
        self.assertEqual(run.commands(), [
            "::error title=Not graded::half: labs/half/half.cc is a symbolic link; commit the file "
            "itself",
            "::error title=Not graded::no points were counted (status 3); the log says why"])
        self.assertFalse((run.workspace / "report/result.json").exists())

    def test_gives_no_total_if_one_of_two_labs_was_refused(self):
        self.student.remove("labs/full/full.cc")
        run = self.grade(labs="half full")
        self.assertEqual(run.status, 3, run.log)
        self.assertEqual(run.outputs, NOT_GRADED)
        self.assertEqual([lab["lab"] for lab in run.result["labs"]], ["half"])
        self.assertIn("::error title=Not graded::full: labs/full/full.cc is missing; commit it\n",
                      run.log)

    def test_fails_below_the_limit_and_tells_the_points(self):
        run = self.grade(fail_under=50.5)
        self.assertEqual(run.status, 1, run.log)
        self.assertEqual(run.grade(), HALF)

    def test_counts_code_that_does_not_compile_as_no_points(self):
        self.student.write("labs/half/half.cc", "##[error]\n::error::no\n")
        run = self.grade()
        self.assertEqual(run.grade(), {**HALF, "points": "0", "percent": "0"})
        self.assertEqual(run.commands(), [])

    def test_reports_in_the_language_that_was_asked_for(self):
        self.assertIn("lang=zh", str(self.grade(language="zh").result))

    def test_adds_up_several_labs(self):
        run = self.grade(labs="half,full")
        self.assertEqual(run.grade(), {"graded": "true", "points": "15", "max-points": "20",
                                       "percent": "75"})

    def test_refuses_graders_that_are_named_by_a_branch(self):
        for ref in ("refs/heads/main", "main", "refs/tags/v1"):
            run = self.grade(ref=ref)
            self.assertEqual(run.status, 2, run.log)
            self.assertEqual(run.outputs, {})
            self.assertIn("::error title=Not graded::the graders are not pinned: autograde.yml "
                          "must call grade.yml by a full commit", run.log)
            self.assertFalse((run.workspace / "overlay").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
