#include "common/report/words.h"

#include <map>

namespace ipclab {
namespace {

constexpr Words kEnglish = {
    .passed = "passed",
    .failed = "FAILED",
    .not_graded = "not graded",
    .skipped = "skipped",
    .solved = "solved",
    .points = "{} / {} points",
    .expected = "expected",
    .observed = "observed",
    .look_at = "look at",
    .references = "read",
    .timeline = "what happened",
    .note = "note",
    .earlier_events = "({} earlier events left out)",
    .warnings = "the compiler warns:",
    .cannot_grade = "could not be graded",
    .practice = "Practice only, these points do not count: {}",
    .to_fix = "To fix it: {}",
    .total = "Total: {}, {}",
    .summary = "{} of {} exercises solved",
    .count_not_graded = "{} not graded: the grader's fault, not yours",
    .next = "Next: {}",
    .next_build = "make {} build",
    .next_check = "{}: ./lab grade {} --check {}",
    .next_start = "start {}, described in labs/{}/README.md",
    .all_solved = "everything in {} is solved",
    .repeat = "The same run again: --seed {}",
    .compiling = "compiling {}",
    .running = "running {} checks",
    .lab = "lab",
    .exercises = "exercises",
    .points_heading = "points",
    .next_heading = "next",
    .of = "{} of {}",
    .not_tried = "not graded yet",
    .changed_since = "changed since it was graded",
    .next_grade = "./lab grade {}",
};

constexpr Words kChinese = {
    .passed = "通过",
    .failed = "未通过",
    .not_graded = "未评分",
    .skipped = "跳过",
    .solved = "已完成",
    .points = "{} / {} 分",
    .expected = "期望",
    .observed = "实际",
    .look_at = "线索",
    .references = "参阅",
    .timeline = "经过",
    .note = "备注",
    .earlier_events = "（更早的 {} 个事件从略）",
    .warnings = "编译器警告：",
    .cannot_grade = "无法评分",
    .practice = "仅供练习，分数不计入成绩：{}",
    .to_fix = "解决办法：{}",
    .total = "合计：{}，{}",
    .summary = "已完成 {} / {} 个练习",
    .count_not_graded = "{} 项未评分：是评分程序的问题，不是你的问题",
    .next = "下一步：{}",
    .next_build = "先让 {} 成功构建",
    .next_check = "{}：./lab grade {} --check {}",
    .next_start = "开始做 {}，说明见 labs/{}/README.zh-CN.md",
    .all_solved = "{} 已全部完成",
    .repeat = "重现本次评分：--seed {}",
    .compiling = "正在编译 {}",
    .running = "正在运行 {} 项检查",
    .lab = "实验",
    .exercises = "练习",
    .points_heading = "得分",
    .next_heading = "下一步",
    .of = "{} / {}",
    .not_tried = "尚未评分",
    .changed_since = "评分后有改动",
    .next_grade = "./lab grade {}",
};

}  // namespace

Language LanguageOf(std::string_view locale) {
  return locale.substr(0, 2) == "zh" ? Language::kChinese : Language::kEnglish;
}

std::string_view CodeOf(Language language) { return language == Language::kChinese ? "zh" : "en"; }

const Words& WordsOf(Language language) {
  return language == Language::kChinese ? kChinese : kEnglish;
}

std::string_view Verdict(std::string_view verdict, Language language) {
  static const std::map<std::string_view, std::string_view> kVerdicts = {
      {"passed", "通过"},
      {"failed", "未通过"},
      {"exited", "已退出"},
      {"ended early", "提前退出"},
      {"killed by a signal", "被信号终止"},
      {"deadlock", "死锁"},
      {"busy waiting", "忙等待"},
      {"timeout", "超时"},
      {"output flood", "输出过多"},
      {"resource limit", "超出资源限制"},
      {"load error", "无法加载"},
      {"grader error", "评分程序出错"},
      {"skipped", "跳过"},
      {"not started", "尚未开始"},
      {"does not compile", "编译失败"},
      {"not accepted", "不符合要求"},
  };
  if (language == Language::kEnglish) return verdict;
  const auto found = kVerdicts.find(verdict);
  return found == kVerdicts.end() ? verdict : found->second;
}

}  // namespace ipclab
