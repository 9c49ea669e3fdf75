// What a lab's checks add up to: which exercises are solved, and what to do next.
//
//   CountSolved(lab)               3
//   FindNext(lab).exercise->name   "run_pipeline"

#ifndef IPCLAB_COMMON_REPORT_SUMMARY_H_
#define IPCLAB_COMMON_REPORT_SUMMARY_H_

#include <string>
#include <string_view>
#include <vector>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

// The checks of one exercise, in the grader's order. They point into `lab`.
std::vector<const CheckResult*> ChecksOf(const LabResult& lab, const ExerciseResult& exercise);

// Every check of it passed, and there is one.
bool IsSolved(const LabResult& lab, const ExerciseResult& exercise);
int CountSolved(const LabResult& lab);

// Whether the submission became a library that could be checked.
bool IsBuilt(const LabResult& lab);
inline constexpr std::string_view kDoesNotCompile = "does not compile";
inline constexpr std::string_view kNotAccepted = "not accepted";  // It compiles, but breaks a rule.

int CountChecks(const LabResult& lab, CheckStatus status);

// The first exercise that is not solved, with its first check that failed, or else its first that
// did not pass. Both null if all is solved. They point into `lab`.
struct NextStep {
  const ExerciseResult* exercise = nullptr;
  const CheckResult* check = nullptr;
};
NextStep FindNext(const LabResult& lab);

// None of its checks ran, all for the same reason: not started, or a named check comes first.
bool IsUntouched(const std::vector<const CheckResult*>& checks);

// What to do next in a lab that was graded, as one sentence; empty if all of it is solved.
std::string NextText(const LabResult& lab, Language language);
// ... in the first lab that is not solved; that all is solved, if it is.
std::string NextText(const RunResult& run, Language language);

// All labs that could be graded.
struct Totals {
  double score = 0;
  double max_score = 0;
  int solved = 0;
  int exercises = 0;
  int not_graded = 0;  // Checks.
};
Totals TotalsOf(const RunResult& run);

// Points of all labs together as a share of what could be had, in percent; 0 if nothing could.
double Percent(const RunResult& run);

// 10 as "10", 7.5 as "7.5".
std::string PointsText(double points);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_SUMMARY_H_
