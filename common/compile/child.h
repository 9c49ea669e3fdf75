// Inside of common/compile: runs a program to its end and keeps what it says.
//
//   ChildRun run = RunChild({{"/bin/echo", "hi"}, {"LC_ALL=C"}});     // run.output == "hi\n"

#ifndef IPCLAB_COMMON_COMPILE_CHILD_H_
#define IPCLAB_COMMON_COMPILE_CHILD_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/compile/capped_text.h"

namespace ipclab {

struct ChildPlan {
  static constexpr int kFirstFd = 3;

  std::vector<std::string> argv;  // argv[0] is a path.
  std::vector<std::string> environment;
  std::string folder = "/";  // Its working directory.
  std::vector<int> fds;  // Become its descriptors kFirstFd, kFirstFd + 1, ...; others it gets none.
  std::size_t output_limit = std::size_t{1} << 20;
  std::chrono::milliseconds wall{60000};
};

struct ChildRun {
  int status = 0;  // As of waitpid(2).
  bool timed_out = false;
  bool flooded = false;  // It wrote more than output_limit and was killed.
  std::string output;
  CappedText messages;  // Its standard error.
};

// Standard input is /dev/null, no signal is blocked, each at its default. With `wall` over it and
// its descendants get SIGKILL. Throws GraderError if it cannot be started; nothing survives.
ChildRun RunChild(const ChildPlan& plan);

// write(2) until all is written. Throws GraderError.
void WriteAll(int fd, std::string_view bytes);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_CHILD_H_
