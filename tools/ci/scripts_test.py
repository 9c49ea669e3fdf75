"""prepare.sh, grade.sh, totals.py and pin.sh one by one, with programs that only pretend.

    scripts_test.py FILE...: files from the root of the workspace
"""

import base64
import json
import subprocess
import sys
import unittest
from pathlib import Path

import testing

FILES = sys.argv[1:]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Scripts(unittest.TestCase):
    def setUp(self):
        self.folder = testing.scratch(self)
        self.checkout = testing.Repository(self.folder / "checkout")
        testing.copy_files(self.checkout, FILES)
        self.commit = self.checkout.commit()
        testing.git(self.checkout.path, "checkout", "-q", "-f", "HEAD")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.calls = self.folder / "calls"
        self.calls.touch()
        self.fake(self.checkout.path / "lab", "")

    def fake(self, path, text):
        testing.script(path, f'echo "{Path(path).name} $*" >>"{self.calls}"\n{text}\n')

    def run_script(self, name, *arguments, **environment):
        done = subprocess.run([self.checkout.path / "tools/ci" / name, *arguments], check=False,
                              cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder),
                                   "GITHUB_ACTIONS": "true", **environment})
        self.log = done.stdout.decode()
        return done.returncode

    def called(self):
        return self.calls.read_text().splitlines()

    def assert_error(self, words):
        self.assertIn(f"::error title=Not graded::{words}", self.log)


class Prepare(Scripts):
    def setUp(self):
        super().setUp()
        self.setting("0")
        self.fake(self.bin / "id", "echo 1000")
        self.fake(self.bin / "sudo", 'shift; exec "$@"')

    def setting(self, value):
        self.fake(self.bin / "sysctl", f'[ "$1" != -n ] || echo {value}')

    def prepare(self, ref=None, sha=None):
        sha = sha or self.commit
        return self.run_script(
            "prepare.sh", WORKFLOW_SHA=sha,
            WORKFLOW_REF=f"ORG/ipc-labs/.github/workflows/grade.yml@{ref or sha}")

    def test_installs_packages_and_says_what_works(self):
        self.assertEqual(self.prepare(), 0, self.log)
        self.assertEqual(self.called()[-2:], ["lab setup", "lab doctor"])
        self.assertIn(f"ci: the graders are at commit {self.commit}\n", self.log)

    def test_allows_user_namespaces_where_they_are_forbidden(self):
        self.setting("1")
        self.assertEqual(self.prepare(), 0, self.log)
        self.assertIn("sudo -n sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
                      self.called())

    def test_needs_no_sudo_as_root(self):
        self.setting("1")
        self.fake(self.bin / "id", "echo 0")
        self.assertEqual(self.prepare(), 0, self.log)
        self.assertNotIn("sudo", str(self.called()))
        self.assertIn("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0", self.called())

    def test_touches_nothing_where_the_setting_is_off_or_missing(self):
        for fake in ("echo 0", "echo unknown key >&2; exit 255"):
            self.fake(self.bin / "sysctl", fake)
            self.assertEqual(self.prepare(), 0, self.log)
        self.assertNotIn("-w", str(self.called()))

    def test_leaves_the_decision_to_grading_if_something_does_not_work(self):
        self.fake(self.checkout.path / "lab", '[ "$1" = setup ]')
        self.assertEqual(self.prepare(), 0, self.log)
        self.assertIn("ci: not everything works here; grading says whether that matters", self.log)

    def test_ends_if_packages_cannot_be_installed(self):
        self.fake(self.checkout.path / "lab", "exit 3")
        self.assertEqual(self.prepare(), 3, self.log)
        self.assertNotIn("lab doctor", self.called())

    def test_refuses_a_branch_a_tag_and_another_commit(self):
        for ref in ("refs/heads/main", "refs/tags/v1", COMMIT, self.commit[:39]):
            self.assertEqual(self.prepare(ref=ref), 2, self.log)
            self.assert_error("the graders are not pinned: autograde.yml must call grade.yml by a "
                              "full commit, and not by a branch, a tag or a path; an instructor "
                              "runs tools/ci/pin.sh\n")
        self.assertEqual(self.called(), [])

    def test_refuses_what_is_no_commit(self):
        for sha in ("main", "ABCDEF" + COMMIT[6:], COMMIT + "0"):
            self.assertEqual(self.prepare(sha=sha), 2, self.log)
            self.assert_error("WORKFLOW_SHA is not a commit; grade.yml sets it")

    def test_refuses_a_checkout_of_another_commit(self):
        self.assertEqual(self.prepare(sha=COMMIT), 3, self.log)
        self.assert_error(f"the graders are at commit {self.commit}, and the workflow at {COMMIT}\n")


class Grade(Scripts):
    """`lab` only pretends: it writes each report that it is asked for."""

    def setUp(self):
        super().setUp()
        self.lab()
        self.overlay = self.folder / "overlay"
        self.overlay.mkdir()
        for name, text in (("taken", "half\nfull\n"), ("refused", ""), ("ignored", "M BUILD\n")):
            (self.overlay / name).write_text(text)
        self.output = self.folder / "output"

    def lab(self, status=0, score=7.5, most=10, mode="full", error="", check="failed"):
        result = json.dumps({
            "schema": "ipclab/result/v1", "isolation": {"mode": mode},
            "labs": [{"lab": "half", "score": score, "max_score": most, "error": error,
                      "checks": [{"status": check}]}]})
        self.fake(self.checkout.path / "lab", f"""
echo '::error::forged by the submission'
while [ $# -gt 0 ]; do
  case $1 in
  --format) format=$2; shift ;;
  --out)
    case $format in
    json) echo '{result}' >"$2" ;;
    github) echo '::error file=labs/half/half.cc,line=3::ours' >"$2" ;;
    *) echo "##[error]the report as $format" >"$2" ;;
    esac
    shift ;;
  esac
  shift
done
exit {status}""")

    def grade(self, *formats, **environment):
        return self.run_script("grade.sh", "overlay", "report",
                               *(formats or ("json=result.json",)),
                               GITHUB_OUTPUT=str(self.output), **environment)

    def outputs(self):
        return self.output.read_text().splitlines()

    def test_grades_what_was_taken_for_credit(self):
        self.assertEqual(self.grade(), 0, self.log)
        self.assertTrue(self.called()[0].startswith("lab grade half full --submission . --credit "))
        self.assertEqual(self.outputs(),
                         ["graded=true", "points=7.5", "max-points=10", "percent=75"])
        self.assertEqual((self.folder / "report/ignored.txt").read_text(), "M BUILD\n")

    def test_writes_a_file_for_each_format(self):
        self.assertEqual(self.grade("json=result.json", "junit=junit.xml"), 0, self.log)
        report = self.folder / "report"
        self.assertIn(f"--format json --out {report}/result.json "
                      f"--format junit --out {report}/junit.xml", self.called()[0])
        self.assertEqual((report / "junit.xml").read_text(), "##[error]the report as junit\n")

    def test_writes_the_result_whatever_else_is_written(self):
        self.assertEqual(self.run_script("grade.sh", "overlay", "report"), 0, self.log)
        self.assertIn(f"--format json --out {self.folder}/report/result.json", self.called()[0])

    def test_takes_no_line_of_a_report_for_a_command_but_those_made_for_it(self):
        self.assertEqual(self.grade("json=result.json", "text=report.txt", "html=report.html",
                                    "github=annotations.txt"), 0, self.log)
        self.assertIn("##[error]the report as text\n", self.log)
        self.assertIn("::error::forged by the submission\n", self.log)
        self.assertNotIn("the report as html", self.log)
        self.assertEqual(testing.commands(self.log),
                         ["::error file=labs/half/half.cc,line=3::ours"])

    def test_gives_the_classroom_report_as_an_output(self):
        self.assertEqual(self.grade("json=result.json", "github-classroom=classroom.json"), 0)
        name, value = self.outputs()[-1].split("=", 1)
        self.assertEqual(name, "classroom")
        self.assertEqual(base64.b64decode(value),
                         b"##[error]the report as github-classroom\n")

    def test_passes_on_limit_and_language(self):
        self.assertEqual(self.grade(FAIL_UNDER="60", LAB_LANGUAGE="zh"), 0, self.log)
        self.assertTrue(self.called()[0].endswith("--fail-under=60 --lang=zh"))

    def test_takes_no_limit_for_an_option(self):
        self.assertEqual(self.grade(FAIL_UNDER="60 --practice"), 0, self.log)
        self.assertTrue(self.called()[0].endswith("--fail-under=60 --practice"))
        # One word, as the shell counts them.
        self.fake(self.checkout.path / "lab", 'for word; do echo "<$word>"; done; exit 2')
        (self.folder / "report").rename(self.folder / "first")
        self.grade(FAIL_UNDER="60 --practice")
        self.assertIn("<--fail-under=60 --practice>\n", self.log)

    def test_fails_below_the_limit_and_counts_the_points(self):
        self.lab(status=1)
        self.assertEqual(self.grade(), 1, self.log)
        self.assertEqual(self.outputs()[0], "graded=true")

    def test_counts_nothing_that_was_not_graded(self):
        for status in (2, 3, 139):
            self.lab(status=status)
            self.assertEqual(self.grade(), status, self.log)
            self.assertEqual(self.outputs(), ["graded=false"])
            self.assert_error(f"no points were counted (status {status}); the log says why")
            self.output.unlink()
            (self.folder / "report").rename(self.folder / f"report{status}")

    def test_counts_nothing_if_the_result_is_none(self):
        for number, wrong in enumerate((
                {"mode": "practice"}, {"mode": "none"}, {"most": 0}, {"error": "crashed"})):
            self.lab(**wrong)
            self.assertEqual(self.grade(), 3, self.log)
            self.assertEqual(self.outputs(), ["graded=false"])
            self.output.unlink()
            (self.folder / "report").rename(self.folder / f"report{number}")

    def test_counts_code_that_was_never_run_as_no_points(self):
        self.lab(score=0, mode="none", check="skipped")
        self.assertEqual(self.grade(), 0, self.log)
        self.assertIn("points=0", self.outputs())

    def test_never_rounds_up_to_all_points(self):
        self.lab(score=9999, most=10000)
        self.grade()
        self.assertIn("percent=99.99", self.outputs())
        self.lab(score=99999.5, most=100000)
        (self.folder / "report").rename(self.folder / "first")
        self.grade()
        self.assertEqual(self.outputs()[-1], "percent=99.99")

    def test_gives_no_points_to_anyone_if_one_lab_was_refused(self):
        (self.overlay / "refused").write_text("more: labs/more/more.cc is missing; commit it\n")
        self.assertEqual(self.grade("json=result.json", "github-classroom=classroom.json"), 3)
        self.assertEqual(self.outputs(), ["graded=false"])
        self.assert_error("more: labs/more/more.cc is missing; commit it\n")
        self.assertIn("lab grade half full ", self.called()[0])

    def test_does_not_grade_if_nothing_was_taken(self):
        (self.overlay / "taken").write_text("")
        (self.overlay / "refused").write_text("half: labs/half/half.cc is missing; commit it\n")
        self.assertEqual(self.grade(), 3, self.log)
        self.assertEqual(self.called(), [])
        self.assert_error("half: labs/half/half.cc is missing; commit it\n")
        self.assertEqual(self.outputs(), ["graded=false"])


class Pin(Scripts):
    def autograde(self):
        return testing.yaml.safe_load(
            (self.checkout.path / ".github/workflows/autograde.yml").read_text(encoding="utf-8"))

    def test_names_the_repository_and_the_commit(self):
        self.assertEqual(self.run_script("pin.sh", "os-course/ipc-labs"), 0, self.log)
        job = self.autograde()["jobs"]["grade"]
        self.assertEqual(job["uses"],
                         f"os-course/ipc-labs/.github/workflows/grade.yml@{self.commit}")
        self.assertEqual(job["if"], "github.repository != 'os-course/ipc-labs'")
        self.assertIn("ci: that commit must be pushed", self.log)

    def test_changes_two_lines_and_can_do_so_again(self):
        first = (self.checkout.path / ".github/workflows/autograde.yml").read_text().splitlines()
        self.run_script("pin.sh", "a/b")
        self.checkout.commit()
        later = testing.git(self.checkout.path, "rev-parse", "HEAD")
        self.assertEqual(self.run_script("pin.sh", "c/d.e", later), 0, self.log)
        second = (self.checkout.path / ".github/workflows/autograde.yml").read_text().splitlines()
        self.assertEqual(len(first), len(second))
        changed = [new.strip() for old, new in zip(first, second) if old != new]
        self.assertEqual(changed, ["if: github.repository != 'c/d.e'",
                                   f"uses: c/d.e/.github/workflows/grade.yml@{later}"])

    def test_refuses_what_is_no_repository(self):
        for name in ("ipc-labs", "a/b/c", "a/b@main", "a b/c", "a/b'|e", "a/b\nc/d"):
            self.assertEqual(self.run_script("pin.sh", name), 2, self.log)
            self.assert_error("OWNER/NAME must be a repository on GitHub, such as "
                              "os-course/ipc-labs\n")
        self.assertEqual(self.autograde()["jobs"]["grade"]["if"], False)

    def test_refuses_a_commit_without_the_workflow(self):
        self.checkout.remove(".github/workflows/grade.yml")
        self.checkout.commit()
        self.assertEqual(self.run_script("pin.sh", "a/b"), 2, self.log)
        self.assertIn("has no .github/workflows/grade.yml\n", self.log)

    def test_refuses_a_commit_that_is_not_there(self):
        self.assertEqual(self.run_script("pin.sh", "a/b", COMMIT), 2, self.log)
        self.assert_error(f"there is no commit {COMMIT}\n")

    def test_refuses_a_workflow_that_it_does_not_know(self):
        with open(self.checkout.path / ".github/workflows/autograde.yml", "a") as file:
            file.write("  other:\n    uses: elsewhere\n")
        self.assertEqual(self.run_script("pin.sh", "a/b"), 3, self.log)
        self.assertIn("has not one line 'uses:' of the job; restore it with git checkout", self.log)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
