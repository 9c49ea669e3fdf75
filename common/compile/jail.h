// Inside of common/compile: runs a compiler where it can reach nothing but its toolchain.
//
//   JailJob job{.files = {{"pipe.cc", text}}, .limits = limits};
//   job.command = [](const Workplace& at) { return CommandLine(at); };
//   const JailRun run = RunInJail(job);
//   if (!run.made) ...  // no jail on this machine; run.messages says why

#ifndef IPCLAB_COMMON_COMPILE_JAIL_H_
#define IPCLAB_COMMON_COMPILE_JAIL_H_

#include <functional>
#include <string>
#include <vector>

#include "common/compile/capped_text.h"
#include "common/compile/limits.h"

namespace ipclab {

inline constexpr char kJailFolder[] = "/submission";

// The folder that holds the job's files, and the path its command must write.
struct Workplace {
  std::string folder;
  std::string result;
};

struct JailFile {
  std::string name;  // May have folders before it.
  std::string text;
};

// A file that lies ready outside and is too large to be copied into every jail.
struct LentFile {
  std::string name;
  std::string path;  // Absolute, no link.
};

struct JailJob {
  std::vector<JailFile> files;
  std::vector<LentFile> lent;
  std::function<std::vector<std::string>(const Workplace&)> command;  // [0] is an absolute path.
  CompileLimits limits;
};

struct JailRun {
  bool made = false;       // The command's surroundings came about.
  bool timed_out = false;  // Ended by limits.wall.
  bool flooded = false;    // The result was larger than limits.file_bytes.
  int exit_code = -1;      // Of the command; 128 + N if signal N ended it, 125 if reading failed.
  std::string result;      // What the command left at Workplace::result, if exit_code is 0.
  CappedText messages;     // Standard output and error.
};

// In bubblewrap, see bwrap(1): own namespaces, no network, no /proc, a root that holds the
// toolchain and the files, all read-only but for /tmp. Throws GraderError if a system call of ours
// fails or somebody ends the jail from outside.
JailRun RunInJail(const JailJob& job);

// The same with limits only, in a new folder below /tmp that is removed again.
JailRun RunWithoutJail(const JailJob& job);

// In the jail. Where none can be made: throws GraderError, or if that is allowed runs without one
// and sets `jailed` to false.
JailRun RunJailed(const JailJob& job, bool allow_unjailed, bool& jailed);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_JAIL_H_
