"""What overlay.sh takes from a student's commit, what it refuses, and how it lists the rest.

    overlay_test.py FILE...: the scripts, from the root of the workspace
"""

import os
import shutil
import subprocess
import sys
import unittest

import testing

SCRIPTS = sys.argv[1:]
STARTER = "int answer() { return 0; }\n"
SOLVED = "int answer() { return 42; }\n"
MEBIBYTE = 1 << 20


class Overlay(unittest.TestCase):
    """Two labs, half and full; the student's repository begins as a clone."""

    @classmethod
    def setUpClass(cls):
        cls.first = testing.scratch(cls)
        upstream = testing.Repository(cls.first / "upstream")
        testing.copy_files(upstream, SCRIPTS)
        for lab in ("full", "half"):
            upstream.write(f"graders/{lab}/rubric.json", "{}")
            upstream.write(f"labs/{lab}/{lab}.cc", STARTER)
            upstream.write(f"labs/{lab}/{lab}.h", "extern int answer();\n")
        upstream.write(".github/workflows/autograde.yml", "pin me\n")
        upstream.commit()
        testing.git(upstream.path, "checkout", "-q", "-f", "HEAD")
        student = testing.Repository(cls.first / "student", upstream)
        student.write("labs/half/half.cc", SOLVED)

    def setUp(self):
        self.folder = testing.scratch(self)
        # Copies: to make the repositories anew takes most of a test's time.
        self.upstream, self.student = [
            testing.Repository(shutil.copytree(self.first / name, self.folder / name), made=True)
            for name in ("upstream", "student")]

    def run_script(self, *arguments, actions=True):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        if actions:
            environment["GITHUB_ACTIONS"] = "true"
            environment["GITHUB_STEP_SUMMARY"] = str(self.folder / "summary")
        done = subprocess.run([self.upstream.path / "tools/ci/overlay.sh", *arguments], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=environment)
        self.log = done.stdout.decode()
        self.status = done.returncode

    def overlay(self, labs="half", actions=True):
        commit = self.student.commit()
        self.dest = self.folder / "overlay"
        self.run_script(self.student.path, commit, self.dest, labs, actions=actions)
        self.assertEqual(self.status, 0, self.log)

    def lines(self, name):
        return (self.dest / name).read_text(encoding="utf-8").splitlines()

    def assert_refused(self, words):
        self.overlay()
        self.assertEqual(self.lines("refused"), [f"half: {words}"])
        self.assertEqual(self.lines("taken"), [])
        self.assertFalse((self.dest / "labs").exists())
        self.assertIn(f"ci: not taken: half: {words}\n", self.log)

    # What is taken.

    def test_takes_the_committed_file_and_nothing_else(self):
        self.student.write("labs/half/more.cc", "int more;\n")
        self.overlay()
        found = sorted(str(file.relative_to(self.dest)) for file in self.dest.rglob("*"))
        self.assertEqual(found, ["ignored", "labs", "labs/half", "labs/half/half.cc", "refused",
                                 "taken"])
        self.assertEqual((self.dest / "labs/half/half.cc").read_text(), SOLVED)
        self.assertEqual(self.lines("taken"), ["half"])
        self.assertEqual(self.lines("ignored"), ["A labs/half/more.cc"])

    def test_takes_all_labs_if_none_is_named(self):
        self.overlay(labs="")
        self.assertEqual(self.lines("taken"), ["full", "half"])
        self.assertEqual((self.dest / "labs/full/full.cc").read_text(), STARTER)

    def test_takes_the_labs_that_are_named_each_once(self):
        self.overlay(labs=" half,full, half")
        self.assertEqual(self.lines("taken"), ["half", "full"])

    def test_takes_what_was_committed_and_not_what_lies_in_the_working_tree(self):
        self.student.commit()
        (self.student.path / "labs/half/half.cc").write_text("int later;\n")
        self.overlay()
        self.assertEqual((self.dest / "labs/half/half.cc").read_text(), SOLVED)

    def test_makes_a_plain_file_of_an_executable_one(self):
        self.student.write("labs/half/half.cc", SOLVED, "100755")
        self.overlay()
        self.assertFalse(os.access(self.dest / "labs/half/half.cc", os.X_OK))
        self.assertEqual(self.lines("taken"), ["half"])

    def test_takes_a_file_of_one_mebibyte(self):
        self.student.write("labs/half/half.cc", "x" * MEBIBYTE)
        self.overlay()
        self.assertEqual(self.lines("taken"), ["half"])

    # What is refused, and with which words.

    def test_refuses_a_larger_file(self):
        self.student.write("labs/half/half.cc", "x" * (MEBIBYTE + 1))
        self.assert_refused(
            "labs/half/half.cc is larger than 1 MiB; commit the source file alone")

    def test_refuses_a_symbolic_link(self):
        self.student.write("labs/half/half.cc", "../full/full.cc", "120000")
        self.assert_refused("labs/half/half.cc is a symbolic link; commit the file itself")

    def test_refuses_a_file_behind_a_linked_folder(self):
        self.student.remove("labs/half")
        self.student.write("elsewhere/half.cc", SOLVED)
        self.student.write("labs/half", "../elsewhere", "120000")
        self.assert_refused("labs/half is a symbolic link; commit a real folder")

    def test_refuses_a_file_behind_a_linked_labs(self):
        self.student.remove("labs")
        self.student.write("elsewhere/half/half.cc", SOLVED)
        self.student.write("labs", "elsewhere", "120000")
        self.assert_refused("labs is a symbolic link; commit a real folder")

    def test_refuses_a_submodule_in_place_of_the_folder(self):
        self.student.remove("labs/half")
        self.student.put("labs/half", "160000", "1" * 40)
        self.assert_refused("labs/half is a submodule; commit the file itself")

    def test_refuses_a_submodule_in_place_of_the_file(self):
        self.student.put("labs/half/half.cc", "160000", "1" * 40)
        self.assert_refused("labs/half/half.cc is a submodule; commit the file itself")

    def test_refuses_a_folder_in_place_of_the_file(self):
        self.student.remove("labs/half/half.cc")
        self.student.write("labs/half/half.cc/half.cc", SOLVED)
        self.assert_refused("labs/half/half.cc is a folder; commit a C++ source file")

    def test_refuses_a_file_in_place_of_the_folder(self):
        self.student.remove("labs/half")
        self.student.write("labs/half", SOLVED)
        self.assert_refused("labs/half is not a folder")

    def test_refuses_a_missing_file_whatever_is_spelt_alike(self):
        self.student.remove("labs/half/half.cc")
        self.student.write("labs/half/Half.cc", SOLVED)
        self.assert_refused("labs/half/half.cc is missing; commit it")
        self.assertEqual(self.lines("ignored"), ["A labs/half/Half.cc"])

    def test_refuses_bytes_that_are_no_text(self):
        self.student.write("labs/half/half.cc", b"\0ELF")
        self.assert_refused(
            "labs/half/half.cc contains NUL bytes, so it is not source text; commit the .cc file")

    def test_refuses_a_pointer_of_git_lfs(self):
        self.student.write("labs/half/half.cc",
                           "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        self.assert_refused("labs/half/half.cc is kept by Git LFS, and only its pointer is here; "
                            "commit the file itself")

    def test_takes_the_others_if_one_is_refused(self):
        self.student.write("labs/half/half.cc", "x", "120000")
        self.overlay(labs="")
        self.assertEqual(self.lines("taken"), ["full"])
        self.assertEqual(len(self.lines("refused")), 1)

    # What is listed.

    def test_lists_what_was_added_changed_and_deleted(self):
        self.student.write("graders/half/rubric.json", '{"points": 1000}')
        self.student.write("graders/new/rubric.json", "{}")
        self.student.write("labs/full/full.h", "elsewhere.h", "120000")
        self.student.remove("labs/half/half.h")
        self.overlay()
        self.assertEqual(self.lines("ignored"),
                         ["M graders/half/rubric.json", "A graders/new/rubric.json",
                          "M labs/full/full.h", "D labs/half/half.h"])
        self.assertIn("  changed  graders/half/rubric.json\n"
                      "  added    graders/new/rubric.json\n"
                      "  changed  labs/full/full.h\n"
                      "  deleted  labs/half/half.h\n", self.log)
        self.assertEqual(testing.commands(self.log),
                         ["::notice title=Ignored::paths that differ from the graders' repository "
                          "and change nothing: 4"])

    def test_says_so_if_nothing_else_differs(self):
        self.student.write("labs/full/full.cc", SOLVED)
        self.overlay()
        self.assertEqual(self.lines("ignored"), [])
        self.assertIn("ci: besides the files of the labs nothing differs", self.log)

    def test_names_the_calling_workflow_by_its_digest(self):
        self.student.write(".github/workflows/autograde.yml", "pinned\n")
        self.overlay()
        blob = self.student.blob(".github/workflows/autograde.yml")
        self.assertIn(f"ci: .github/workflows/autograde.yml of this commit is blob {blob}\n",
                      self.log)
        self.assertEqual(self.lines("ignored"), [])

    def test_says_so_if_the_calling_workflow_is_not_there(self):
        self.student.remove(".github/workflows/autograde.yml")
        self.overlay()
        self.assertIn("ci: this commit holds no .github/workflows/autograde.yml\n", self.log)

    def test_shows_odd_names_as_data(self):
        names = ["::error::forged", "a\n::set-output name=points::100", "b\n::add-mask::0",
                 "##[error]forged", "red\x1b[31m", "caf\u00e9", "quote\"d", "tab\tbed"]
        for name in names:
            self.student.write(f"odd/{name}", "x")
        self.student.write("::notice::at the root", "x")
        self.overlay()
        self.assertEqual(testing.commands(self.log),
                         ["::notice title=Ignored::paths that differ from the graders' repository "
                          "and change nothing: 9"])
        self.assertEqual(len(self.lines("ignored")), 9)
        self.assertIn('  added    "odd/a\\n::set-output name=points::100"\n', self.log)
        self.assertIn('  added    "odd/red\\033[31m"\n', self.log)
        self.assertTrue(all(line.isprintable() and line.isascii()
                            for line in self.log.splitlines()), self.log)

    def test_shows_fifty_names_and_keeps_the_rest_for_the_report(self):
        for number in range(60):
            self.student.write(f"many/{number:02}-{'x' * 250}", "x")
        self.overlay()
        shown = [line for line in self.log.splitlines() if line.startswith("  added")]
        self.assertEqual(len(shown), 50)
        self.assertLessEqual(max(map(len, shown)), 210)
        self.assertIn("  and 10 more; the report has them in ignored.txt\n", self.log)
        self.assertEqual(len(self.lines("ignored")), 60)

    def test_lists_on_the_page_of_the_run_what_is_no_markup_there(self):
        for name in ("</pre><script>", "&amp;", "a\n\n# heading", "![x](y)"):
            self.student.write(f"odd {name}", "x")
        self.overlay()
        self.assertEqual((self.folder / "summary").read_text(), (
            "<details><summary>paths that differ from the graders' repository and change nothing: 4"
            "</summary><pre>\n"
            "A odd ![x](y)\nA odd &amp;amp;\nA odd &lt;/pre&gt;&lt;script&gt;\n"
            'A "odd a\\n\\n# heading"\n</pre></details>\n'))

    def test_needs_no_commands_outside_of_a_runner(self):
        self.student.write("extra", "x")
        self.overlay(actions=False)
        self.assertNotIn("::", self.log)
        self.assertIn("ci: Ignored: paths that differ from the graders' repository and change "
                      "nothing: 1\n", self.log)

    # What must not run or decide.

    def test_does_not_read_the_configuration_of_the_clone(self):
        canary = self.folder / "canary"
        script = self.folder / "script"
        testing.script(script, f"touch '{canary}'\ncat\n")
        self.student.write(".gitattributes", "*.cc filter=evil diff=evil\n")
        commit = self.student.commit()
        for key, value in (("core.fsmonitor", script), ("core.pager", script),
                           ("core.hooksPath", self.folder), ("filter.evil.smudge", script),
                           ("diff.evil.textconv", script), ("diff.external", script),
                           ("core.sshCommand", script)):
            testing.git(self.student.path, "config", key, str(value))
        with open(self.student.path / ".git/config", "a", encoding="utf-8") as config:
            config.write("[broken")
        self.dest = self.folder / "overlay"
        self.run_script(self.student.path, commit, self.dest, "half")
        self.assertEqual(self.status, 0, self.log)
        self.assertEqual(self.lines("taken"), ["half"])
        self.assertFalse(canary.exists())

    def test_does_not_replace_objects(self):
        solved = self.student.commit()
        self.student.write("labs/half/half.cc", "int other;\n")
        testing.git(self.student.path, "replace", solved, self.student.commit())
        self.dest = self.folder / "overlay"
        self.run_script(self.student.path, solved, self.dest, "half")
        self.assertEqual((self.dest / "labs/half/half.cc").read_text(), SOLVED)

    def test_fetches_nothing_that_is_missing(self):
        self.student.put("labs/half/half.cc", "100644", "1" * 40)
        tree = testing.git(self.student.path, "write-tree", "--missing-ok")
        commit = testing.git(self.student.path, "commit-tree", "-m", "next", tree)
        canary = self.folder / "canary"
        testing.script(self.folder / "fetch", f"touch '{canary}'\n")
        for key, value in (("remote.origin.promisor", "true"), ("protocol.ext.allow", "always"),
                           ("remote.origin.url", f"ext::{self.folder}/fetch")):
            testing.git(self.student.path, "config", key, value)
        self.run_script(self.student.path, commit, self.folder / "overlay", "half")
        self.assertEqual(self.status, 3, self.log)
        self.assertIn("::error title=Not graded::git could not read labs/half/half.cc", self.log)
        self.assertFalse(canary.exists())

    # Wrong usage.

    def test_refuses_a_lab_that_does_not_exist(self):
        for labs in ("nothing", "half ../half", "half;id", "::error::x", "-f"):
            self.run_script(self.student.path, self.student.commit(), self.folder / labs[:1], labs)
            self.assertEqual(self.status, 2, self.log)
            self.assertIn("::error title=Not graded::there is no such lab; the labs are: full half",
                          self.log)
            self.assertEqual(len(testing.commands(self.log)), 1)

    def test_refuses_what_is_no_commit(self):
        for commit in ("main", "HEAD", "", "1" * 39, "--help"):
            self.run_script(self.student.path, commit, self.folder / "overlay", "half")
            self.assertEqual(self.status, 2, self.log)
            self.assertIn("COMMIT must be 40 hexadecimal digits", self.log)

    def test_refuses_a_commit_that_is_not_there(self):
        self.run_script(self.student.path, "1" * 40, self.folder / "overlay", "half")
        self.assertEqual(self.status, 3, self.log)
        self.assertIn("STUDENT does not hold COMMIT", self.log)

    def test_refuses_a_folder_that_is_no_clone(self):
        self.run_script(self.folder, "1" * 40, self.folder / "overlay", "half")
        self.assertEqual(self.status, 2, self.log)
        self.assertIn("STUDENT is no clone: it has no .git/objects", self.log)

    def test_refuses_to_write_where_something_is(self):
        self.run_script(self.student.path, self.student.commit(), self.student.path, "half")
        self.assertEqual(self.status, 2, self.log)
        self.assertIn("DEST exists already, or cannot be made", self.log)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
