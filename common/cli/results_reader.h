// Makes a LabResult of the lines that a grader writes; see common/grading/grader.h.
//
//   ResultsReader reader("pipe");
//   reader.AddLine(R"({"type":"run", ...})");
//   LabResult lab = reader.Finish(end);     // lab.error says so if the lab could not be graded
//
// A grader that crashed, fell silent or wrote something else has not graded: no points are read out
// of what it left.

#ifndef IPCLAB_COMMON_CLI_RESULTS_READER_H_
#define IPCLAB_COMMON_CLI_RESULTS_READER_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/cli/grader_process.h"
#include "common/grading/result.h"

namespace ipclab {

class ResultsReader {
 public:
  explicit ResultsReader(std::string lab) { result_.lab = std::move(lab); }

  void AddLine(std::string_view line);

  // For showing how far it is.
  const std::string& running() const { return running_; }
  std::size_t done() const { return result_.checks.size(); }

  const std::optional<Isolation>& isolation() const { return isolation_; }
  const std::string& grader_version() const { return grader_version_; }

  // Call once, after the last line.
  LabResult Finish(const GraderEnd& end);

 private:
  void Read(const nlohmann::json& line);
  std::string WhyNotGraded(const GraderEnd& end) const;
  void CountPoints();

  LabResult result_;
  std::optional<Isolation> isolation_;
  std::string grader_version_;
  std::string running_;
  bool ended_ = false;
  std::string error_;    // The grader's own words.
  std::string garbage_;  // The first line that could not be read.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_RESULTS_READER_H_
