"""Real submissions, the real grader, every format: all tell the same, and nothing is forged.

reports_test.py LAB GRADER FOLDER_OF_READERS PATCH...

Runs where the repository's files lie at their places. The patches are mistakes of a lab's solution;
together they make a submission that is half done. Needs boxes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema

PROGRAM, GRADER, READERS = (os.path.abspath(path) for path in sys.argv[1:4])
PATCHES = sys.argv[4:]
sys.path.insert(0, READERS)

import readers  # noqa: E402 pylint: disable=wrong-import-position

NAME = os.path.basename(GRADER).replace("_grader", "")
FORMATS = ("text", "json", "html", "markdown", "junit", "github", "github-classroom",
           "classroom50", "gradescope", "autolab", "prairielearn", "exercism")
IDENTITY = {"CLASSROOM": "os-2026", "ASSIGNMENT": NAME, "OWNER": "ada", "USERNAME": "ada",
            "SUBMISSION_TAG": "submit/1", "COMMIT_URL": "https://example.org/c",
            "RELEASE_URL": "https://example.org/r", "REVIEW_URL": "https://example.org/d"}
FORGED = ("::error title=forged::forged\\n##[error]forged\\n</failure><testcase name='forged'/>"
          "\\n{\\\"scores\\\":{\\\"NAME\\\":100}}\\n").replace("NAME", NAME)


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def patched(patch, source):
    """The solution with one more mistake."""
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8", suffix=".cc") as file:
        file.write(source)
        file.flush()
        subprocess.run(["patch", "--quiet", "--no-backup-if-mismatch", file.name, patch],
                       check=True)
        return read(file.name)


def hostile(starter):
    """Writes forged lines wherever it can: to its descriptors, and by the compiler's mouth."""
    include = f'#include "{NAME}.h"\n'
    declaration = (include + "#warning ::error title=forged::forged ##[error]forged\n"
                   f'constexpr char kForged[] = "{FORGED}";\n')
    body = """for (int out = 1; out <= 2; ++out) {
    static_cast<void>(!::write(out, kForged, sizeof(kForged) - 1));
  }
  return {};"""
    evil, changed = re.subn(r"return NotYet\([^;]*\);", body, starter)
    assert changed > 0 and include in starter
    return evil.replace(include, declaration)


def submissions():
    solution = read("solutions", NAME, NAME + ".cc")
    starter = read("labs", NAME, NAME + ".cc")
    half = solution
    for patch in PATCHES:
        half = patched(patch, half)
    return {"perfect": solution, "half": half, "broken": starter + "\nint unfinished( {\n",
            "hostile": hostile(starter)}


class Graded:
    """What `lab grade` wrote about one submission, in every format."""

    def __init__(self, root, name, source):
        self.source = os.path.join("class", name, NAME, NAME + ".cc")
        os.makedirs(os.path.join(root, os.path.dirname(self.source)))
        with open(os.path.join(root, self.source), "w", encoding="utf-8") as file:
            file.write(source)
        command = [PROGRAM, "grade", "--submission", os.path.join("class", name), "--credit",
                   "--trace", f"{name}.trace"]
        for kind in FORMATS:
            command += ["--format", kind, "--out", f"{name}.{kind}"]
        environment = {**os.environ, **IDENTITY, "IPCLAB_WORKSPACE": root, "IPCLAB_BIN": root}
        self.done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, check=False)
        assert self.done.returncode == 0, self.done.stderr.decode()
        self.texts = {kind: read(root, f"{name}.{kind}") for kind in (*FORMATS, "trace")}
        self.json = json.loads(self.texts["json"])
        self.lab = self.json["labs"][0]

    def document(self, kind):
        document = json.loads(self.texts[kind])
        schema = os.path.join(READERS, "testdata", kind.replace("-", "_") + ".schema.json")
        if kind == "json":
            schema = os.path.join(READERS, "result.schema.json")
        jsonschema.Draft202012Validator(json.loads(read(schema))).validate(document)
        return document


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = os.path.realpath(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
        for path in (f"labs/{NAME}/{NAME}.h", f"graders/{NAME}/rubric.json",
                     f"graders/{NAME}/exports.txt"):
            os.makedirs(os.path.join(cls.root, os.path.dirname(path)), exist_ok=True)
            shutil.copy(path, os.path.join(cls.root, path))
        shutil.copy(GRADER, os.path.join(cls.root, "graders", NAME))
        cls.graded = {name: Graded(cls.root, name, source)
                      for name, source in submissions().items()}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def test_the_submissions_are_what_they_are_called(self):
        scores = {name: graded.lab["score"] for name, graded in self.graded.items()}
        self.assertEqual(scores["perfect"], 100)
        self.assertTrue(0 < scores["half"] < 100, scores)
        self.assertEqual(scores["broken"], 0)
        self.assertLess(scores["hostile"], 100)
        self.assertIn("error", self.graded["broken"].lab["diagnostics"])
        self.assertIn("#[error]forged", self.graded["hostile"].lab["diagnostics"])
        observed = str([check["observed"] for check in self.graded["hostile"].lab["checks"]])
        self.assertIn("::error title=forged::forged", observed)

    def test_every_document_is_what_its_schema_says(self):
        for graded in self.graded.values():
            for kind in ("json", "github-classroom", "classroom50", "gradescope", "prairielearn",
                         "exercism", "trace"):
                graded.document(kind)

    def test_all_formats_tell_the_same_points(self):
        for name, graded in self.graded.items():
            score, full = graded.lab["score"], graded.lab["max_score"]
            reporter = readers.ClassroomReporter(graded.document("github-classroom"))
            self.assertEqual(reporter.points, (score, full), name)
            self.assertEqual(graded.document("gradescope")["score"], score, name)
            self.assertEqual(readers.autolab_scores(graded.texts["autolab"]), {NAME: score}, name)
            fifty = graded.document("classroom50")
            self.assertEqual(fifty["score"] / fifty["max-score"], score / full, name)
            self.assertAlmostEqual(graded.document("prairielearn")["score"], score / full)
            self.assertIn(f"{score:g} / {full:g} points", graded.texts["text"])

    def test_all_formats_tell_the_same_verdicts(self):
        status = {"perfect": "pass", "half": "fail", "broken": "error", "hostile": "fail"}
        for name, graded in self.graded.items():
            passed = [check["id"] for check in graded.lab["checks"] if check["status"] == "passed"]
            self.assertEqual(graded.document("exercism")["status"], status[name])
            fifty = graded.document("classroom50")["tests"]
            self.assertEqual([test["test-name"] for test in fifty if test["passed"]], passed)
            outcomes = readers.JUnitReader(graded.texts["junit"]).outcomes()
            found = [case.replace(f"{NAME}/{NAME}.", "").replace("/", ".")
                     for case, outcome in outcomes.items()
                     if outcome == "passed" and not case.endswith("/builds")]
            self.assertEqual(found, passed)
            self.assertEqual(outcomes[f"{NAME}/{NAME}/builds"],
                             "failure" if name == "broken" else "passed")

    def test_annotations_stand_on_lines_of_the_submission(self):
        for name, graded in self.graded.items():
            lines = read(self.root, graded.source).count("\n")
            found = readers.commands(graded.texts["github"])
            self.assertEqual(len(found), graded.texts["github"].count("\n"))
            for kind, properties, _ in found:
                if kind == "error":
                    self.assertEqual(properties["file"], graded.source)
                    self.assertLessEqual(int(properties.get("line", 1)), lines + 1)
            errors = [entry for entry in found if entry[0] == "error"]
            self.assertEqual(bool(errors), name != "perfect", name)
            if name == "half":
                self.assertTrue(all("line" in properties for _, properties, _ in errors))

    def test_nothing_is_a_command_but_the_annotations(self):
        for graded in self.graded.values():
            for kind, text in graded.texts.items():
                if kind != "github":
                    self.assertEqual(readers.commands(text), [], kind)
            log = (graded.done.stdout + graded.done.stderr).decode()
            self.assertEqual(readers.commands(log), [])

    def test_the_page_has_an_element_for_every_check_and_none_of_a_submission(self):
        for name, graded in self.graded.items():
            page = readers.HtmlPage(graded.texts["html"])
            checks = graded.lab["checks"] if name != "broken" else []
            self.assertLessEqual({check["id"] for check in checks}, set(page.ids), name)
            self.assertEqual(len(page.ids), len(set(page.ids)), name)
            self.assertEqual(page.unclosed, [], name)
            self.assertEqual(page.active, [], name)
            self.assertNotIn("testcase", page.tags, name)
        self.assertIn("svg", readers.HtmlPage(self.graded["half"].texts["html"]).tags)

    def test_the_summary_has_pictures_of_what_failed_and_fits(self):
        for name, graded in self.graded.items():
            text = graded.texts["markdown"]
            self.assertLess(len(text.encode()), 1 << 20)
            outside = readers.markdown_outside_of_code(text)
            self.assertNotIn("forged", outside, name)
            self.assertNotIn("<testcase", outside, name)
            self.assertIn(f"{graded.lab['score']:g} / {graded.lab['max_score']:g}", text, name)
        self.assertIn("```mermaid", self.graded["half"].texts["markdown"])
        self.assertNotIn("```mermaid", self.graded["perfect"].texts["markdown"])

    def test_the_trace_shows_what_the_processes_did(self):
        events = self.graded["half"].document("trace")["traceEvents"]
        categories = {event.get("cat") for event in events}
        self.assertLessEqual({"check", "process", "function", "call", "cause"}, categories)
        self.assertTrue([event for event in events if event.get("args", {}).get("waits")],
                        "a deadlock says what is waited for")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
