// The main program of every grader; see main.cc.
//
//   pipe_grader --submission=pipe.so --rubric=rubric.json --results=3 --seed=7
//
// Writes JSON, one object a line, to the descriptor --results: first {"type":"run"}, then
// {"type":"start"} and {"type":"check"} for every check, last {"type":"end"}; or {"type":"error"}.
// Without --results it is an ordinary GoogleTest program. Exit status 0: graded; 2: wrong usage; 3:
// could not grade.
//
//   pipe_grader --submission=pipe.so --rubric=rubric.json --results=3 --counters=5
//   pipe_grader --submission=pipe.so --rubric=rubric.json --counters=5 --write-counts=6
//
// For a submission that counts which of its lines run, see common/compile/counting.h: --counters is
// shared memory that it counts in, of any number of graders. With --write-counts nothing is graded;
// the submission, in a box, writes to that descriptor what gcov(1) reads.

#ifndef IPCLAB_COMMON_GRADING_GRADER_H_
#define IPCLAB_COMMON_GRADING_GRADER_H_

#include <gtest/gtest.h>

#include <string>

#include "common/grading/result.h"

namespace ipclab {

// The same binary is the grader, the stage of its boxes and the programs in them.
int GraderMain(int argc, char** argv);

// What a failed assertion says, taken apart: gMock's "Expected:" and "Actual:" lines, or all of it
// as observation. Empty `expected` if the message names none.
struct Finding {
  std::string expected;
  std::string observed;
};
Finding ReadFinding(const std::string& message);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_GRADER_H_
