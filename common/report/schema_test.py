"""The JSON of every example run is what the schema says, and a broken document is refused.

schema_test.py SCHEMA EXAMPLE_PROGRAM
"""

import copy
import json
import subprocess
import sys
import unittest

import jsonschema

SCHEMA_FILE, PROGRAM = sys.argv[1:3]


def example(name):
    return json.loads(subprocess.run([PROGRAM, "json", name], check=True, stdout=subprocess.PIPE).stdout)


class Schema(unittest.TestCase):
    def setUp(self):
        with open(SCHEMA_FILE, encoding="utf-8") as file:
            self.schema = json.load(file)
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def refuses(self, change, where):
        document = copy.deepcopy(example("mixed"))
        change(document)
        errors = [list(error.absolute_path) for error in self.validator.iter_errors(document)]
        self.assertEqual(errors, [where])

    def test_is_a_valid_schema_itself(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_accepts_every_example(self):
        for name in ("mixed", "broken", "refused"):
            self.validator.validate(example(name))

    def test_examples_use_every_status_and_every_property(self):
        run = example("mixed")
        checks = [check for lab in run["labs"] for check in lab["checks"]]
        statuses = {check["status"] for check in checks}
        self.assertEqual(statuses, {"passed", "failed", "not_graded", "skipped"})
        known = self.schema["$defs"]["check"]
        self.assertEqual(set(checks[0]), set(known["properties"]))
        self.assertEqual(set(known["required"]), set(known["properties"]))
        self.assertTrue(any(check["timeline"] for check in checks))

    def test_describes_every_property(self):
        for part in (self.schema, *self.schema["$defs"].values()):
            self.assertIs(part["additionalProperties"], False)
            for name, value in part["properties"].items():
                self.assertTrue("description" in value, name)

    def test_refuses_another_version(self):
        self.refuses(lambda run: run.update(schema="ipclab/result/v2"), ["schema"])

    def test_refuses_a_document_without_a_seed(self):
        self.refuses(lambda run: run.pop("seed"), [])

    def test_refuses_an_unknown_status(self):
        def change(run):
            run["labs"][0]["checks"][0]["status"] = "perfect"

        self.refuses(change, ["labs", 0, "checks", 0, "status"])

    def test_refuses_negative_points(self):
        def change(run):
            run["labs"][0]["checks"][2]["points"] = -1

        self.refuses(change, ["labs", 0, "checks", 2, "points"])

    def test_refuses_an_unknown_property(self):
        def change(run):
            run["labs"][0]["bonus"] = 5

        self.refuses(change, ["labs", 0])

    def test_refuses_an_unknown_isolation(self):
        self.refuses(lambda run: run["isolation"].update(mode="trust me"), ["isolation", "mode"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
