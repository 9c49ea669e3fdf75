#include "common/cli/results_reader.h"

#include <sys/wait.h>

#include <algorithm>

#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kShownBytes = 200;
constexpr std::size_t kShownLines = 20;

}  // namespace

void ResultsReader::Read(const nlohmann::json& line) {
  const std::string type = line.at("type");
  if (type == "run") {
    isolation_ = line.at("isolation").get<Isolation>();
    grader_version_ = line.at("grader_version");
    result_.exercises = line.at("exercises").get<std::vector<ExerciseResult>>();
  } else if (type == "start") {
    running_ = line.at("id");
  } else if (type == "check") {
    result_.checks.push_back(line.get<CheckResult>());
  } else if (type == "end") {
    result_.score = line.at("score");
    result_.max_score = line.at("max_score");
    ended_ = true;
  } else if (type == "error") {
    error_ = line.at("message");
    const std::string fix = line.value("fix", "");
    if (!fix.empty()) error_ += "\nTo fix it: " + fix;
  } else {
    garbage_ = line.dump();
  }
}

void ResultsReader::AddLine(std::string_view line) {
  if (!garbage_.empty()) return;
  try {
    Read(nlohmann::json::parse(line));
  } catch (const nlohmann::json::exception&) {
    garbage_ = line;
  }
}

std::string ResultsReader::WhyNotGraded(const GraderEnd& end) const {
  if (!error_.empty()) return error_;
  const bool good_end = WIFEXITED(end.status) && WEXITSTATUS(end.status) == 0 && !end.was_silent;
  if (garbage_.empty() && good_end && ended_ && !result_.checks.empty()) return "";
  std::string why = "the grader " + DescribeEnd(end);
  if (!running_.empty() && !ended_) why += " during the check " + running_;
  if (!garbage_.empty()) {
    why += "; it wrote what is no result: " + Printable(garbage_, kShownBytes);
  } else if (!ended_) {
    why += "; its results have no end";
  } else if (result_.checks.empty()) {
    why += "; no check ran";
  }
  if (!end.output.empty()) why += "\nIt said:\n" + Quoted(end.output, "| ", kShownLines);
  return why;
}

// A run line lists all exercises of the lab; what was not asked for is no part of this result.
void ResultsReader::CountPoints() {
  for (ExerciseResult& exercise : result_.exercises) {
    exercise.points = exercise.max_points = 0;
    for (const CheckResult& check : result_.checks) {
      if (check.exercise != exercise.id) continue;
      exercise.points += check.points;
      exercise.max_points += check.max_points;
    }
  }
  std::erase_if(result_.exercises, [&](const ExerciseResult& exercise) {
    return std::none_of(result_.checks.begin(), result_.checks.end(),
                        [&](const CheckResult& check) { return check.exercise == exercise.id; });
  });
}

LabResult ResultsReader::Finish(const GraderEnd& end) {
  result_.error = WhyNotGraded(end);
  if (!result_.error.empty()) {
    result_.score = result_.max_score = 0;
    result_.checks.clear();
  }
  CountPoints();
  return std::move(result_);
}

}  // namespace ipclab
