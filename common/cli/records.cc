#include "common/cli/records.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/cli/files.h"
#include "common/report/summary.h"
#include "common/report/wrap.h"

namespace ipclab {

// One lab's entry in .lab/progress.json.
struct LabRecord {
  int solved = 0;
  int exercises = 0;
  double score = 0;
  double max_score = 0;
  std::string next;  // Exercise to go on with: "pipe.4 run_pipeline". Empty: all solved.
  std::int64_t source_time = 0;  // When the graded file was last changed, in ns since the epoch.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LabRecord, solved, exercises, score, max_score, next,
                                   source_time)

namespace {

namespace fs = std::filesystem;
using Records = std::map<std::string, LabRecord>;

constexpr char kSchema[] = "ipclab/progress/v1";

fs::path FileOf(const Workspace& workspace) { return workspace.root / ".lab" / "progress.json"; }

// What cannot be read counts as nothing: grading once more brings it back.
Records Read(const Workspace& workspace) {
  try {
    std::ifstream file(FileOf(workspace));
    const nlohmann::json json = nlohmann::json::parse(file);
    if (json.at("schema") == kSchema) return json.at("labs").get<Records>();
  } catch (const nlohmann::json::exception&) {
  }
  return {};
}

std::int64_t ChangeTime(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == -1) return 0;
  return info.st_mtim.tv_sec * std::int64_t{1000000000} + info.st_mtim.tv_nsec;
}

std::string Status(const Workspace& workspace, const std::string& lab, const LabRecord* record,
                   const Words& words) {
  if (record == nullptr) return fmt::format(fmt::runtime(words.next_grade), lab);
  if (ChangeTime(workspace.StudentFile(lab)) != record->source_time) {
    return fmt::format("{}: {}", words.changed_since,
                       fmt::format(fmt::runtime(words.next_grade), lab));
  }
  return record->next;
}

}  // namespace

void Remember(const Workspace& workspace, const LabResult& lab) {
  const std::string folder = (workspace.root / ".lab").string();
  std::error_code error;
  fs::create_directory(folder, error);
  const Fd lock(Check(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open " + folder));
  Check(flock(lock.get(), LOCK_EX), "flock " + folder);

  const NextStep next = FindNext(lab);
  Records records = Read(workspace);
  records[lab.lab] = {
      .solved = CountSolved(lab),
      .exercises = static_cast<int>(lab.exercises.size()),
      .score = lab.score,
      .max_score = lab.max_score,
      .next = next.exercise == nullptr ? "" : next.exercise->id + " " + next.exercise->name,
      .source_time = ChangeTime(workspace.StudentFile(lab.lab))};
  const nlohmann::json json = {{"schema", kSchema}, {"labs", records}};
  WriteAtomically(FileOf(workspace), json.dump(2) + "\n");
}

std::string Overview(const Workspace& workspace, Language language) {
  const Words& words = WordsOf(language);
  const Records records = Read(workspace);
  std::vector<std::vector<std::string>> rows = {
      {std::string(words.lab), std::string(words.exercises), std::string(words.points_heading),
       std::string(words.next_heading)}};
  for (const std::string& lab : workspace.Labs()) {
    const auto found = records.find(lab);
    const LabRecord* const record = found == records.end() ? nullptr : &found->second;
    std::vector<std::string> row = {lab, std::string(words.not_tried), ""};
    if (record != nullptr) {
      row = {lab, fmt::format(fmt::runtime(words.of), record->solved, record->exercises),
             fmt::format("{} / {}", PointsText(record->score), PointsText(record->max_score))};
    }
    row.push_back(Status(workspace, lab, record, words));
    rows.push_back(row);
  }
  std::vector<int> widths(4);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += Padded(row[i], widths[i] + 2);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace ipclab
