#include "common/cli/plan.h"

#include <sys/stat.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kShownBytes = 100;

std::string DidYouMean(const std::string& name, const std::vector<std::string>& names) {
  const std::string nearest = Nearest(name, names);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

// Where a lab's file lies below a submission's folder, or "" if it has none.
std::string BelowSubmission(const std::string& folder, const std::string& lab) {
  for (const std::string& below : {lab + "/" + lab + ".cc", "labs/" + lab + "/" + lab + ".cc"}) {
    if (Exists(folder + "/" + below)) return below;
  }
  return "";
}

void CheckSubmissionFolder(const std::string& folder) {
  struct stat info;
  if (stat(folder.c_str(), &info) == -1) {
    throw UsageError(Printable(folder, kShownBytes) + ": " + DescribeErrno(errno) +
                     "; --submission takes a folder that holds LAB/LAB.cc or labs/LAB/LAB.cc");
  }
  if (!S_ISDIR(info.st_mode)) {
    throw UsageError(Printable(folder, kShownBytes) +
                     ": is no folder; --submission takes a folder that holds LAB/LAB.cc or "
                     "labs/LAB/LAB.cc");
  }
}

Source ReadSourceOf(const Workspace& workspace, const GradeOptions& options,
                    const std::string& lab) {
  if (options.solutions) return ReadSource(workspace.SolutionFile(lab));
  if (options.submission.empty()) return ReadSource(workspace.StudentFile(lab));
  const std::string below = BelowSubmission(options.submission, lab);
  if (below.empty()) {
    throw UsageError(Printable(options.submission, kShownBytes) + ": holds neither " + lab + "/" +
                     lab + ".cc nor labs/" + lab + "/" + lab + ".cc");
  }
  return ReadSource(options.submission, below);
}

std::vector<std::string> IdsOf(const Rubric& rubric) {
  std::vector<std::string> ids;
  for (const RubricExercise& exercise : rubric.exercises) {
    for (const RubricCheck& check : exercise.checks) ids.push_back(check.id);
  }
  return ids;
}

// Gives each plan its checks and drops the plans that have none of them.
void SelectChecks(const std::vector<std::string>& wanted, std::vector<LabPlan>& plans) {
  if (wanted.empty()) return;
  std::vector<std::string> known;
  for (const LabPlan& plan : plans) {
    for (const std::string& id : IdsOf(plan.rubric)) known.push_back(id);
  }
  for (const std::string& id : wanted) {
    if (std::find(known.begin(), known.end(), id) == known.end()) {
      throw UsageError("there is no check " + Printable(id, kShownBytes) + DidYouMean(id, known));
    }
    for (LabPlan& plan : plans) {
      const bool listed =
          std::find(plan.checks.begin(), plan.checks.end(), id) != plan.checks.end();
      if (plan.rubric.Find(id) != nullptr && !listed) plan.checks.push_back(id);
    }
  }
  std::erase_if(plans, [](const LabPlan& plan) { return plan.checks.empty(); });
}

}  // namespace

std::vector<std::string> SelectLabs(const Workspace& workspace, const GradeOptions& options) {
  const std::vector<std::string> known = workspace.Labs();
  std::vector<std::string> labs;
  for (const std::string& lab : options.labs) {
    if (std::find(known.begin(), known.end(), lab) == known.end()) {
      throw UsageError("there is no lab " + Printable(lab, kShownBytes) + DidYouMean(lab, known) +
                       " (labs: " + Join(known, ", ") + ")");
    }
    if (std::find(labs.begin(), labs.end(), lab) == labs.end()) labs.push_back(lab);
  }
  if (!labs.empty()) return labs;
  labs = known;
  if (!options.submission.empty()) {
    std::erase_if(labs, [&](const std::string& lab) {
      return BelowSubmission(options.submission, lab).empty();
    });
    if (labs.empty()) {
      throw UsageError(Printable(options.submission, kShownBytes) +
                       ": holds no lab; expected LAB/LAB.cc or labs/LAB/LAB.cc with LAB one of " +
                       Join(known, ", "));
    }
  }
  return labs;
}

std::vector<LabPlan> MakePlans(const Workspace& workspace, const GradeOptions& options) {
  if (!options.submission.empty()) CheckSubmissionFolder(options.submission);
  std::vector<LabPlan> plans;
  for (const std::string& lab : SelectLabs(workspace, options)) {
    LabPlan plan{.lab = lab};
    plan.rubric = ReadRubric(workspace.Rubric(lab));
    plans.push_back(std::move(plan));
  }
  SelectChecks(options.checks, plans);
  for (LabPlan& plan : plans) {
    plan.contract =
        ReadContract(plan.lab, workspace.Contract(plan.lab), workspace.Exports(plan.lab));
    plan.source = ReadSourceOf(workspace, options, plan.lab);
  }
  return plans;
}

}  // namespace ipclab
