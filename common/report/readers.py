"""Readers of the formats, as strict or as careless as the real ones; for formats_test.py.

Each follows the rules of the program it stands for, in the parts that matter here.
"""

import html.parser
import json
import re
import xml.etree.ElementTree as ET

# What GitHub's runner knows as commands.
COMMANDS = {
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
    "remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning",
}


def _unescape(text, names):
    for token, char in names:
        text = text.replace(token, char)
    return text


def _command_of(line):
    """The command in one line of a job's log: (name, properties, message), or None."""
    start = line.lstrip()
    if start.startswith("::") and "::" in start[2:]:
        info, message = start[2:].split("::", 1)
        name, _, rest = info.partition(" ")
        if name in COMMANDS:
            escapes = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
            pairs = (pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair)
            properties = {key: _unescape(value, escapes) for key, value in pairs}
            return name, properties, _unescape(message, escapes[:2] + escapes[4:])
    if "##[" in line:  # The older form, anywhere in a line.
        name = line.split("##[", 1)[1].split("]", 1)[0].split(" ", 1)[0]
        if name in COMMANDS:
            return name, {}, line
    return None


def commands(log):
    return [found for found in map(_command_of, re.split(r"\r\n|\r|\n", log)) if found]


class HtmlPage(html.parser.HTMLParser):
    """What a browser makes of a page: its elements, their ids, and all that could act."""

    VOID = {"meta", "br", "hr", "link", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.tags = set()
        self.ids = []
        self.active = []
        self.unclosed = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in self.VOID:
            self.unclosed.append(tag)
        self._note(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self._note(tag, attrs)

    def _note(self, tag, attrs):
        if tag in {"script", "iframe", "object", "embed", "form", "img", "link", "base"}:
            self.active.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elsewhere = name in {"href", "src", "action"} and not value.startswith("#")
            if elsewhere or name.startswith("on"):
                self.active.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag):
        assert self.unclosed and self.unclosed[-1] == tag, (tag, self.unclosed)
        self.unclosed.pop()


def markdown_outside_of_code(text):
    """What GitHub reads as Markdown: all but fenced blocks and spans of code."""
    prose, fence = [], None
    for line in text.splitlines():
        mark = re.match(r" {0,3}(`{3,})", line)
        if fence is None and mark:
            fence = mark[1]
        elif fence is not None and line.strip() and set(line.strip()) == {"`"}:
            fence = None if len(line.strip()) >= len(fence) else fence
        elif fence is None:
            prose.append(line)
    assert fence is None, "a fence is never closed"
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", "\n".join(prose))


class ClassroomReporter:
    """GitHub Classroom's autograding reporter: the points it notes, and what it prints."""

    def __init__(self, results):
        self.log = []
        for test in results["tests"]:
            line = "" if test.get("line_no") == 0 else f" - line {test.get('line_no', 'undefined')}"
            if test["status"] == "pass":
                self.log.append(f"✅ {test['name']}{line}")
            elif test["status"] == "error":
                self.log.append(f"Error: {test['message']}\n")
            else:
                self.log.append(f"❌ {test['name']}{line}")
            if test.get("test_code"):
                self.log.append(f"Test code:\n{test['test_code']}\n")
        self.points = None  # Nothing is noted.
        if results.get("max_score"):
            self.points = (sum(test["score"] for test in results["tests"]), results["max_score"])
        self.step_fails = results["status"] in ("fail", "error")


def _with_quoted_words(line):
    return re.sub(r"([a-zA-Z0-9]+):", r'"\1":', line)


def autolab_scores(output):
    """The scores that Autolab reads; raises where it would put 0 for a problem without a score."""
    last = output.rstrip().splitlines()[-1]
    parsed = json.loads(_with_quoted_words(last))
    if not parsed["scores"]:
        raise ValueError("empty autoresult")
    return parsed["scores"]


def autolab_stages(output):
    """The staged feedback in the line before, or None; rewritten as the scores are."""
    lines = output.rstrip().splitlines()
    if len(lines) < 2 or not lines[-2].startswith("{"):
        return None
    line = json.loads(_with_quoted_words(lines[-2]))
    return line if line.get("_presentation") == "semantic" else None


class JUnitReader:
    """JUnit XML as Jenkins takes it: of a case the first error, else the first failure, else skipped."""

    def __init__(self, text):
        self.root = ET.fromstring(text)
        self.cases = {}
        for suite in self.root.iter("testsuite"):
            for case in suite.iter("testcase"):
                name = f"{suite.get('name')}/{case.get('classname')}/{case.get('name')}"
                if name in self.cases:
                    raise ValueError(f"two cases {name}")
                self.cases[name] = case

    @staticmethod
    def outcome(case):
        for kind in ("error", "failure", "skipped"):
            if case.find(kind) is not None:
                return kind
        return "passed"

    def outcomes(self):
        return {name: self.outcome(case) for name, case in self.cases.items()}
