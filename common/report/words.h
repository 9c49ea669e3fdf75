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
  std::string_view points;     // {score} {max_score}
  std::string_view of_points;  // {max_score}
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
  // The pictures.
  std::string_view caller, starts, never_returns, stopped;
  std::string_view call_never_returns;  // {call}
  std::string_view waits;               // {what}
  std::string_view waits_in;            // {call}
  std::string_view waited;              // {milliseconds}
  std::string_view same_again;          // {rows} {count}
  std::string_view events_left_out;     // {count}
  std::string_view processes_hidden;    // {count}
  std::string_view process;             // {pid}
  std::string_view thread;              // {thread}
  std::string_view nobody;
  std::string_view holds;         // {process} {what}
  std::string_view itself_holds;  // {process} {what}
  std::string_view events_picture, waits_picture;
  std::string_view events_picture_of;  // {check}: what it is, for those who cannot see it
  std::string_view waits_picture_of;   // {check}
  std::string_view circle;             // {processes}
  std::string_view self_circle;        // {process}
  std::string_view as_text;
  // The page and the job summary.
  std::string_view report, contents, details_of_run, next_label;
  std::string_view check, exercise, status;
  std::string_view defined_at;  // {function} {file} {line}
  std::string_view passed_checks, seed, version, started, took, milliseconds;
  std::string_view left_out_passed, left_out_some_pictures, left_out_pictures, left_out_details,
      left_out_all_details, left_out_checks, left_out_exercises;
  std::string_view left_out;  // {what}
  std::string_view colon, separator;
};

const Words& WordsOf(Language language);

// A verdict of the grader, which speaks English. One that is not known stays as it is.
std::string_view Verdict(std::string_view verdict, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_WORDS_H_
