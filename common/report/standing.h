// Whether the points of a run may reach a gradebook.
//
//   if (const std::string why = WhyNoGrade(run, Language::kEnglish); !why.empty()) ...
//
// A lab has a grade if it was graded in full isolation and every check came to a verdict; code that
// does not build has one too. All else is practice, or a failure of the grader's own, which must
// neither cost points nor give any: then there is no grade, rather than a grade of 0.

#ifndef IPCLAB_COMMON_REPORT_STANDING_H_
#define IPCLAB_COMMON_REPORT_STANDING_H_

#include <string>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

bool IsPractice(const RunResult& run);

// One printable sentence without a full stop; empty if the lab has a grade.
std::string WhyNoGrade(const RunResult& run, const LabResult& lab, Language language);

// The same for a gradebook that takes all labs or none: that of the first lab without a grade.
std::string WhyNoGrade(const RunResult& run, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_STANDING_H_
