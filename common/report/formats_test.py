"""Every format of every example run is what its reader takes, says the same, and forges nothing.

formats_test.py SCHEMA_FOLDER EXAMPLE_PROGRAM RESULT_SCHEMA
"""

import json
import os
import subprocess
import sys
import unittest

import jsonschema

import readers

SCHEMA_FOLDER, PROGRAM, RESULT_SCHEMA = sys.argv[1:4]

RUNS = ("perfect", "half", "mixed", "broken", "refused", "practice", "hostile")
# Runs that a gradebook takes, and the share of the points that each has.
GRADES = {"perfect": 1, "half": 0.25, "broken": 0, "hostile": 5 / 75}
WITHHELD = 4


def run_program(name, run, *more):
    return subprocess.run([PROGRAM, name, run, *more], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)


def report(name, run, *more):
    """The text of a report, which is UTF-8; None if it is withheld."""
    done = run_program(name, run, *more)
    if done.returncode == WITHHELD:
        assert done.stdout == b"" and done.stderr.strip(), done
        return None
    assert done.returncode == 0, done
    return done.stdout.decode("utf-8")


def schema(name):
    path = RESULT_SCHEMA
    if name != "json":
        path = os.path.join(SCHEMA_FOLDER, name.replace("-", "_") + ".schema.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def validated(name, run, *more):
    text = report(name, run, *more)
    if text is None:
        return None
    document = json.loads(text)
    jsonschema.Draft202012Validator(schema(name)).validate(document)
    return document


class Schemas(unittest.TestCase):
    def test_are_valid_themselves(self):
        for file in os.listdir(SCHEMA_FOLDER):
            name = file.replace(".schema.json", "")
            jsonschema.Draft202012Validator.check_schema(schema(name))

    def test_refuse_a_grade_where_there_is_none(self):
        bad = {"prairielearn": {"gradable": False, "format_errors": ["x"], "score": 0},
               "gradescope": {"tests": [{"name": "no score anywhere"}]},
               "exercism": {"version": 3, "status": "error", "message": None, "tests": []},
               "classroom50": {"score": 0.5}}
        for name, document in bad.items():
            validator = jsonschema.Draft202012Validator(schema(name))
            self.assertFalse(validator.is_valid(document), name)


class Logs(unittest.TestCase):
    """Whatever is printed into a job's log."""

    def test_has_no_commands_but_the_annotations(self):
        for name in ("text", "json", "html", "markdown", "junit", "github-classroom", "classroom50", "gradescope",
                     "autolab", "prairielearn", "exercism", "trace"):
            for run in RUNS:
                for language in ("en", "zh"):
                    found = readers.commands(report(name, run, language) or "")
                    self.assertEqual(found, [], f"{name} {run}")

    def test_the_reader_of_commands_sees_what_a_forger_would_write(self):
        log = "a ##[error]forged\n  ::notice title=a%3Ab::c%0Ad\r::error::e\n::unknown::x"
        self.assertEqual(readers.commands(log), [
            ("error", {}, "a ##[error]forged"), ("notice", {"title": "a:b"}, "c\nd"),
            ("error", {}, "e")])

    def test_shows_no_control_characters(self):
        for name in ("text", "html", "markdown", "junit", "github", "autolab"):
            text = report(name, "hostile")
            bad = {c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160
                   or c in "\u202e\ufffe\uffff"}
            self.assertEqual(bad, set(), name)


class Json(unittest.TestCase):
    def test_is_what_the_schema_says(self):
        for run in RUNS:
            self.assertIsNotNone(validated("json", run))

    def test_keeps_the_very_words_of_the_hostile(self):
        document = validated("json", "hostile")
        self.assertIn("##[error]forged", document["labs"][0]["checks"][1]["observed"])


class GitHub(unittest.TestCase):
    def annotations(self, run):
        text = report("github", run)
        found = readers.commands(text)
        self.assertEqual(len(found), text.count("\n"), "a line that is no annotation")
        return found

    def test_marks_failures_on_the_students_lines(self):
        errors = [entry for entry in self.annotations("mixed") if entry[0] == "error"]
        self.assertEqual([(e[1]["file"], e[1]["line"]) for e in errors],
                         [("labs/demo/demo.cc", "34")] * 2)
        self.assertIn("look at: Which ends of the pipe", errors[0][2])

    def test_marks_the_compilers_errors(self):
        (kind, properties, message), _ = self.annotations("broken")
        self.assertEqual((kind, properties["line"], properties["col"], message),
                         ("error", "3", "1", "expected ';'"))

    def test_never_has_more_than_ten_of_a_type_and_counts_the_rest(self):
        found = self.annotations("hostile")
        kinds = [entry[0] for entry in found]
        for kind in ("error", "warning", "notice"):
            self.assertLessEqual(kinds.count(kind), 10)
        errors = [entry for entry in found if entry[0] == "error"]
        self.assertEqual(len(errors), 10)
        self.assertEqual(errors[0][1]["file"], "labs/other/other.cc", "the gravest first")
        self.assertIn("(3 more are not shown)", errors[-1][2])

    def test_has_only_our_titles_files_and_lines(self):
        for _, properties, _ in self.annotations("hostile"):
            self.assertLessEqual(set(properties), {"title", "file", "line", "col"})
            self.assertIn(properties.get("file"),
                          (None, "labs/demo/demo.cc", "labs/other/other.cc"))

    def test_blames_nobody_for_what_could_not_be_graded(self):
        self.assertEqual([entry[0] for entry in self.annotations("refused")], ["warning"])

    def test_says_first_of_all_that_it_is_practice(self):
        found = [entry for entry in self.annotations("practice") if entry[0] != "error"]
        self.assertEqual(found[0][1]["title"], "practice only")
        self.assertNotIn("notice", [entry[0] for entry in found])


class JUnit(unittest.TestCase):
    def read(self, run):
        return readers.JUnitReader(report("junit", run))

    def test_is_well_formed_and_counts_itself_rightly(self):
        for run in RUNS:
            root = self.read(run).root
            for node in (root, *root.iter("testsuite")):
                for kind, counter in (("failure", "failures"), ("error", "errors"),
                                      ("skipped", "skipped"), ("testcase", "tests")):
                    self.assertEqual(len(list(node.iter(kind))), int(node.get(counter)), run)

    def test_has_one_verdict_and_the_points_for_each_case(self):
        for run in RUNS:
            for case in self.read(run).root.iter("testcase"):
                kinds = [child.tag for child in case if child.tag != "properties"]
                self.assertLessEqual(len(kinds), 1)
                names = [node.get("name") for node in case.iter("property")]
                if case.get("name") not in ("builds", "is graded"):
                    self.assertEqual(names, ["points", "max_points", "exercise", "title"])

    def test_tells_each_kind_of_verdict_apart(self):
        self.assertEqual(self.read("mixed").outcomes(), {
            "demo/demo/builds": "passed",
            "demo/demo.Sender/Sends": "passed",
            "demo/demo.Sender/Closes": "passed",
            "demo/demo.Reader/SeesEndOfFile": "failure",
            "demo/demo.Reader/ClosesItsEnds": "failure",
            "demo/demo.Reader/SurvivesEintr": "error",
            "demo/demo.Reader/ReadsAll": "skipped",
            "demo/demo.Pipeline/Runs": "skipped"})

    def test_names_file_line_and_time(self):
        reader = self.read("mixed")
        case = reader.cases["demo/demo.Reader/SeesEndOfFile"]
        self.assertEqual((case.get("file"), case.get("line"), case.get("time")),
                         ("labs/demo/demo.cc", "34", "0.031"))
        suite = next(reader.root.iter("testsuite"))
        self.assertEqual(suite.get("timestamp"), "2026-11-20T10:00:00")

    def test_is_not_green_for_code_that_does_not_compile_or_a_run_that_failed(self):
        self.assertEqual(self.read("broken").outcomes()["demo/demo/builds"], "failure")
        self.assertEqual(list(self.read("refused").outcomes().values()), ["error"])

    def test_gives_no_pass_in_practice(self):
        outcomes = self.read("practice").outcomes()
        self.assertNotIn("passed", outcomes.values())
        self.assertIn("failure", outcomes.values())

    def test_has_no_case_that_a_submission_made(self):
        names = set(self.read("hostile").outcomes())
        expected = {"demo/demo/builds", "demo/demo.Evil/Passes", "other/other/builds",
                    "other/other.Pipeline/Runs"}
        expected |= {f"demo/demo.Evil/Fails{i}" for i in range(12)}
        self.assertEqual(names, expected)


class GitHubClassroom(unittest.TestCase):
    def test_is_what_the_reporter_reads_and_fits_into_an_environment_string(self):
        for run in RUNS:
            text = report("github-classroom", run)
            validated("github-classroom", run)
            self.assertLess(len(text.encode()) * 4 / 3 + 200, 128 * 1024, run)

    def test_gives_the_points_there_are_and_none_where_there_is_no_grade(self):
        for run in RUNS:
            reporter = readers.ClassroomReporter(validated("github-classroom", run))
            if run in GRADES:
                score, max_score = reporter.points
                self.assertAlmostEqual(score / max_score, GRADES[run])
                self.assertEqual(reporter.step_fails, run != "perfect")
            else:
                self.assertIsNone(reporter.points, run)
                self.assertTrue(reporter.step_fails, run)

    def test_full_points_are_exactly_full(self):
        reporter = readers.ClassroomReporter(validated("github-classroom", "perfect"))
        self.assertEqual(reporter.points, (10, 10))

    def test_what_the_reporter_prints_is_no_command(self):
        for run in RUNS:
            reporter = readers.ClassroomReporter(validated("github-classroom", run))
            self.assertEqual(readers.commands("\n".join(reporter.log)), [])

    def test_prints_why_a_check_failed(self):
        reporter = readers.ClassroomReporter(validated("github-classroom", "broken"))
        self.assertIn("expected ';'", "\n".join(reporter.log))

    def test_says_that_a_text_was_shortened(self):
        tests = validated("github-classroom", "hostile")["tests"]
        self.assertIn("... (shortened)", tests[1]["test_code"])


class Gradebooks(unittest.TestCase):
    """Those that know no state but a score."""

    def test_gradescope(self):
        for run in RUNS:
            document = validated("gradescope", run)
            self.assertEqual(document is not None, run in GRADES, run)
            if document is None:
                continue
            full = sum(test["max_score"] for test in document["tests"])
            self.assertAlmostEqual(document["score"] / full, GRADES[run], places=2)
            for test in document["tests"]:
                self.assertLessEqual(test["score"], test["max_score"])
                self.assertEqual(test["status"] == "passed", test["score"] == test["max_score"])
            formats = {document[key] for key in document if key.endswith("_format")}
            self.assertEqual(formats, {"text"}, "no markup is rendered")

    def test_classroom50(self):
        for run in RUNS:
            document = validated("classroom50", run)
            self.assertEqual(document is not None, run in GRADES, run)
            if document is None:
                continue
            self.assertAlmostEqual(document["score"] / document["max-score"], GRADES[run])
            for key in ("score", "max-score"):
                self.assertEqual(sum(test[key] for test in document["tests"]), document[key])
            for test in document["tests"]:
                self.assertLessEqual(test["score"], test["max-score"])
                self.assertEqual(test["passed"], test["score"] == test["max-score"])

    def test_autolab(self):
        for run in RUNS:
            output = report("autolab", run)
            scores = readers.autolab_scores(output)
            if run not in GRADES:
                self.assertEqual(scores, {"demo": None}, run)
                self.assertIsNone(readers.autolab_stages(output), run)
                continue
            self.assertAlmostEqual(scores["demo"], {"perfect": 10, "half": 10, "broken": 0, "hostile": 5}[run])
            stages = readers.autolab_stages(output)
            self.assertTrue(stages["stages"])
            for stage in stages["stages"]:
                self.assertTrue(stages[stage])

    def test_autolab_reads_the_true_scores_of_the_hostile(self):
        scores = readers.autolab_scores(report("autolab", "hostile"))
        self.assertEqual(scores, {"demo": 5, "other": 0})
        stages = readers.autolab_stages(report("autolab", "hostile"))
        self.assertIn("forged :", stages["demo.1 evil"]["Evil.Fails0"]["hint"])

    def test_prairielearn(self):
        for run in RUNS:
            document = validated("prairielearn", run)
            self.assertLess(len(report("prairielearn", run).encode()), 1000 * 1000)
            self.assertEqual(document["gradable"], run in GRADES, run)
            if run in GRADES:
                self.assertAlmostEqual(document["score"], GRADES[run])

    def test_exercism(self):
        for run in RUNS:
            document = validated("exercism", run)
            status = {"perfect": "pass", "half": "fail"}.get(run, "error")
            self.assertEqual(document["status"], status, run)

    def test_a_run_of_nothing_is_no_grade(self):
        self.assertIsNone(report("gradescope", "nothing"))
        self.assertIsNone(report("classroom50", "nothing"))
        self.assertEqual(validated("exercism", "nothing")["status"], "error")
        self.assertFalse(validated("prairielearn", "nothing")["gradable"])


class Trace(unittest.TestCase):
    def slices(self, run):
        """The slices of each track, by their start."""
        tracks = {}
        for event in validated("trace", run)["traceEvents"]:
            if event["ph"] == "X":
                tracks.setdefault((event["pid"], event["tid"]), []).append(event)
        return tracks

    def test_is_what_the_format_says(self):
        for run in RUNS:
            self.assertIsNotNone(validated("trace", run))

    def test_slices_of_a_track_lie_within_each_other_or_apart(self):
        for run in RUNS:
            for track in self.slices(run).values():
                open_until = []
                for event in track:
                    while open_until and open_until[-1] <= event["ts"]:
                        open_until.pop()
                    end = event["ts"] + event["dur"]
                    if open_until:
                        self.assertLessEqual(end, open_until[-1], event)
                    open_until.append(end)

    def test_checks_follow_one_another(self):
        checks = [event for track in self.slices("mixed").values() for event in track
                  if event["cat"] == "check"]
        self.assertEqual(len(checks), 7)
        for one, next_one in zip(checks, checks[1:]):
            self.assertLess(one["ts"] + one["dur"], next_one["ts"])

    def test_everything_of_a_check_lies_within_it(self):
        for run in ("mixed", "hostile"):
            spans = []
            for event in validated("trace", run)["traceEvents"]:
                if event.get("cat") == "check":
                    spans.append((event["ts"], event["ts"] + event["dur"]))
                elif event["ph"] != "M":
                    begin, end = spans[-1]
                    self.assertGreaterEqual(event["ts"], begin)
                    self.assertLessEqual(event["ts"] + event.get("dur", 0), end)

    def test_a_call_that_never_returned_is_marked_and_says_what_it_waits_for(self):
        reads = [event for track in self.slices("mixed").values() for event in track
                 if event["name"] == "read"]
        self.assertFalse(reads[0]["args"]["returned"])
        self.assertEqual(reads[0]["args"]["waits"],
                         "for bytes or end of file of pipe A; process 3: "
                         "write end of pipe A, descriptor 4")

    def test_every_process_and_thread_has_a_name_and_every_arrow_two_ends(self):
        events = validated("trace", "mixed")["traceEvents"]
        named = {(e["name"], e["pid"], e["tid"]) for e in events if e["ph"] == "M"}
        for event in events:
            self.assertIn(("thread_name", event["pid"], event["tid"]), named)
        starts = [e["id"] for e in events if e["ph"] == "s"]
        self.assertTrue(starts)
        self.assertEqual(starts, [e["id"] for e in events if e["ph"] == "f"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
