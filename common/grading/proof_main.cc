// One proof, as a Bazel test: a submission, and what its grader must say of it.
//
//   proof --grader=G --rubric=R --submission=S.so --expect=perfect
//   proof --grader=G --rubric=R --submission=S.so --expect=caught --patch=P

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/grading/proof.h"

namespace ipclab {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw GraderError("cannot open " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int Prove(const std::string& grader, const std::string& rubric, const std::string& submission,
          const std::string& expect, const std::string& patch) {
  Expectation expectation;
  if (expect == "nothing") expectation.kind = Expectation::Kind::kNothing;
  std::vector<std::string> options;
  if (expect == "caught") {
    expectation = ReadMistake(ReadFile(patch));
    options = {"--check=" + Join(ChecksFor(expectation, ReadRubric(rubric)), ",")};
  }
  Run run;
  std::vector<std::string> faults;
  // A mistake may be a race, which other checks see in one run and not in the next. The check that
  // is meant for it must see it every time.
  constexpr int kRuns = 3;
  bool caught = true;
  for (int i = 0; i < kRuns && caught; ++i) {
    run = RunGrader(grader, submission, rubric, options);
    faults = Contradictions(expectation, run);
    if (faults.empty()) break;
    caught = IsCaught(expectation, run);
  }
  std::printf("seed %llu, isolation %s, %g of %g points\n",
              static_cast<unsigned long long>(run.seed), run.isolation.mode.c_str(), run.lab.score,
              run.lab.max_score);
  for (const CheckResult& check : run.lab.checks) {
    if (check.status != CheckStatus::kFailed) continue;
    std::printf("%s (%s, %.0f ms)\n  expected: %s\n  observed: %s\n", check.id.c_str(),
                check.verdict.c_str(), check.duration_ms, check.expected.c_str(),
                check.observed.c_str());
  }
  const char* const word = caught ? "REMARK" : "FAULT";
  for (const std::string& fault : faults) std::printf("%s: %s\n", word, fault.c_str());
  const std::vector<std::string> illegible = Illegible(run);
  for (const std::string& fault : illegible) std::printf("FAULT: %s\n", fault.c_str());
  return caught && illegible.empty() ? 0 : 1;
}

}  // namespace
}  // namespace ipclab

int main(int argc, char** argv) {
  CLI::App app("Proves what a grader says of one submission.");
  std::string grader;
  std::string rubric;
  std::string submission;
  std::string expect = "perfect";
  std::string patch;
  app.add_option("--grader", grader)->required();
  app.add_option("--rubric", rubric)->required();
  app.add_option("--submission", submission)->required();
  app.add_option("--expect", expect)->check(CLI::IsMember({"perfect", "nothing", "caught"}));
  app.add_option("--patch", patch, "the mistake, with its header lines");
  CLI11_PARSE(app, argc, argv);
  try {
    return ipclab::Prove(grader, rubric, submission, expect, patch);
  } catch (const ipclab::GraderError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
