#include "common/cli/run_checks.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/cli/shares.h"
#include "common/report/words.h"

namespace ipclab {

ChecksRun RunChecks(const Workspace& workspace, const LabPlan& plan, const GradeOptions& options,
                    const GraderPlan& grader, Interrupts& interrupts, Progress& progress) {
  const std::vector<Share> shares = ShareOut(plan.rubric, plan.checks, options.jobs);
  ChecksRun run;
  std::vector<GraderPlan> graders;
  std::size_t total = 0;
  for (const Share& share : shares) {
    graders.push_back(grader);
    graders.back().program = workspace.Grader(plan.lab);
    graders.back().rubric = workspace.Rubric(plan.lab);
    graders.back().checks = share;
    graders.back().credit = options.credit;
    graders.back().language = CodeOf(options.language);
    run.readers.emplace_back(plan.lab);
    total += share.size();
  }
  bool announced = false;
  const auto on_line = [&](std::size_t number, std::string_view line) {
    run.readers[number].AddLine(line);
    if (!std::exchange(announced, true)) {
      const std::string_view running = WordsOf(options.language).running;
      progress.Step(plan.lab + ": " + fmt::format(fmt::runtime(running), total));
    }
    std::size_t done = 0;
    for (const ResultsReader& reader : run.readers) done += reader.done();
    progress.Tick(
        fmt::format("{}: {} of {} {}", plan.lab, done, total, run.readers[number].running()));
  };
  const std::vector<GraderEnd> ends = RunGraders(graders, interrupts, on_line);
  std::vector<LabResult> parts;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (ends[i].interrupted_by != 0) {
      progress.Clear();
      DieBy(ends[i].interrupted_by);
    }
    parts.push_back(run.readers[i].Finish(ends[i]));
  }
  run.lab = PutTogether(plan.rubric, shares, std::move(parts));
  return run;
}

}  // namespace ipclab
