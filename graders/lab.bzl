"""The grader of a lab, and the proofs that it judges rightly."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")
load("@rules_shell//shell:sh_test.bzl", "sh_test")
load("//tools/build:copts.bzl", "IPCLAB_COPTS")
load("//tools/build:submission.bzl", "patched_source", "precompiled_headers", "submission")

def _proof(name, lab, library, expect, patch = None, slow = False):
    """Runs the lab's grader on one submission and compares its verdicts with what is expected.

    Args:
      name: of the test.
      lab: the lab's folder.
      library: target of the submission.
      expect: "perfect", "nothing" or "caught"; see common/grading/proof.h.
      patch: of a mistake, whose header lines name the checks that must fail.
      slow: left out by `lab test --quick`.
    """
    grader = ":%s_grader" % lab
    args = [
        "$(rootpath //common/grading:proof)",
        "--grader=$(rootpath %s)" % grader,
        "--rubric=$(rootpath rubric.json)",
        "--submission=$(rootpath %s)" % library,
        "--expect=" + expect,
    ]
    data = [
        grader,
        library,
        "rubric.json",
        "//common/grading:proof",
    ]
    if patch:
        args.append("--patch=$(rootpath %s)" % patch)
        data.append(patch)
    sh_test(
        name = name,
        size = "medium",
        srcs = ["//tools/build:run.sh"],
        args = args,
        data = data,
        tags = ["slow"] if slow else [],
    )

def _patched(name, lab, patch):
    """A submission NAME: the solution with a patch applied."""
    patched_source(
        name = name + "_source",
        testonly = True,
        src = "//solutions/%s:%s.cc" % (lab, lab),
        patch = patch,
    )
    submission(
        name = name,
        testonly = True,
        lab = lab,
        src = ":%s_source" % name,
        precompiled = ":solution_headers",
    )

def lab_grader(name, checks, programs, mistakes, alternatives):
    """Declares the grader of lab `name` and everything that proves it.

    Args:
      name: the lab's folder under //labs, //solutions and //graders.
      checks: the sources with the checks.
      programs: the sources with the programs of the box.
      mistakes: patches of the solution, each of which the checks it names must catch.
      alternatives: patches of the solution that are as right as it is.
    """
    cc_binary(
        name = name + "_grader",
        testonly = True,
        srcs = checks + programs,
        copts = IPCLAB_COPTS,
        visibility = ["//visibility:public"],
        deps = [
            "//common/grading:main",
            "//labs/%s:contract" % name,
        ],
    )

    for submitted, expect in [("solution", "perfect"), ("starter", "nothing")]:
        folder = "solutions" if submitted == "solution" else "labs"
        submission(
            name = submitted,
            testonly = True,
            lab = name,
            src = "//%s/%s:%s.cc" % (folder, name, name),
            visibility = ["//visibility:public"],
        )
        _proof(submitted + "_test", name, ":" + submitted, expect)

    cc_test(
        name = "sweep_test",
        size = "medium",
        srcs = ["sweep_test.cc"] + programs,
        copts = IPCLAB_COPTS,
        data = [":solution"],
        env = {"IPCLAB_TEST_SUBMISSION": "$(rootpath :solution)"},
        deps = [
            "//common/grading:boxed_test_main",
            "//labs/%s:contract" % name,
        ],
    )

    precompiled_headers(
        name = "solution_headers",
        testonly = True,
        src = "//solutions/%s:%s.cc" % (name, name),
    )

    for patch in mistakes:
        mistake = patch.split("/")[-1][:-len(".patch")]
        _patched(mistake, name, patch)
        _proof(mistake + "_test", name, ":" + mistake, "caught", patch = patch, slow = True)

    for patch in alternatives:
        alternative = "as_right_" + patch.split("/")[-1][:-len(".patch")]
        _patched(alternative, name, patch)
        _proof(alternative + "_test", name, ":" + alternative, "perfect", slow = True)

    # Outside Bazel's sandbox, where root can become an ordinary user.
    sh_test(
        name = "life_test",
        size = "medium",
        srcs = ["//tools/build:run.sh"],
        args = [
            "/usr/bin/python3",
            "$(rootpath //graders:life_test.py)",
            "$(rootpath :%s_grader)" % name,
            "$(rootpath rubric.json)",
            "$(rootpath :solution)",
        ],
        data = [
            "rubric.json",
            ":%s_grader" % name,
            ":solution",
            "//graders:life_test.py",
        ],
        tags = ["no-sandbox"],
    )

    sh_test(
        name = "every_check_is_proved_test",
        size = "small",
        srcs = ["//graders:every_check_is_proved.sh"],
        args = ["$(rootpath rubric.json)"] + ["$(rootpath %s)" % patch for patch in mistakes],
        data = ["rubric.json"] + mistakes,
    )
