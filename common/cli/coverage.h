// `lab coverage`: which lines of a student's file the checks reach.
//
//   CoverageOptions options;
//   options.what.labs = {"pipe"};
//   return Coverage(workspace, options, interrupts);

#ifndef IPCLAB_COMMON_CLI_COVERAGE_H_
#define IPCLAB_COMMON_CLI_COVERAGE_H_

#include <string>

#include "common/cli/grade.h"
#include "common/cli/interrupt.h"
#include "common/cli/plan.h"
#include "common/cli/workspace.h"

namespace ipclab {

struct CoverageOptions {
  GradeOptions what;  // Format, out and fail_under mean nothing here.
  std::string html;   // A folder that is there or can be made; empty: .lab/coverage.
  std::string xml;    // A file; empty: cobertura.xml in the folder of the pages.
};

// The table goes to standard output. kGraded if every lab could be measured, whatever its checks
// say. Does not return if a signal interrupts it; nothing is written then. Throws UsageError,
// GradersNotBuilt and GraderError.
ExitStatus Coverage(const Workspace& workspace, const CoverageOptions& options,
                    Interrupts& interrupts);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_COVERAGE_H_
