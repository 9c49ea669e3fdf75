// Runs a lab's grader and hands on what it writes, line by line.
//
//   GraderPlan plan{.program = grader, .rubric = rubric, .library = compiled.library.get()};
//   const GraderEnd end = RunGrader(plan, interrupts, [](std::string_view line) { ... });
//
// The grader gets a clean environment, /dev/null as input, one descriptor for results and one for
// the submission, and no other. See common/grading/grader.h for what it writes.

#ifndef IPCLAB_COMMON_CLI_GRADER_PROCESS_H_
#define IPCLAB_COMMON_CLI_GRADER_PROCESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/cli/interrupt.h"

namespace ipclab {

struct GraderPlan {
  std::string program;
  std::string rubric;
  int library = -1;  // Stays the caller's.
  std::uint64_t seed = 0;
  std::vector<std::string> checks;  // Empty: all.
  bool credit = false;
  std::string language = "en";
  // A backstop: a grader that writes nothing for so long is killed. No check takes longer.
  std::chrono::milliseconds silence{120000};
};

struct GraderEnd {
  int status = 0;           // As of waitpid(2).
  bool was_silent = false;  // Killed for saying nothing.
  int interrupted_by = 0;   // Killed because this signal came to us.
  std::string output;       // Its standard output and error: the last part, for debugging.
};

// Calls `on_line` for every whole line of results, and for a last one that lacks its end. Throws
// GraderError if the grader cannot be started. No grader survives it.
GraderEnd RunGrader(const GraderPlan& plan, Interrupts& interrupts,
                    const std::function<void(std::string_view)>& on_line);

// "exited with status 1", "was killed by SIGSEGV".
std::string DescribeEnd(const GraderEnd& end);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_GRADER_PROCESS_H_
