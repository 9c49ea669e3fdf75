// Runs the checks of one lab on a library, in several graders side by side.
//
//   const GraderPlan grader{.library = compiled.library.get(), .seed = seed};
//   ChecksRun run = RunChecks(workspace, plan, options, grader, interrupts, progress);

#ifndef IPCLAB_COMMON_CLI_RUN_CHECKS_H_
#define IPCLAB_COMMON_CLI_RUN_CHECKS_H_

#include <vector>

#include "common/cli/grader_process.h"
#include "common/cli/interrupt.h"
#include "common/cli/plan.h"
#include "common/cli/progress.h"
#include "common/cli/results_reader.h"
#include "common/cli/workspace.h"
#include "common/grading/result.h"

namespace ipclab {

struct ChecksRun {
  LabResult lab;
  std::vector<ResultsReader> readers;  // One for each grader: what it said of itself.
};

// `grader` says what all graders have in common; program, rubric, checks and the like come from the
// plan and the options. Does not return if a signal interrupts it. Throws GraderError.
ChecksRun RunChecks(const Workspace& workspace, const LabPlan& plan, const GradeOptions& options,
                    const GraderPlan& grader, Interrupts& interrupts, Progress& progress);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_RUN_CHECKS_H_
