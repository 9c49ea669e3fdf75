// An error path sweep: every watched call of a scenario fails once, each in a box of its own.
//
//   HELPER(SweepsSendToChild) {
//     return STUDENT(send_to_child)("hello", 5, STDOUT_FILENO) == 0 ? 0 : 1;
//   }
//   EXPECT_THAT(SweepErrors("SweepsSendToChild", {.watch = {Family::kPipe, Family::kWait}}),
//               testing::IsEmpty());
//   EXPECT_EQ(RideOutStorm("SweepsSendToChild", {}), "");
//
// The helper goes on sensibly when a function fails (it does not stop what it could not start).
// Whatever call fails: the helper comes to its end, nothing is left behind, and a call that failed
// in the calling process for good is reported by a function that fails.

#ifndef IPCLAB_COMMON_GRADING_SWEEP_H_
#define IPCLAB_COMMON_GRADING_SWEEP_H_

#include <string>
#include <vector>

#include "common/grading/sandbox.h"

namespace ipclab {

// A sentence for every call and error after which something was wrong; empty if all is well. Throws
// GraderError if the scenario does not even work without an error.
std::vector<std::string> SweepErrors(const std::string& helper, const SandboxOptions& options);

// The same scenario, without errors but in a storm: all its processes are stopped and continued,
// and get signals that nobody has asked for (SIGURG, SIGWINCH), some hundred times. An untraced
// process notices none of it but the stops, and so must a traced one. Empty if the scenario comes
// to the same end; else what was wrong.
std::string RideOutStorm(const std::string& helper, const SandboxOptions& options);

// Expects both of a scenario, as a GoogleTest failure for each fault.
void ExpectSound(const std::string& helper, const SandboxOptions& options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_SWEEP_H_
