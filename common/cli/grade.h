// `lab grade`: from source files to a report and an exit status.
//
//   return Grade(workspace, options, interrupts);

#ifndef IPCLAB_COMMON_CLI_GRADE_H_
#define IPCLAB_COMMON_CLI_GRADE_H_

#include <string>
#include <vector>

#include "common/cli/interrupt.h"
#include "common/cli/plan.h"
#include "common/cli/workspace.h"

namespace ipclab {

enum ExitStatus {
  kGraded = 0,
  kBelowLimit = 1,
  kWrongUsage = 2,
  kNotGraded = 3,
};

// Thrown before anything is done: these labs need graders that are not up to date.
struct GradersNotBuilt {
  std::vector<std::string> labs;
};

// Throws it unless the launcher says in IPCLAB_BUILT that it has built the graders; without that
// variable all count as built.
void RequireGraders(const std::vector<LabPlan>& plans);

// Does not return if a signal interrupts it. Throws UsageError, GradersNotBuilt
// and GraderError.
ExitStatus Grade(const Workspace& workspace, const GradeOptions& options, Interrupts& interrupts);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_GRADE_H_
