// A real grader for the labs of TestingWorkspace.

#include <gmock/gmock.h>

#include "common/grading/matchers.h"
#include "common/grading/sandbox.h"
#include "common/sandbox/helper.h"

extern "C" int answer();

namespace ipclab {
namespace {

HELPER(Answers) { return STUDENT(answer)(); }

TEST(A, One) {
  Sandbox box;
  EXPECT_THAT(box.Start("Answers").Wait(), Exited(42));
}

TEST(A, Two) {
  Sandbox box;
  EXPECT_THAT(box.Start("Answers").Wait(), Exited(43));
}

}  // namespace
}  // namespace ipclab
