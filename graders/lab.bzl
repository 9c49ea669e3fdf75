"""The grader of a lab, and the proofs that it judges rightly."""

load("@rules_cc//cc:defs.bzl", "cc_binary")
load("//tools/build:copts.bzl", "IPCLAB_COPTS")

def lab_grader(name, checks):
    """Declares the grader of lab `name`.

    Args:
      name: the lab's folder under //labs, //solutions and //graders.
      checks: the sources with the checks.
    """
    cc_binary(
        name = name + "_grader",
        testonly = True,
        srcs = checks,
        copts = IPCLAB_COPTS,
        visibility = ["//visibility:public"],
        deps = [
            "//common/grading:main",
            "//labs/%s:contract" % name,
        ],
    )
