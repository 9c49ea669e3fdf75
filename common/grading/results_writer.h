// Turns GoogleTest's events and the check record into results, one JSON object a line.
//
//   testing::UnitTest::GetInstance()->listeners().Append(new ResultsWriter(rubric, "en", fd));

#ifndef IPCLAB_COMMON_GRADING_RESULTS_WRITER_H_
#define IPCLAB_COMMON_GRADING_RESULTS_WRITER_H_

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/grading/rubric.h"

namespace ipclab {

// Writes one line to the results descriptor; throws GraderError if nobody reads it.
void WriteLine(int fd, const nlohmann::json& line);

class ResultsWriter : public testing::EmptyTestEventListener {
 public:
  ResultsWriter(const Rubric& rubric, std::string language, int fd)
      : rubric_(rubric), language_(std::move(language)), fd_(fd) {}

  void OnTestStart(const testing::TestInfo& info) override;
  void OnTestPartResult(const testing::TestPartResult& part) override;
  void OnTestEnd(const testing::TestInfo& info) override;

  double score() const { return score_; }
  double max_score() const { return max_score_; }
  std::size_t checks() const { return checks_; }

 private:
  void Judge(const testing::TestInfo& info, CheckResult& result) const;
  bool chinese() const { return language_ == "zh"; }

  const Rubric& rubric_;
  const std::string language_;
  const int fd_;
  std::vector<std::string> failures_;  // Messages of the running check.
  std::string skip_reason_;
  std::string exception_;
  std::chrono::steady_clock::time_point started_;
  double score_ = 0;
  double max_score_ = 0;
  std::size_t checks_ = 0;
};

// Ids of the checks that have passed so far, for checks that come after others.
bool HasFailed(const std::string& id);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_RESULTS_WRITER_H_
