// For exercises in which somebody looks again and again, and sleeps in between.
//
//   Sandbox box(WatchesLooks({Family::kSemaphores}));
//   Helper caller = box.Start("OpensOnce", ...);
//   EXPECT_TRUE(WaitsPatiently(box, caller)) << "the set is not ready";
//   ...
//   EXPECT_TRUE(Notices(box, caller)) << "the set is ready";

#ifndef IPCLAB_COMMON_GRADING_LOOKS_H_
#define IPCLAB_COMMON_GRADING_LOOKS_H_

#include <vector>

#include "common/grading/exercise.h"

namespace ipclab {

// Watches the calls by which somebody looks, and those in which he may sleep for a time.
SandboxOptions WatchesLooks(const std::vector<Family>& looks);

// Serves the box until the helper has slept twice more and looked in between; fails if it returns
// instead, or looks and looks.
[[nodiscard]] testing::AssertionResult WaitsPatiently(Sandbox& box, const Helper& helper);

// Serves the box until the helper's call has returned; fails if it has looked many times more and
// still waits.
[[nodiscard]] testing::AssertionResult Notices(Sandbox& box, const Helper& helper);

// Serves the box until the helper has ended, or waits, asleep or not.
void EndsOrWaits(Sandbox& box, const Helper& helper);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_LOOKS_H_
