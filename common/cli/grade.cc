#include "common/cli/grade.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/version.h"
#include "common/cli/progress.h"
#include "common/cli/records.h"
#include "common/cli/reports.h"
#include "common/cli/run_checks.h"
#include "common/compile/definitions.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

// Small enough for any JSON reader to keep all digits; never 0, which asks a grader to draw.
std::uint64_t DrawSeed() {
  std::uint64_t seed = 0;
  Check(getrandom(&seed, sizeof(seed), 0), "getrandom");
  return (seed >> 12) | 1;
}

// ISO 8601, as gradebooks read it.
std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

class Run {
 public:
  Run(const Workspace& workspace, const GradeOptions& options, Interrupts& interrupts)
      : workspace_(workspace),
        options_(options),
        interrupts_(interrupts),
        words_(WordsOf(options.language)),
        progress_(STDERR_FILENO) {
    result_.seed = options.seed.value_or(DrawSeed());
    result_.grader_version = kVersion;
    result_.started_at = UtcNow();
    result_.isolation = {"none", "nothing of the submission was run", ""};
  }

  void GradeLab(const LabPlan& plan);
  const RunResult& result() const { return result_; }

 private:
  Compiled Compile(const LabPlan& plan);
  LabResult RunChecks(const LabPlan& plan, const Compiled& compiled);
  void Note(const ResultsReader& reader);
  LabResult NotBuilt(const LabPlan& plan, const Compiled& compiled) const;

  const Workspace& workspace_;
  const GradeOptions& options_;
  Interrupts& interrupts_;
  const Words& words_;
  Progress progress_;
  RunResult result_;
  bool isolation_known_ = false;
};

Compiled Run::Compile(const LabPlan& plan) {
  progress_.Step(plan.lab + ": " +
                 fmt::format(fmt::runtime(words_.compiling), plan.source.shown_path));
  CompileOptions compile;
  compile.allow_unjailed = !options_.credit;
  const ImmediateInterrupts interruptible;
  return CompileSubmission(plan.contract, plan.source, compile);
}

// Code that does not build reaches none of the points it could have had.
LabResult Run::NotBuilt(const LabPlan& plan, const Compiled& compiled) const {
  const bool zh = options_.language == Language::kChinese;
  const bool rejected = compiled.outcome == CompileOutcome::kRejected;
  LabResult result;
  for (const RubricExercise& exercise : plan.rubric.exercises) {
    ExerciseResult shown{exercise.id, exercise.name, zh ? exercise.title_zh : exercise.title, 0, 0};
    for (const RubricCheck& check : exercise.checks) {
      const bool wanted = plan.checks.empty() || std::find(plan.checks.begin(), plan.checks.end(),
                                                           check.id) != plan.checks.end();
      if (!wanted) continue;
      CheckResult skipped{.id = check.id, .exercise = exercise.id, .max_points = check.points};
      skipped.title = zh ? check.proves_zh : check.proves;
      skipped.status = CheckStatus::kSkipped;
      skipped.verdict = rejected ? kNotAccepted : kDoesNotCompile;
      skipped.references = check.references;
      shown.max_points += check.points;
      result.checks.push_back(std::move(skipped));
    }
    result.max_score += shown.max_points;
    if (shown.max_points > 0) result.exercises.push_back(std::move(shown));
  }
  return result;
}

void Run::Note(const ResultsReader& reader) {
  if (!reader.isolation() || (isolation_known_ && reader.isolation()->mode == "full")) return;
  result_.isolation = *reader.isolation();
  result_.grader_version = reader.grader_version();
  isolation_known_ = true;
}

LabResult Run::RunChecks(const LabPlan& plan, const Compiled& compiled) {
  const GraderPlan grader{.library = compiled.library.get(), .seed = result_.seed};
  ChecksRun run = ipclab::RunChecks(workspace_, plan, options_, grader, interrupts_, progress_);
  for (const ResultsReader& reader : run.readers) Note(reader);
  return std::move(run.lab);
}

void Run::GradeLab(const LabPlan& plan) {
  const auto started = std::chrono::steady_clock::now();
  LabResult lab;
  try {
    const Compiled compiled = Compile(plan);
    lab = compiled.outcome == CompileOutcome::kOk ? RunChecks(plan, compiled)
                                                  : NotBuilt(plan, compiled);
    lab.diagnostics = compiled.diagnostics;
    if (!compiled.reason.empty()) lab.diagnostics = compiled.reason + "\n" + compiled.diagnostics;
  } catch (const GraderError& error) {
    lab.error = error.what();
  }
  lab.lab = plan.lab;
  lab.source = plan.source.shown_path;
  for (CheckResult& check : lab.checks) {
    check.line = LineOfDefinition(plan.source.text, check.function);
  }
  const std::string outcome = lab.error.empty()
                                  ? fmt::format(fmt::runtime(words_.points), PointsText(lab.score),
                                                PointsText(lab.max_score))
                                  : std::string(words_.cannot_grade);
  progress_.Done(plan.lab + ": " + outcome);
  result_.labs.push_back(std::move(lab));
  const auto took = std::chrono::steady_clock::now() - started;
  result_.duration_ms += std::chrono::duration<double, std::milli>(took).count();
}

FormatOptions FormatOptionsOf(const GradeOptions& options) {
  const char* const no_color = std::getenv("NO_COLOR");
  FormatOptions format{.classroom50 = options.classroom50};
  format.style.language = options.language;
  format.style.color = no_color == nullptr || *no_color == '\0';
  return format;
}

// False if a report was withheld.
bool DeliverAll(const RunResult& result, const GradeOptions& options) {
  const FormatOptions format_options = FormatOptionsOf(options);
  const bool all = Deliver(result, options.reports, format_options);
  if (!options.trace.empty()) DeliverTrace(result, options.trace);
  const bool annotates =
      std::any_of(options.reports.begin(), options.reports.end(),
                  [](const Report& report) { return report.format->name == "github"; });
  if (annotates && !options.job_summary.empty()) {
    AppendSummary(result, options.job_summary, *FindFormat("markdown"), format_options);
  }
  return all;
}

// Progress is a convenience: failing to keep it takes nothing from the result.
void RememberAll(const Workspace& workspace, const GradeOptions& options, const RunResult& result) {
  if (!options.submission.empty() || options.solutions || !options.checks.empty()) return;
  for (const LabResult& lab : result.labs) {
    try {
      if (lab.error.empty()) Remember(workspace, lab);
    } catch (const GraderError& error) {
      std::fprintf(stderr, "lab: the progress was not kept: %s\n", error.what());
    }
  }
}

bool IsComplete(const RunResult& result) {
  // A practice box cannot judge everything, and says so; a full one that fails has an error.
  const bool practice = result.isolation.mode == "practice";
  return std::all_of(result.labs.begin(), result.labs.end(), [&](const LabResult& lab) {
    const int not_graded = CountChecks(lab, CheckStatus::kNotGraded);
    const bool none_graded = not_graded == static_cast<int>(lab.checks.size());
    return lab.error.empty() && !none_graded && (not_graded == 0 || practice);
  });
}

}  // namespace

void RequireGraders(const std::vector<LabPlan>& plans) {
  const char* const built = std::getenv("IPCLAB_BUILT");
  if (built == nullptr) return;
  std::istringstream words(built);
  const std::set<std::string> labs{std::istream_iterator<std::string>(words), {}};
  GradersNotBuilt missing;
  for (const LabPlan& plan : plans) missing.labs.push_back(plan.lab);
  const bool complete = std::all_of(plans.begin(), plans.end(),
                                    [&](const LabPlan& plan) { return labs.count(plan.lab) != 0; });
  if (!complete) throw missing;
}

ExitStatus Grade(const Workspace& workspace, const GradeOptions& options, Interrupts& interrupts) {
  const std::vector<LabPlan> plans = MakePlans(workspace, options);
  std::vector<std::string> sources;
  for (const LabPlan& plan : plans) sources.push_back(plan.source.shown_path);
  CheckReports(options.reports, options.trace, FormatOptionsOf(options), sources);
  RequireGraders(plans);
  Run run(workspace, options, interrupts);
  for (const LabPlan& plan : plans) {
    run.GradeLab(plan);
    if (const int signal = interrupts.Take(); signal != 0) DieBy(signal);
  }
  const RunResult& result = run.result();
  RememberAll(workspace, options, result);
  const bool delivered = DeliverAll(result, options);
  if (!delivered || !IsComplete(result)) return kNotGraded;
  if (options.fail_under && Percent(result) < *options.fail_under) return kBelowLimit;
  return kGraded;
}

}  // namespace ipclab
