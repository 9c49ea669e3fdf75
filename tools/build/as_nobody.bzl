"""Tests that must hold for an ordinary user too."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")

def as_nobody_test(name, program, data = [], env = {}):
    """Runs a cc_test's program as an ordinary user.

    Args:
      name: of the test.
      program: the cc_test.
      data: files that the program reads.
      env: its environment, where $(rootpath ...) names one of `data`.
    """
    sh_test(
        name = name,
        size = "small",
        srcs = ["//tools/build:as_nobody.sh"],
        args = ["$(rootpath %s)" % target for target in [program] + data],
        data = [program] + data,
        env = env,
        # Bazel's sandbox has one user only.
        tags = ["no-sandbox"],
    )
