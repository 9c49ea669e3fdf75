// For exercises in which somebody looks again and again, and sleeps in between.
//
//   Sandbox box(WatchesLooks());
//   Helper caller = box.Start("OpensOnce", ...);
//   EXPECT_TRUE(WaitsPatiently(box, caller)) << "the set is not ready";

#ifndef IPCLAB_GRADERS_SEMAPHORE_LOOKS_H_
#define IPCLAB_GRADERS_SEMAPHORE_LOOKS_H_

#include "common/grading/exercise.h"

namespace ipclab {

// Watches calls to semaphores, and those in which somebody may sleep for a time.
SandboxOptions WatchesLooks();

// Serves the box until the helper has slept twice more and looked in between; fails if it returns
// instead, or looks and looks.
[[nodiscard]] testing::AssertionResult WaitsPatiently(Sandbox& box, const Helper& helper);

// Serves the box until the helper has ended, or waits.
void EndsOrWaits(Sandbox& box, const Helper& helper);

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SEMAPHORE_LOOKS_H_
