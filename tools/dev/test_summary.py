"""Counts test cases after `bazel test --build_event_json_file=EVENTS`.

test_summary.py EVENTS BAZEL_STATUS

Names what failed and ends with the line "N passed, N failed", with ", N skipped" if some were.
Single cases are counted where a test says which it has (test.xml); a target that failed without
naming a case, was not built or did not run counts as one failure. Exits with 1 if anything failed
or nothing ran.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree

# Bazel's exit status when tests failed, and when there was none to run.
TESTS_FAILED = 3
NO_TESTS = 4


class Count:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []

    def add_cases(self, target, path):
        """Counts the cases of one test.xml; returns whether one of them failed."""
        failed = False
        try:
            root = xml.etree.ElementTree.parse(path).getroot()
        except (OSError, xml.etree.ElementTree.ParseError):
            return False
        for case in root.iter("testcase"):
            name = case.get("name", "?")
            if case.find("failure") is not None or case.find("error") is not None:
                # A test that is one script calls its only case by its own path.
                suite = case.get("classname")
                self.failures.append(f"{target} {suite}.{name}" if suite else target)
                failed = True
            elif case.find("skipped") is not None or case.get("result") == "skipped":
                self.skipped += 1
            elif case.get("status") != "notrun":
                self.passed += 1
        return failed


def local_path(uri):
    return urllib.parse.unquote(urllib.parse.urlparse(uri).path)


def read_events(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def count_tests(events):
    count = Count()
    wanted = set()
    ran = set()
    for event in events:
        ident = event.get("id", {})
        if "targetCompleted" in ident:
            # The results that Bazel is going to report; a test left out by a filter has none.
            children = (child.get("testResult") for child in event.get("children", []))
            wanted.update(child["label"] for child in children if child)
        if "targetCompleted" in ident and not event.get("completed", {}).get("success"):
            label = ident["targetCompleted"]["label"]
            count.failures.append(f"{label} was not built")
            ran.add(label)
        if "testResult" in ident:
            label = ident["testResult"]["label"]
            result = event["testResult"]
            ran.add(label)
            named = False
            for output in result.get("testActionOutput", []):
                if output["name"] == "test.xml":
                    named = count.add_cases(label, local_path(output["uri"]))
            if result.get("status") not in ("PASSED", "FLAKY") and not named:
                count.failures.append(f"{label} {result.get('status', 'did not run')}")
    for label in sorted(wanted - ran):
        count.failures.append(f"{label} did not run")
    return count


def main():
    path, status = sys.argv[1], int(sys.argv[2])
    count = count_tests(read_events(path))
    if status not in (0, TESTS_FAILED, NO_TESTS) and not count.failures:
        count.failures.append(f"bazel ended with status {status}")
    if not count.passed and not count.failures:
        count.failures.append("no test ran")
    for failure in count.failures:
        print("FAILED", failure)
    line = f"{count.passed} passed, {len(count.failures)} failed"
    if count.skipped:
        line += f", {count.skipped} skipped"
    print(line)
    return 1 if count.failures else 0


if __name__ == "__main__":
    sys.exit(main())
