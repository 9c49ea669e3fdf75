"""Repositories for the Bazel 4.2.3 of Debian 12: no network, only Debian packages.

Loaded only from WORKSPACE: Bazel 7 (WORKSPACE.bzlmod), 8 and 9 never read it.
"""

_CC_RULES = ["cc_binary", "cc_import", "cc_library", "cc_proto_library", "cc_test", "cc_toolchain", "cc_toolchain_suite", "objc_import", "objc_library"]

_JAVA_RULES = ["java_binary", "java_import", "java_library", "java_package_configuration", "java_plugin", "java_proto_library", "java_runtime", "java_test", "java_toolchain"]

_SHELL_RULES = ["sh_binary", "sh_library", "sh_test"]

def _native_rules_impl(ctx):
    pkg = ctx.attr.package
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file(pkg + "/BUILD", "exports_files(glob([\"*.bzl\"]), visibility = [\"//visibility:public\"])\n")
    ctx.file(pkg + "/defs.bzl", "".join(["%s = native.%s\n" % (r, r) for r in ctx.attr.rules]))
    for r in ctx.attr.rules:
        ctx.file("%s/%s.bzl" % (pkg, r), "%s = native.%s\n" % (r, r))

_native_rules = repository_rule(
    implementation = _native_rules_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "rules": attr.string_list(mandatory = True),
    },
)

def _coverage_tools_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.symlink(ctx.attr.merger, "lcov_merger.py")
    ctx.file("BUILD", """
package(default_visibility = ["//visibility:public"])
sh_binary(name = "coverage_report_generator", srcs = ["lcov_merger.py"])
sh_binary(name = "lcov_merger", srcs = ["lcov_merger.py"])
""")

_coverage_tools = repository_rule(
    implementation = _coverage_tools_impl,
    attrs = {"merger": attr.label(default = "//tools/offline:lcov_merger.py")},
)

def _system_googletest_impl(ctx):
    root = ctx.path(ctx.attr.path)
    if not root.exists:
        fail("no %s: install Debian's package googletest" % root)
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.symlink(ctx.path(ctx.attr.path + "/googletest"), "googletest")
    ctx.symlink(ctx.path(ctx.attr.path + "/googlemock"), "googlemock")
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

_system_googletest = repository_rule(
    implementation = _system_googletest_impl,
    attrs = {
        "path": attr.string(default = "/usr/src/googletest"),
        "build_file": attr.label(default = "//tools/offline:googletest.BUILD"),
    },
    local = True,
)

def offline_repositories():
    """Defines what 4.2.3 would otherwise download."""
    _native_rules(name = "rules_cc", package = "cc", rules = _CC_RULES)
    _native_rules(name = "rules_java", package = "java", rules = _JAVA_RULES)
    _native_rules(name = "rules_shell", package = "shell", rules = _SHELL_RULES)
    _coverage_tools(name = "remote_coverage_tools")
    _system_googletest(name = "googletest")
