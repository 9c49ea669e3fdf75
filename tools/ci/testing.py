"""Scratch repositories, and a runner that does what .github/workflows/grade.yml says.

    upstream = Repository(folder / "upstream")
    upstream.write("labs/half/half.cc", "int answer() { return 42; }\\n")
    commit = upstream.commit()
    run = Runner(folder, upstream, student, programs={"common/cli/lab": path}).run(labs="half")
    run.status, run.log, run.outputs, run.result
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

HOME = "ORG/ipc-labs"

# git without anybody's settings, and with somebody who commits.
GIT_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder, *arguments, stdin=b""):
    done = subprocess.run(["/usr/bin/git", "-C", folder, *arguments], input=stdin,
                          env=GIT_ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().strip()


class Repository:
    """A repository whose index is the next commit; its working tree need not agree."""

    def __init__(self, path, cloned_from=None, made=False):
        self.path = Path(path)
        if cloned_from:
            git("/", "clone", "-q", cloned_from.path, path)
        elif not made:
            git("/", "init", "-q", "-b", "main", path)

    def write(self, path, data, mode="100644"):
        """Puts a file, or with mode 120000 a link to `data`, into the next commit."""
        data = data.encode() if isinstance(data, str) else data
        blob = git(self.path, "hash-object", "-w", "--stdin", stdin=data)
        self.put(path, mode, blob)

    def put(self, path, mode, name):
        entry = f"{mode} {name}\t".encode() + path.encode() + b"\0"
        git(self.path, "update-index", "-z", "--index-info", stdin=entry)

    def remove(self, path):
        git(self.path, "rm", "-q", "-r", "-f", "--cached", path)

    def commit(self):
        git(self.path, "commit", "-q", "--allow-empty", "-m", "next")
        return git(self.path, "rev-parse", "HEAD")

    def blob(self, path):
        return git(self.path, "rev-parse", f"HEAD:{path}")


def script(path, text):
    Path(path).write_text("#!/bin/sh\n" + text, encoding="utf-8")
    Path(path).chmod(0o755)


class Run:
    """What came of one run of the workflow."""

    def __init__(self, status, log, outputs, workspace):
        self.status = status
        self.log = log
        self.outputs = outputs
        self.workspace = workspace

    @property
    def result(self):
        return json.loads((self.workspace / "report/result.json").read_text(encoding="utf-8"))

    @property
    def summary(self):
        return (self.workspace / "summary").read_text(encoding="utf-8")

    def commands(self):
        """What a runner takes for commands, but for those that the format github has made."""
        made = self.workspace / "report/annotations.txt"
        ours = made.read_text(encoding="utf-8").splitlines() if made.exists() else []
        return [line for line in commands(self.log) if line not in ours]

    def grade(self):
        """The outputs, without the report for GitHub Classroom: it tells times, too."""
        return {name: value for name, value in self.outputs.items() if name != "classroom"}

    def verdicts(self):
        return {check["id"]: (check["status"], check["points"])
                for lab in self.result["labs"] for check in lab["checks"]}


class Runner:
    """Takes the steps of the job one by one. Checking out is a clone, uploading is left out."""

    WORKFLOW = Path(".github/workflows/grade.yml")

    def __init__(self, folder, upstream, student, programs):
        self.folder = Path(folder)
        self.repositories = {HOME: upstream, "student": student}
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.builds = self.folder / "builds"
        # Instead of building: puts the programs where a build would.
        copies = "\n".join(f"mkdir -p '.lab/bazel-bin/{Path(to).parent}'; "
                           f"cp '{Path(source).resolve()}' '.lab/bazel-bin/{to}'"
                           for to, source in programs.items())
        script(self.bin / "bazel", f'echo "$PWD $*" >>"{self.builds}"\n{copies}\n')
        script(self.bin / "dpkg-query", 'for word; do echo "installed $word"; done\n')
        script(self.bin / "sysctl", "exit 1\n")

    def run(self, ref=None, **inputs):
        workflow = yaml.safe_load(self.WORKFLOW.read_text(encoding="utf-8"))
        job = workflow["jobs"]["grade"]
        # YAML 1.1 reads the key "on" as a truth value.
        declared = workflow[True]["workflow_call"]["inputs"]
        commit = git(self.repositories[HOME].path, "rev-parse", "HEAD")
        values = {
            "job.workflow_repository": HOME,
            "job.workflow_sha": commit,
            "job.workflow_ref": f"{HOME}/.github/workflows/grade.yml@{ref or commit}",
            "github.sha": git(self.repositories["student"].path, "rev-parse", "HEAD"),
            **{f"inputs.{name}": inputs.pop(name.replace("-", "_"), what["default"])
               for name, what in declared.items()},
        }
        assert not inputs, inputs
        workspace = self.folder / f"workspace{len(list(self.folder.glob('workspace*')))}"
        workspace.mkdir()
        steps = Steps(workspace, values, self)
        status = 0
        for step in job["steps"]:
            if status == 0 or "if" in step:
                status = steps.take(step) or status
        outputs = dict(line.split("=", 1) for line in steps.output.read_text().splitlines())
        return Run(status, steps.log, outputs, workspace)


class Steps:
    def __init__(self, workspace, values, runner):
        self.workspace = workspace
        self.values = values
        self.runner = runner
        self.log = ""
        self.output = workspace / "output"
        self.summary = workspace / "summary"
        self.output.touch()

    def value(self, text):
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(self.values[found[1]]), str(text))

    def take(self, step):
        if "run" in step:
            return self.shell(step)
        if step["uses"].startswith("actions/checkout@"):
            return self.checkout(step["with"])
        assert step["uses"].startswith("actions/upload-artifact@"), step
        return 0

    def checkout(self, options):
        source = self.runner.repositories[self.value(options.get("repository", "student"))]
        target = self.workspace / options["path"]
        git("/", "clone", "-q", "--no-local", "--no-checkout", source.path, target)
        git(target, "checkout", "-q", "--detach", self.value(options["ref"]))
        return 0

    def shell(self, step):
        assert "${{" not in step["run"], step
        self.summary.touch()  # As the runner does.
        done = subprocess.run(
            # As a runner starts a step that names no shell.
            ["/bin/bash", "-e", "-c", step["run"]], cwd=self.workspace, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env={"PATH": f"{self.runner.bin}:/usr/bin:/bin", "HOME": str(self.workspace),
                 "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(self.output),
                 "GITHUB_STEP_SUMMARY": str(self.summary), "SECRET": "leaked",
                 **{name: self.value(text) for name, text in step.get("env", {}).items()}})
        self.log += done.stdout.decode()
        return done.returncode


def commands(log):
    """The lines that a runner would take for commands, given what was paused."""
    found = []
    resume = None
    for line in log.splitlines():
        if resume:
            resume = None if line.strip() == f"::{resume}::" else resume
        elif line.strip().startswith("::stop-commands::"):
            resume = line.strip().removeprefix("::stop-commands::")
            assert re.fullmatch("[0-9a-f]{32}", resume), line
        elif line.strip().startswith("::") or "##[" in line:
            found.append(line)
    assert resume is None, "commands were paused and never resumed"
    return found


def copy_files(repository, files):
    """Puts files of this repository where they are here into the next commit of `repository`."""
    for file in files:
        mode = "100755" if os.access(file, os.X_OK) else "100644"
        # Bazel has ./lab, which git takes for no name.
        repository.write(os.path.normpath(file), Path(file).read_bytes(), mode)


def scratch(test):
    """A new folder that goes with the test, or with the class of tests."""
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR")))
    clean_up = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    clean_up(shutil.rmtree, folder, ignore_errors=True)
    return folder
