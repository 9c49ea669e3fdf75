"""Submissions as Bazel targets: a patched source, and a source compiled in the jail."""

def _patched_source_impl(ctx):
    result = ctx.actions.declare_file(ctx.label.name + ".cc")
    ctx.actions.run(
        executable = ctx.executable._apply_patch,
        arguments = [ctx.file.src.path, ctx.file.patch.path, result.path],
        inputs = [ctx.file.src, ctx.file.patch],
        outputs = [result],
        mnemonic = "PatchSource",
        progress_message = "Patching %s" % result.short_path,
    )
    return [DefaultInfo(
        files = depset([result]),
        runfiles = ctx.runfiles(files = [result]),
    )]

patched_source = rule(
    implementation = _patched_source_impl,
    doc = "Applies a unified diff to one source file and gives NAME.cc. Fails if a line of context differs.",
    attrs = {
        "src": attr.label(
            doc = "The file the patch was made against.",
            allow_single_file = [".cc"],
            mandatory = True,
        ),
        "patch": attr.label(
            doc = "The patch; it changes that file only.",
            allow_single_file = [".patch"],
            mandatory = True,
        ),
        "_apply_patch": attr.label(
            default = Label("//tools/build:apply_patch.sh"),
            allow_single_file = True,
            executable = True,
            cfg = "exec",
        ),
    },
)

def _precompiled_headers_impl(ctx):
    result = ctx.actions.declare_file(ctx.label.name + ".gch")
    arguments = ctx.actions.args()
    arguments.add("--source", ctx.file.src)
    arguments.add("--precompile", result)
    ctx.actions.run(
        executable = ctx.executable._compile,
        arguments = [arguments],
        inputs = [ctx.file.src],
        outputs = [result],
        mnemonic = "PrecompileHeaders",
        progress_message = "Precompiling headers of %s" % ctx.file.src.short_path,
    )
    return [DefaultInfo(files = depset([result]))]

_COMPILE = attr.label(
    default = Label("//common/compile:compile_submission"),
    executable = True,
    # What is compiled here is loaded here: "exec" would only build the tool twice.
    cfg = "target",
)

precompiled_headers = rule(
    implementation = _precompiled_headers_impl,
    doc = "The system headers that a source includes, once for all patches of that source.",
    attrs = {
        "src": attr.label(
            doc = "The source.",
            allow_single_file = [".cc"],
            mandatory = True,
        ),
        "_compile": _COMPILE,
    },
)

def _compiled_submission_impl(ctx):
    library = ctx.actions.declare_file(ctx.label.name + ".so")
    diagnostics = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = ctx.actions.args()
    arguments.add("--lab", ctx.attr.lab)
    arguments.add("--header", ctx.file.header)
    arguments.add("--exports", ctx.file.exports)
    arguments.add("--source", ctx.file.src)
    arguments.add("--shown", ctx.attr.shown or ctx.file.src.short_path)
    arguments.add("--out", library)
    arguments.add("--diagnostics", diagnostics)
    if ctx.attr.counted_as:
        arguments.add("--counted-as", ctx.attr.counted_as)
    if ctx.attr.allow_failure:
        arguments.add("--allow-failure")
    inputs = [ctx.file.src, ctx.file.header, ctx.file.exports]
    if ctx.file.precompiled:
        arguments.add("--precompiled", ctx.file.precompiled)
        inputs.append(ctx.file.precompiled)
    ctx.actions.run(
        executable = ctx.executable._compile,
        arguments = [arguments],
        inputs = inputs,
        outputs = [library, diagnostics],
        mnemonic = "CompileSubmission",
        progress_message = "Compiling submission %s" % library.short_path,
    )
    return [
        DefaultInfo(
            files = depset([library]),
            runfiles = ctx.runfiles(files = [library]),
        ),
        OutputGroupInfo(diagnostics = depset([diagnostics])),
    ]

compiled_submission = rule(
    implementation = _compiled_submission_impl,
    doc = "Compiles one file in the jail. Gives NAME.so; what the compiler said is in NAME.txt.",
    attrs = {
        "lab": attr.string(
            doc = "Name of the lab.",
            mandatory = True,
        ),
        "src": attr.label(
            doc = "The submission.",
            allow_single_file = [".cc"],
            mandatory = True,
        ),
        "header": attr.label(
            doc = "The lab's contract.",
            allow_single_file = [".h"],
            mandatory = True,
        ),
        "exports": attr.label(
            doc = "The functions that the library must define.",
            allow_single_file = [".txt"],
            mandatory = True,
        ),
        "shown": attr.string(doc = "How messages name the submission; its path by default."),
        "allow_failure": attr.bool(
            doc = "Gives an empty library where the submission does not compile, so that the " +
                  "build of a class goes on.",
        ),
        "counted_as": attr.string(
            doc = "Not empty: the library counts which of its lines run, for `lab coverage`.",
        ),
        "precompiled": attr.label(
            doc = "A precompiled_headers of the source that `src` is a patch of.",
            allow_single_file = [".gch"],
        ),
        "_compile": _COMPILE,
    },
)

def submission(name, lab, src, allow_failure = False, precompiled = None, **kwargs):
    """Compiles a submission to lab `lab` as the grader would.

    Args:
      name: of the target; its library is NAME.so.
      lab: the lab's folder under //labs and //graders.
      src: the source file, or a patched_source.
      allow_failure: gives an empty library instead of an error if it does not compile.
      precompiled: headers of the source that `src` is a patch of; it compiles in half the time.
      **kwargs: attributes that every rule has, such as testonly and visibility.
    """
    compiled_submission(
        name = name,
        lab = lab,
        src = src,
        allow_failure = allow_failure,
        precompiled = precompiled,
        exports = "//graders/%s:exports.txt" % lab,
        header = "//labs/%s:%s.h" % (lab, lab),
        **kwargs
    )
