// What `lab grade` is asked to do, and what that means file by file. All that the user can get
// wrong is found here, before anything is run or changed.
//
//   GradeOptions options{.labs = {"pipe"}};
//   for (const LabPlan& plan : MakePlans(workspace, options)) ...   // throws UsageError

#ifndef IPCLAB_COMMON_CLI_PLAN_H_
#define IPCLAB_COMMON_CLI_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/cli/reports.h"
#include "common/cli/workspace.h"
#include "common/compile/compile.h"
#include "common/grading/rubric.h"
#include "common/report/words.h"

namespace ipclab {

struct GradeOptions {
  std::vector<std::string> labs;    // Empty: all there are.
  std::vector<std::string> checks;  // Empty: all.
  std::string submission;           // A folder; empty: the workspace's own files.
  bool solutions = false;
  std::vector<Report> reports;
  std::string trace;        // Where the timelines go; empty: nowhere.
  std::string job_summary;  // The file that GitHub's runner names; empty: none.
  Classroom50Submission classroom50;
  std::optional<std::uint64_t> seed;
  bool credit = false;
  std::optional<double> fail_under;  // Percent.
  std::size_t jobs = 1;              // Graders of one lab that run side by side, at most.
  Language language = Language::kEnglish;
};

struct LabPlan {
  std::string lab;
  Source source;
  LabContract contract;
  Rubric rubric;
  std::vector<std::string> checks;  // Those asked for; empty: all.
};

// The labs that were named, or all; UsageError for one that does not exist.
std::vector<std::string> SelectLabs(const Workspace& workspace, const GradeOptions& options);

std::vector<LabPlan> MakePlans(const Workspace& workspace, const GradeOptions& options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_PLAN_H_
