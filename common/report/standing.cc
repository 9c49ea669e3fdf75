#include "common/report/standing.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

constexpr std::size_t kReasonLimit = 300;

std::string FirstLine(const std::string& text) {
  return Printable(std::string_view(text).substr(0, text.find('\n')), kReasonLimit);
}

}  // namespace

bool IsPractice(const RunResult& run) { return run.isolation.mode == "practice"; }

std::string WhyNoGrade(const RunResult& run, const LabResult& lab, Language language) {
  const bool zh = language == Language::kChinese;
  if (!lab.error.empty()) {
    return fmt::format(fmt::runtime(zh ? "{} 无法评分：{}" : "{} could not be graded: {}"), lab.lab,
                       FirstLine(lab.error));
  }
  if (lab.checks.empty()) {
    return fmt::format(fmt::runtime(zh ? "{} 没有运行任何检查" : "no check of {} was run"),
                       lab.lab);
  }
  if (const int open = CountChecks(lab, CheckStatus::kNotGraded); open > 0) {
    return fmt::format(fmt::runtime(zh ? "{1} 有 {0} 项检查未评分，是评分程序的问题"
                                       : "{0} of the checks of {1} not graded, which is the "
                                         "grader's fault"),
                       open, lab.lab);
  }
  if (IsPractice(run)) {
    return fmt::format(fmt::runtime(zh ? "仅供练习，分数不计入成绩：{}"
                                       : "practice only, these points do not count: {}"),
                       FirstLine(run.isolation.detail));
  }
  // Where nothing was run, nothing needed isolation.
  if (run.isolation.mode != "full" && IsBuilt(lab)) {
    return fmt::format(
        fmt::runtime(zh ? "{} 没有在完全隔离中评分" : "{} was not graded in full isolation"),
        lab.lab);
  }
  return "";
}

std::string WhyNoGrade(const RunResult& run, Language language) {
  for (const LabResult& lab : run.labs) {
    if (std::string why = WhyNoGrade(run, lab, language); !why.empty()) return why;
  }
  if (run.labs.empty()) {
    return language == Language::kChinese ? "没有评分任何实验" : "no lab was graded";
  }
  return "";
}

}  // namespace ipclab
