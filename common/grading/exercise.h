// The fixture of all checks of one exercise.
//
//   EXERCISE(SendToChild);
//
//   TEST_F(SendToChild, DeliversBytesInOrder) { ... }
//
// Before each check it empties the record, seeds the random numbers from --seed and the check's id,
// and skips the check if the one it comes `after` (see rubric.h) did not pass.

#ifndef IPCLAB_COMMON_GRADING_EXERCISE_H_
#define IPCLAB_COMMON_GRADING_EXERCISE_H_

#include <gtest/gtest.h>

#include "common/grading/matchers.h"
#include "common/grading/sandbox.h"
#include "common/grading/session.h"
#include "common/sandbox/helper.h"

namespace ipclab {

class Exercise : public testing::Test {
 protected:
  void SetUp() override;
};

#define EXERCISE(Suite) \
  class Suite : public ::ipclab::Exercise {}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_EXERCISE_H_
