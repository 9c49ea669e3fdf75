// What a report says, in the languages it speaks.
//
//   WordsOf(Language::kChinese).expected   "期望"
//   Verdict("deadlock", Language::kChinese)   "死锁"

#ifndef IPCLAB_COMMON_REPORT_WORDS_H_
#define IPCLAB_COMMON_REPORT_WORDS_H_

#include <string>
#include <string_view>

namespace ipclab {

enum class Language { kEnglish, kChinese };

// "zh", "zh_CN.UTF-8" and the like are Chinese, all else is English.
Language LanguageOf(std::string_view locale);
// "en" or "zh".
std::string_view CodeOf(Language language);

// Phrases with {} are fmt patterns.
struct Words {
  std::string_view passed, failed, not_graded, skipped;
  std::string_view solved;
  std::string_view points;  // {score} {max_score}
  std::string_view expected, observed, look_at, references, timeline, note;
  std::string_view earlier_events;  // {count}
  std::string_view warnings;
  std::string_view cannot_grade;
  std::string_view practice;          // {detail}
  std::string_view to_fix;            // {command}
  std::string_view total;             // {points} {summary}
  std::string_view summary;           // {solved} {exercises}
  std::string_view count_not_graded;  // {count}
  std::string_view next;              // {what}
  std::string_view next_build;        // {file}
  std::string_view next_check;        // {exercise} {lab} {check}
  std::string_view next_start;        // {exercise} {lab}
  std::string_view all_solved;        // {lab}
  std::string_view repeat;            // {seed}
  // Progress.
  std::string_view compiling;  // {file}
  std::string_view running;    // {count}
  // The overview.
  std::string_view lab, exercises, points_heading, next_heading, of;  // `of`: {solved} {exercises}
  std::string_view not_tried;
  std::string_view changed_since;
  std::string_view next_grade;  // {lab}
};

const Words& WordsOf(Language language);

// A verdict of the grader, which speaks English. One that is not known stays as it is.
std::string_view Verdict(std::string_view verdict, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_WORDS_H_
