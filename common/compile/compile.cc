#include "common/compile/compile.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cctype>
#include <fstream>
#include <optional>
#include <sstream>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/compile/child.h"
#include "common/compile/counting.h"
#include "common/compile/coverage.h"
#include "common/compile/diagnostics.h"
#include "common/compile/elf_gate.h"
#include "common/compile/jail.h"

namespace ipclab {
namespace {

constexpr char kCompiler[] = "/usr/bin/g++";

std::string ReadOurFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!(text << in.rdbuf())) throw GraderError("cannot read " + path);
  return text.str();
}

// Where the compiler looks for precompiled headers when told to include kHeaders.
constexpr char kHeaders[] = "headers.h";
constexpr char kPrecompiled[] = "headers.h.gch";

// What all compilers have in common; inputs, outputs and optimisation are not.
std::vector<std::string> CompilerFlags(const Workplace& at) {
  return {kCompiler, "-std=c++20",
          "-g1",  // Lines of a crash and of an undefined name, without the weight of -g.
          "-pipe", "-Wall", "-Wextra", "-fPIC", "-fvisibility=default", "-fdiagnostics-color=never",
          "-fmax-errors=20",
          // __FILE__ is "pipe.cc", and the library does not tell where it was built.
          "-fmacro-prefix-map=" + at.folder + "/=",
          "-fdebug-prefix-map=" + at.folder + "=" + kJailFolder};
}

// What decides the code: precompiled headers serve a compiler with the same options only.
std::vector<std::string> CompilerCommand(const Workplace& at) {
  std::vector<std::string> argv = CompilerFlags(at);
  argv.insert(argv.end(), {"-O2", "-o", at.result});
  return argv;
}

std::vector<std::string> SubmissionCommand(const std::string& lab, bool precompiled,
                                           const Workplace& at) {
  std::vector<std::string> argv = CompilerCommand(at);
  argv.insert(argv.end(), {"-shared", "-Wl,-z,defs", "-Wl,-z,now", "-Wl,-z,noexecstack"});
  // There is no headers.h: if its precompiled form does not fit, that is an error.
  if (precompiled) argv.insert(argv.end(), {"-include", at.folder + "/" + kHeaders});
  argv.push_back(at.folder + "/" + lab + ".cc");
  return argv;
}

std::vector<std::string> HeadersCommand(const Workplace& at) {
  std::vector<std::string> argv = CompilerCommand(at);
  argv.insert(argv.end(), {"-x", "c++-header", at.folder + "/" + kHeaders});
  return argv;
}

std::string SystemIncludes(const std::string& text) {
  std::string includes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#include <")) includes += line + "\n";
  }
  return includes;
}

// Sealed, so that no holder can change what the gate has seen. See memfd_create(2), fcntl(2).
Fd SealedMemory(const std::string& bytes) {
  Fd memory(Check(memfd_create("submission", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create"));
  WriteAll(memory.get(), bytes);
  Check(lseek(memory.get(), 0, SEEK_SET), "lseek");
  Check(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
        "fcntl(F_ADD_SEALS)");
  return memory;
}

void CheckName(const std::string& lab) {
  bool fine = !lab.empty();
  for (const char c : lab) fine = fine && (std::isalnum(static_cast<unsigned char>(c)) || c == '_');
  if (!fine) throw GraderError("not a name of a lab: " + Printable(lab, 100));
}

}  // namespace

LabContract ReadContract(const std::string& lab, const std::string& header_path,
                         const std::string& exports_path) {
  CheckName(lab);
  LabContract contract{lab, header_path, {}, {}};
  std::istringstream lines(ReadOurFile(exports_path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, second, rest;
    words >> first >> second >> rest;
    if (first.empty() || first[0] == '#') continue;
    if (first == "forbid" && !second.empty() && rest.empty()) {
      contract.forbidden.push_back(second);
    } else if (second.empty()) {
      contract.symbols.push_back(first);
    } else {
      throw GraderError(exports_path + ": not a line of an exports file: " + Printable(line, 100));
    }
  }
  if (contract.symbols.empty()) throw GraderError(exports_path + " names no function");
  return contract;
}

Compiled CompileSubmission(const LabContract& contract, const Source& source,
                           const CompileOptions& options) {
  CheckName(contract.lab);
  if (access(kCompiler, X_OK) == -1) {
    throw GraderError(std::string("no compiler at ") + kCompiler + "; install the package g++");
  }
  JailJob job;
  job.files = {{contract.lab + ".cc", source.text},
               {contract.lab + ".h", ReadOurFile(contract.header_path)}};
  Workplace used;
  if (!options.counted_as.empty()) {
    for (JailFile& file : CountingFiles()) job.files.push_back(std::move(file));
  }
  job.command = [&](const Workplace& at) {
    used = at;
    if (!options.counted_as.empty()) {
      return CountingCommand(CompilerFlags(at), contract.lab, NameInReport(options.counted_as), at);
    }
    return SubmissionCommand(contract.lab, !options.precompiled.empty(), at);
  };
  job.limits = options.limits;
  if (!options.precompiled.empty()) job.lent = {{kPrecompiled, options.precompiled}};

  Compiled compiled;
  const JailRun run = RunJailed(job, options.allow_unjailed, compiled.jailed);
  compiled.diagnostics =
      ShownDiagnostics(run.messages, {used.folder, contract.lab, source.shown_path});
  const std::string shown = Printable(source.shown_path, 4096);
  if (const auto limit = LimitReached(run, options.limits)) {
    compiled.outcome = CompileOutcome::kLimit;
    compiled.reason = "compiling " + shown + " " + *limit;
    compiled.diagnostics.clear();  // The compiler takes its end for a bug of its own.
  } else if (run.exit_code != 0) {
    CheckOurPart(run);
    compiled.reason =
        shown + (LinkerFailed(run.messages) ? " compiles but does not link" : " does not compile");
  } else if (const auto reason =
                 RejectLibrary(run.result, {contract.symbols, contract.forbidden})) {
    compiled.outcome = CompileOutcome::kRejected;
    compiled.reason = shown + ": " + *reason;
  } else {
    compiled.outcome = CompileOutcome::kOk;
    compiled.library = SealedMemory(run.result);
  }
  return compiled;
}

std::string PrecompileHeaders(const Source& source, const CompileOptions& options) {
  JailJob job;
  job.files = {{kHeaders, SystemIncludes(source.text)}};
  job.command = HeadersCommand;
  job.limits = options.limits;
  bool jailed = true;
  JailRun run = RunJailed(job, options.allow_unjailed, jailed);
  if (run.exit_code != 0) {
    throw GraderError("cannot precompile the headers of " + Printable(source.shown_path, 4096) +
                      ": " + Printable(run.messages.head(), 500));
  }
  return std::move(run.result);
}

}  // namespace ipclab
