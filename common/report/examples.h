// Runs with one of everything in them, for tests of what is made of a run.

#ifndef IPCLAB_COMMON_REPORT_EXAMPLES_H_
#define IPCLAB_COMMON_REPORT_EXAMPLES_H_

#include "common/grading/result.h"

namespace ipclab {

// A lab "demo" of three exercises: one solved, one with two failures, one not started; and every
// kind of check.
RunResult MixedRun();
// A lab "demo" in which every check passed, with a third of a point among them.
RunResult PerfectRun();
// Two labs, one that compiles and one that does not, whose every free text tries to pass for
// something else: a workflow command, markup, JSON, a line of scores, a control sequence; and is
// long.
RunResult HostileRun();
// MixedRun() without the check that was not graded: a quarter of the points.
RunResult HalfDoneRun();
// HalfDoneRun() without full isolation.
RunResult PracticeRun();
// A lab whose code does not compile.
RunResult BrokenCodeRun();
// A lab that could not be graded.
RunResult RefusedRun();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_EXAMPLES_H_
