#include "common/grading/proof.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "common/base/fd.h"
#include "common/base/spawn.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr int kResultsFd = 3;

std::string ReadToEnd(int fd) {
  std::string text;
  std::string buffer(1 << 16, '\0');
  ssize_t size = 0;
  while ((size = Check(read(fd, buffer.data(), buffer.size()), "read")) > 0) {
    text.append(buffer, 0, static_cast<std::size_t>(size));
  }
  return text;
}

std::vector<std::string> Ids(std::string_view list) {
  std::vector<std::string> ids;
  std::istringstream words{std::string(list)};
  for (std::string id; std::getline(words, id, ',');) {
    const std::size_t first = id.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    ids.push_back(id.substr(first, id.find_last_not_of(" \r") - first + 1));
  }
  return ids;
}

std::string Describe(const CheckResult& check) {
  return check.id + " (" + check.verdict + "): expected " + check.expected + "; observed " +
         check.observed;
}

}  // namespace

Run RunGrader(const std::string& grader, const std::string& submission, const std::string& rubric,
              const std::vector<std::string>& options) {
  PipeEnds results = MakePipe();
  std::vector<std::string> words = {grader, "--submission=" + submission, "--rubric=" + rubric,
                                    "--results=" + std::to_string(kResultsFd)};
  words.insert(words.end(), options.begin(), options.end());
  const char* const scratch = std::getenv("TEST_TMPDIR");
  SpawnPlan plan;
  plan.argv = words;
  plan.environment = {std::string("TEST_TMPDIR=") + (scratch != nullptr ? scratch : "/tmp")};
  plan.fds = {{STDOUT_FILENO, STDOUT_FILENO},
              {STDERR_FILENO, STDERR_FILENO},
              {results.write.get(), kResultsFd}};
  const pid_t pid = Spawn(plan);
  results.write.Reset();
  std::istringstream lines(ReadToEnd(results.read.get()));

  Run run;
  Check(wait4(pid, &run.status, 0, &run.usage), "wait4");
  bool ended = false;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json object = nlohmann::json::parse(line);
    const std::string type = object.at("type");
    if (type == "error")
      throw GraderError("the grader says: " + object.at("message").get<std::string>());
    if (type == "run") {
      run.seed = object.at("seed");
      run.isolation = object.at("isolation");
    }
    if (type == "check") run.lab.checks.push_back(object);
    if (type == "end") {
      ended = true;
      run.lab.score = object.at("score");
      run.lab.max_score = object.at("max_score");
    }
  }
  if (!ended) throw GraderError("the grader did not come to its end");
  return run;
}

Expectation ReadMistake(const std::string& patch_text) {
  Expectation expectation;
  expectation.kind = Expectation::Kind::kCaught;
  std::vector<std::string> also;
  bool described = false;
  std::istringstream lines(patch_text);
  for (std::string line; std::getline(lines, line) && !line.starts_with("---");) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string name = line.substr(0, colon);
    const std::string value = line.substr(colon + 2);
    if (name == "Caught-by") expectation.failing = Ids(value);
    if (name == "Also") also = Ids(value);
    described |= name == "What" && !value.empty();
  }
  if (!described) throw GraderError("the patch has no line \"What: ...\"");
  if (expectation.failing.size() != 1) {
    throw GraderError("the patch needs one line \"Caught-by: Suite.Check\" with one check");
  }
  expectation.failing.insert(expectation.failing.end(), also.begin(), also.end());
  return expectation;
}

std::vector<std::string> ChecksFor(const Expectation& expectation, const Rubric& rubric) {
  std::vector<std::string> ids;
  for (const RubricExercise& exercise : rubric.exercises) {
    const auto named = [&](const RubricCheck& check) {
      return std::ranges::find(expectation.failing, check.id) != expectation.failing.end();
    };
    if (std::ranges::none_of(exercise.checks, named)) continue;
    for (const RubricCheck& check : exercise.checks) ids.push_back(check.id);
  }
  if (ids.empty()) throw GraderError("there is no check " + Join(expectation.failing, " or "));
  return ids;
}

bool IsCaught(const Expectation& expectation, const Run& run) {
  if (expectation.kind != Expectation::Kind::kCaught) return false;
  const auto& checks = run.lab.checks;
  const bool judged = std::all_of(checks.begin(), checks.end(), [](const CheckResult& check) {
    return check.status != CheckStatus::kNotGraded && check.verdict != "timeout";
  });
  return judged && std::any_of(checks.begin(), checks.end(), [&](const CheckResult& check) {
           return check.id == expectation.failing.front() && check.status == CheckStatus::kFailed;
         });
}

std::vector<std::string> Contradictions(const Expectation& expectation, const Run& run) {
  std::vector<std::string> faults;
  const std::set<std::string> wanted(expectation.failing.begin(), expectation.failing.end());
  std::set<std::string> seen;
  for (const CheckResult& check : run.lab.checks) {
    seen.insert(check.id);
    if (check.status == CheckStatus::kNotGraded) faults.push_back("not graded: " + Describe(check));
    switch (expectation.kind) {
      case Expectation::Kind::kPerfect:
        if (check.status != CheckStatus::kPassed)
          faults.push_back("not passed: " + Describe(check));
        for (const std::string& note : check.notes) faults.push_back(check.id + ": " + note);
        break;
      case Expectation::Kind::kNothing:
        if (check.status != CheckStatus::kSkipped) {
          faults.push_back("not skipped as \"not started\": " + Describe(check));
        }
        break;
      case Expectation::Kind::kCaught:
        if (check.verdict == "timeout") faults.push_back("only the clock: " + Describe(check));
        if (wanted.count(check.id) != 0 && check.status == CheckStatus::kPassed) {
          faults.push_back("not caught by " + check.id);
        }
        if (wanted.count(check.id) == 0 && check.status == CheckStatus::kFailed) {
          faults.push_back("failed too, which the patch does not say: " + Describe(check));
        }
        break;
    }
  }
  for (const std::string& id : wanted) {
    if (seen.count(id) == 0) faults.push_back("there is no check " + id);
  }
  if (run.lab.checks.empty()) faults.push_back("no check ran");
  return faults;
}

std::vector<std::string> Illegible(const Run& run) {
  std::vector<std::string> faults;
  for (const CheckResult& check : run.lab.checks) {
    // How GoogleTest prints what it has no operator for.
    if ((check.expected + check.observed).find("-byte object <") == std::string::npos) continue;
    faults.push_back("prints raw memory: " + Describe(check));
  }
  return faults;
}

}  // namespace ipclab
