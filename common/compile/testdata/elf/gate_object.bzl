"""Objects for elf_gate_test, each acceptable but for one thing."""

def _gate_object_impl(ctx):
    result = ctx.actions.declare_file(ctx.label.name)

    # Not a cc_binary: like a submission, an object takes no flag of the build's configuration.
    ctx.actions.run(
        executable = "/usr/bin/g++",
        arguments = ["-fPIC", "-O1", "-o", result.path, ctx.file.src.path] + ctx.attr.options,
        inputs = [ctx.file.src],
        outputs = [result],
        env = {"PATH": "/usr/bin:/bin"},
        mnemonic = "GateObject",
    )
    return [DefaultInfo(
        files = depset([result]),
        runfiles = ctx.runfiles(files = [result]),
    )]

gate_object = rule(
    implementation = _gate_object_impl,
    attrs = {
        "src": attr.label(
            allow_single_file = [".cc"],
            mandatory = True,
        ),
        "options": attr.string_list(doc = "What the gate is to find."),
    },
)
