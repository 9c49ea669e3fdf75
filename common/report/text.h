// A run as a student reads it in a terminal.
//
//   TextStyle style{.language = Language::kEnglish, .terminal = true, .color = true};
//   std::cout << ToText(run, style);
//
// Of each exercise the first check that failed is told in full, the others in one line each. What
// comes from a submission stands behind a bar, escaped, so that it cannot pass for a line of ours.

#ifndef IPCLAB_COMMON_REPORT_TEXT_H_
#define IPCLAB_COMMON_REPORT_TEXT_H_

#include <cstddef>
#include <string>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

struct TextStyle {
  Language language = Language::kEnglish;
  bool terminal = false;  // Marks instead of words.
  bool color = false;
  int columns = 80;
  std::size_t timeline_lines = 8;  // The last ones are kept: they lead up to the failure.
};

std::string ToText(const RunResult& run, const TextStyle& style);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_TEXT_H_
