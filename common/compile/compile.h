// Builds a submission: one source file in, one shared object out, nothing written to disk.
//
//   const LabContract contract = ReadContract("pipe", header_path, exports_path);
//   const Source source = ReadSource("labs/pipe/pipe.cc");
//   const Compiled compiled = CompileSubmission(contract, source, {});
//   if (compiled.outcome == CompileOutcome::kOk) Load(compiled.library.get());
//   std::cout << compiled.reason << "\n" << compiled.diagnostics;
//
// To compile is to let a stranger drive a compiler: g++ runs in a bubblewrap jail that holds the
// toolchain, the lab's header and this one file. What it produces must pass the gate of elf_gate.h.

#ifndef IPCLAB_COMMON_COMPILE_COMPILE_H_
#define IPCLAB_COMMON_COMPILE_COMPILE_H_

#include <string>
#include <vector>

#include "common/base/fd.h"
#include "common/compile/limits.h"
#include "common/compile/source.h"

namespace ipclab {

// What the library of a lab must define and must not use.
struct LabContract {
  std::string lab;                     // "pipe": the file is then pipe.cc beside pipe.h.
  std::string header_path;             // Ours, read at every compile.
  std::vector<std::string> symbols;    // Functions that must be exported.
  std::vector<std::string> forbidden;  // Functions that must not be imported.
};

// Reads an exports file: a function's name on each line, or "forbid NAME"; empty lines and lines
// that start with # do not count. Throws GraderError.
LabContract ReadContract(const std::string& lab, const std::string& header_path,
                         const std::string& exports_path);

struct CompileOptions {
  CompileLimits limits;
  // A file of PrecompileHeaders, or empty. For sources of our own only: they see these headers even
  // if they do not include them.
  std::string precompiled;
  // Not empty: the library counts which of its lines run, for ReportCoverage; it is not optimised,
  // and `precompiled` does not count. Reports call the file so: a relative path of letters, digits
  // and "._-+".
  std::string counted_as;
  // Practice only: where no jail can be made, compile without one.
  bool allow_unjailed = false;
};

enum class CompileOutcome {
  kOk,
  kError,     // The compiler or the linker refuses it.
  kLimit,     // Compiling ran into a limit, which `reason` names.
  kRejected,  // It compiles, but not to what the lab asks for; `reason` says why.
};

struct Compiled {
  CompileOutcome outcome = CompileOutcome::kError;
  // Only with kOk: a sealed memfd at offset 0, close-on-exec. Duplicates share the offset, so
  // whoever reads it more than once opens /proc/self/fd/N anew.
  Fd library;
  std::string reason;       // One line; empty with kOk.
  std::string diagnostics;  // What the compiler said, warnings too; capped, safe to print.
  bool jailed = true;
};

// The headers that `source` includes as `#include <NAME>`, precompiled: half of the time that it
// takes to compile one of the hundred patches of a solution goes into them. Gives the bytes of the
// file, which only the compiler that made it can use. Throws GraderError if it cannot be made.
std::string PrecompileHeaders(const Source& source, const CompileOptions& options);

// Throws GraderError where no jail can be made (unless allowed) or the compiler cannot be started.
// Blocks until the compiler is done; safe to call from several threads at a time.
Compiled CompileSubmission(const LabContract& contract, const Source& source,
                           const CompileOptions& options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_COMPILE_H_
