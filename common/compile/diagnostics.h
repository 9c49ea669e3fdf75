// Inside of common/compile: what the compiler's messages mean, and how a student gets to see them.

#ifndef IPCLAB_COMMON_COMPILE_DIAGNOSTICS_H_
#define IPCLAB_COMMON_COMPILE_DIAGNOSTICS_H_

#include <optional>
#include <string>

#include "common/compile/capped_text.h"
#include "common/compile/jail.h"
#include "common/compile/limits.h"

namespace ipclab {

// The names a student knows for what stands in the jail.
struct ShownNames {
  std::string folder;  // Where it was compiled.
  std::string lab;
  std::string source;
};

// Lines that end in \n, each printable; paths of the jail are replaced by the student's.
std::string ShownDiagnostics(const CappedText& messages, const ShownNames& names);

// "took more than 20 s of processor time" and the like; nothing if no limit was met.
std::optional<std::string> LimitReached(const JailRun& run, const CompileLimits& limits);

bool LinkerFailed(const CappedText& messages);

// Throws GraderError if the compiler failed for want of something of ours.
void CheckOurPart(const JailRun& run);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_DIAGNOSTICS_H_
