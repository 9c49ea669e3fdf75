"""What `lab test` counts, for every way a test can end.

test_summary_test.py SCRIPT
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.abspath(sys.argv[1])


def completed(label, success=True, is_test=True):
    children = [{"testResult": {"label": label, "run": 1}}] if is_test and success else []
    return {
        "id": {"targetCompleted": {"label": label}},
        "children": children,
        "completed": {"success": True} if success else {},
    }


class Summary(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def result(self, label, status, xml=None):
        outputs = []
        if xml is not None:
            # A space in the path shows that addresses are decoded.
            path = os.path.join(self.folder.name, label.strip("/").replace(":", " ") + ".xml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(xml)
            outputs = [{"name": "test.xml", "uri": "file://" + path.replace(" ", "%20")}]
        return {
            "id": {"testResult": {"label": label}},
            "testResult": {"status": status, "testActionOutput": outputs},
        }

    def run_script(self, events, status):
        path = os.path.join(self.folder.name, "events")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        run = subprocess.run(
            [sys.executable, SCRIPT, path, str(status)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
        return run.returncode, run.stdout.splitlines()

    def test_counts_single_cases(self):
        xml = """<testsuites><testsuite>
          <testcase name="One" status="run" result="completed" classname="Suite"/>
          <testcase name="Two" status="run" result="completed" classname="Suite"/>
          <testcase name="Three" status="run" result="skipped" classname="Suite"><skipped/></testcase>
          <testcase name="DISABLED_Four" status="notrun" result="suppressed" classname="Suite"/>
          </testsuite></testsuites>"""
        events = [completed("//a:b"), self.result("//a:b", "PASSED", xml)]
        self.assertEqual(self.run_script(events, 0), (0, ["2 passed, 0 failed, 1 skipped"]))

    def test_names_a_case_that_failed(self):
        xml = """<testsuites><testsuite>
          <testcase name="One" status="run" classname="Suite"/>
          <testcase name="Two" status="run" classname="Suite"><failure/><failure/></testcase>
          </testsuite></testsuites>"""
        events = [completed("//a:b"), self.result("//a:b", "FAILED", xml)]
        self.assertEqual(
            self.run_script(events, 3), (1, ["FAILED //a:b Suite.Two", "1 passed, 1 failed"]))

    def test_counts_a_failed_script_once(self):
        xml = '<testsuites><testsuite><testcase name="a/b"><error/></testcase></testsuite></testsuites>'
        events = [completed("//a:b"), self.result("//a:b", "FAILED", xml)]
        self.assertEqual(self.run_script(events, 3), (1, ["FAILED //a:b", "0 passed, 1 failed"]))

    def test_counts_a_target_that_failed_without_naming_a_case(self):
        xml = '<testsuites><testsuite><testcase name="One" status="run"/></testsuite></testsuites>'
        events = [completed("//a:b"), self.result("//a:b", "TIMEOUT", xml),
                  completed("//a:c"), self.result("//a:c", "FAILED")]
        self.assertEqual(
            self.run_script(events, 3),
            (1, ["FAILED //a:b TIMEOUT", "FAILED //a:c FAILED", "1 passed, 2 failed"]))

    def test_counts_what_was_not_built(self):
        events = [completed("//a:lib", success=False, is_test=False)]
        self.assertEqual(
            self.run_script(events, 1), (1, ["FAILED //a:lib was not built", "0 passed, 1 failed"]))

    def test_counts_a_test_that_never_ran(self):
        events = [completed("//a:b")]
        self.assertEqual(
            self.run_script(events, 8), (1, ["FAILED //a:b did not run", "0 passed, 1 failed"]))

    def test_leaves_out_what_a_filter_leaves_out(self):
        xml = '<testsuites><testsuite><testcase name="a/b"/></testsuite></testsuites>'
        slow = completed("//a:slow")
        slow["children"] = []
        events = [slow, completed("//a:b"), self.result("//a:b", "PASSED", xml)]
        self.assertEqual(self.run_script(events, 0), (0, ["1 passed, 0 failed"]))

    def test_is_never_green_when_bazel_failed(self):
        self.assertEqual(
            self.run_script([], 37),
            (1, ["FAILED bazel ended with status 37", "0 passed, 1 failed"]))

    def test_is_never_green_when_nothing_ran(self):
        self.assertEqual(
            self.run_script([], 4), (1, ["FAILED no test ran", "0 passed, 1 failed"]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
