// Inside of common/compile: builds a library that counts which of its lines run.
//
//   JailFile file{"pipe.cc", text};
//   job.files = {file}; Append(job.files, CountingFiles());
//   job.command = [&](const Workplace& at) { return CountingCommand(flags, "pipe", name, at); };
//
// GCC counts for gcov(1), and this leaves out all that gcov does at run time: no hook when a
// process ends, no wrapper around fork(2) and execve(2), no file. The counters fill pages of their
// own, so that somebody can put shared memory in their place: then every process counts, however it
// ends. The library offers them as the symbol `ipclab_counters`, see common/sandbox/counters.h, and
// holds the notes that gcov needs in a section of that name which nobody loads.

#ifndef IPCLAB_COMMON_COMPILE_COUNTING_H_
#define IPCLAB_COMMON_COMPILE_COUNTING_H_

#include <string>
#include <vector>

#include "common/compile/jail.h"

namespace ipclab {

inline constexpr char kNotesSection[] = ".ipclab_notes";

// What CountingCommand needs beside the submission.
std::vector<JailFile> CountingFiles();

// Compiles and links `lab`.cc by `compiler`, a command without inputs and outputs, to at.result.
// Reports will call the file `name`. See gcc(1), -fprofile-arcs and -fprofile-info-section.
std::vector<std::string> CountingCommand(const std::vector<std::string>& compiler,
                                         const std::string& lab, const std::string& name,
                                         const Workplace& at);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_COUNTING_H_
