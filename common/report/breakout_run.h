// A run in which a submission has written what it should not into every field that it can reach.
//
//   EXPECT_THAT(ToHtml(BreakoutRun(), language), Not(HasSubstr("<script")));

#ifndef IPCLAB_COMMON_REPORT_BREAKOUT_RUN_H_
#define IPCLAB_COMMON_REPORT_BREAKOUT_RUN_H_

#include <string>
#include <vector>

#include "common/grading/result.h"

namespace ipclab {

// Each tries to leave the place it is shown at: HTML, SVG, CSS, Markdown or Mermaid.
const std::vector<std::string>& BreakoutTexts();

// MixedRun() with a failed check, a timeline and waits for each of them.
RunResult BreakoutRun();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_BREAKOUT_RUN_H_
