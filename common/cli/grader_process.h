// Runs graders side by side and hands on what they write, line by line.
//
//   GraderPlan plan{.program = grader, .rubric = rubric, .library = compiled.library.get()};
//   const std::vector<GraderEnd> ends = RunGraders(
//       {plan}, interrupts, [](std::size_t grader, std::string_view line) { ... });
//
// Each grader gets a clean environment, /dev/null as input, one descriptor for results and one for
// the submission, and no other. See common/grading/grader.h for what it writes.

#ifndef IPCLAB_COMMON_CLI_GRADER_PROCESS_H_
#define IPCLAB_COMMON_CLI_GRADER_PROCESS_H_

#include <chrono>
#include <cstddef>
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
  int library = -1;  // Descriptors stay the caller's.
  // For a library that counts which of its lines run, see common/grading/grader.h; -1: not counted,
  // not written.
  int counters = -1;
  int write_counts = -1;
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

// A whole line of results, or a last one that lacks its end, of the grader with this plan's number.
using OnGraderLine = std::function<void(std::size_t grader, std::string_view line)>;

// The ends are in the order of the plans. Throws GraderError if a grader cannot be started. No
// grader survives it.
std::vector<GraderEnd> RunGraders(const std::vector<GraderPlan>& plans, Interrupts& interrupts,
                                  const OnGraderLine& on_line);

// "exited with status 1", "was killed by SIGSEGV".
std::string DescribeEnd(const GraderEnd& end);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_GRADER_PROCESS_H_
