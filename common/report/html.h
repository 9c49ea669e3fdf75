// A run as one page: to be read on a screen or a phone, printed, or sent on. It needs no network
// and runs no script, and its Content-Security-Policy lets it do neither.
//
//   std::ofstream("report.html") << ToHtml(run, Language::kEnglish);
//
// The element of a check has the check's id, so that report.html#Suite.Name leads to it. What a
// submission may have shaped is escaped, and looks like a quotation.

#ifndef IPCLAB_COMMON_REPORT_HTML_H_
#define IPCLAB_COMMON_REPORT_HTML_H_

#include <string>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

std::string ToHtml(const RunResult& run, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_HTML_H_
