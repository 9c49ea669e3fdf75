"""The form of the workflows and of the dev container: rights, pins, commands that exist.

    workflow_test.py
"""

import json
import os
import re
import sys
import unittest
from pathlib import Path

import yaml

WORKFLOWS = Path(".github/workflows")
COMMIT = r"[0-9a-f]{40}"


def load(name):
    workflow = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    # YAML 1.1 reads the key "on" as a truth value.
    workflow["on"] = workflow.pop(True)
    return workflow


class GradeWorkflow(unittest.TestCase):
    def setUp(self):
        self.workflow = load("grade.yml")
        self.text = (WORKFLOWS / "grade.yml").read_text(encoding="utf-8")
        self.job = self.workflow["jobs"]["grade"]
        self.steps = self.job["steps"]

    def test_can_only_be_called(self):
        self.assertEqual(list(self.workflow["on"]), ["workflow_call"])
        self.assertEqual(list(self.workflow["jobs"]), ["grade"])

    def test_may_read_and_knows_no_secrets(self):
        self.assertEqual(self.workflow["permissions"], {"contents": "read"})
        self.assertEqual(self.job["permissions"], {"contents": "read"})
        self.assertNotIn("secrets", self.workflow["on"]["workflow_call"])
        for word in ("secrets", "github.token", "GITHUB_TOKEN"):
            self.assertNotIn(word, self.text)

    def test_ends_by_itself_and_gives_way_to_a_newer_push(self):
        self.assertLessEqual(self.job["timeout-minutes"], 45)
        self.assertIn("github.ref", self.job["concurrency"]["group"])
        self.assertIs(self.job["concurrency"]["cancel-in-progress"], True)

    def test_uses_actions_of_github_alone_each_by_a_commit(self):
        used = [step["uses"] for step in self.steps if "uses" in step]
        self.assertEqual(len(used), 3)
        for action in used:
            self.assertRegex(action, rf"^actions/(checkout|upload-artifact)@{COMMIT}$")

    def test_takes_the_graders_from_where_the_workflow_itself_came_from(self):
        graders, student = [step["with"] for step in self.steps
                            if "checkout" in step.get("uses", "")]
        self.assertEqual(graders, {"repository": "${{ job.workflow_repository }}",
                                   "ref": "${{ job.workflow_sha }}", "path": "upstream",
                                   "persist-credentials": False})
        self.assertEqual(student, {"ref": "${{ github.sha }}", "path": "student",
                                   "persist-credentials": False})

    def test_runs_nothing_but_scripts_of_the_graders_checkout(self):
        for step in self.steps:
            if "run" not in step:
                continue
            self.assertNotIn("${{", step["run"], "a value may only come through env")
            script = re.fullmatch(r'upstream/(tools/ci/[a-z]+\.sh)( [a-z]+| "\$[A-Z]+")*',
                                  step["run"])
            self.assertTrue(script, step["run"])
            self.assertTrue(os.access(script[1], os.X_OK), script[1])
            self.assertFalse({"shell", "working-directory"} & set(step))

    def test_gives_out_what_the_grading_step_has_found(self):
        outputs = self.job["outputs"]
        self.assertEqual(outputs, {name: f"${{{{ steps.grade.outputs.{name} }}}}"
                                   for name in outputs})
        self.assertEqual({name: output["value"] for name, output
                          in self.workflow["on"]["workflow_call"]["outputs"].items()},
                         {name: f"${{{{ jobs.grade.outputs.{name} }}}}" for name in outputs})
        written = set(re.findall(r'output "?([a-z-]+)=', Path("tools/ci/grade.sh").read_text()))
        written |= set(re.findall(r'"(points|max-points|percent)"',
                                  Path("tools/ci/totals.py").read_text()))
        self.assertEqual(set(outputs), written)


class AutogradeWorkflow(unittest.TestCase):
    def setUp(self):
        self.workflow = load("autograde.yml")
        self.job = self.workflow["jobs"]["grade"]

    def test_grades_every_push_to_a_branch(self):
        self.assertEqual(self.workflow["on"], {"push": {"branches": ["**"]},
                                               "workflow_dispatch": None})

    def test_may_read_and_hands_on_no_secrets(self):
        self.assertEqual(self.workflow["permissions"], {"contents": "read"})
        self.assertEqual(set(self.job), {"if", "uses", "with"})

    def test_does_nothing_before_it_is_pinned_to_a_commit(self):
        if self.job["uses"] == "./.github/workflows/grade.yml":
            self.assertIs(self.job["if"], False)
        else:
            pinned = re.fullmatch(rf"([^/]+/[^/]+)/\.github/workflows/grade\.yml@{COMMIT}",
                                  self.job["uses"])
            self.assertTrue(pinned, self.job["uses"])
            self.assertEqual(self.job["if"], f"github.repository != '{pinned[1]}'")

    def test_gives_the_inputs_that_there_are(self):
        self.assertEqual(set(self.job["with"]),
                         set(load("grade.yml")["on"]["workflow_call"]["inputs"]))


class DevContainer(unittest.TestCase):
    def setUp(self):
        text = Path(".devcontainer/devcontainer.json").read_text(encoding="utf-8")
        self.container = json.loads(re.sub(r"(?m)^\s*//.*$", "", text))

    def test_is_made_from_a_version_and_not_from_the_latest(self):
        self.assertRegex(self.container["image"],
                         r"^mcr\.microsoft\.com/devcontainers/base:\d+\.\d+\.\d+-bookworm$")

    def test_runs_a_command_of_the_launcher(self):
        program, command = self.container["postCreateCommand"].split(" ")
        self.assertTrue(os.access(program, os.X_OK))
        self.assertRegex(Path(program).read_text(encoding="utf-8"), rf"(?m)^{command}\)$")

    def test_lifts_what_keeps_boxes_from_being_made_and_no_more(self):
        self.assertEqual(self.container["runArgs"], ["--security-opt=seccomp=unconfined",
                                                     "--security-opt=apparmor=unconfined"])
        self.assertFalse({"privileged", "capAdd", "mounts"} & set(self.container))

    def test_names_extensions_as_the_marketplace_does(self):
        for extension in self.container["customizations"]["vscode"]["extensions"]:
            self.assertRegex(extension, r"^[A-Za-z0-9-]+\.[a-z-]+$")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
