// For exercises in which somebody looks again and again, and sleeps in between.
//
//   Sandbox box(WatchesLooks({Family::kSharedMemory}));
//   Helper caller = box.Start("RemovesWhenIdle", ...);
//   EXPECT_TRUE(WaitsPatiently(box, caller)) << "somebody has it attached";

#ifndef IPCLAB_GRADERS_SHM_LOOKS_H_
#define IPCLAB_GRADERS_SHM_LOOKS_H_

#include <vector>

#include "common/grading/exercise.h"

namespace ipclab {

// Watches the calls by which somebody looks, and those in which he may sleep for a time.
SandboxOptions WatchesLooks(const std::vector<Family>& looks);

// Serves the box until the helper has slept twice more and looked in between; fails if it returns
// instead, or looks and looks.
[[nodiscard]] testing::AssertionResult WaitsPatiently(Sandbox& box, const Helper& helper);

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_LOOKS_H_
