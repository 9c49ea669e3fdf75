// One check that failed or could not be graded, as a part of the page: what was expected and
// observed, the pictures, what to look at.
//
//   CheckHtml(lab, check, "SendToChild.DeliversBytesInOrder", Language::kEnglish)

#ifndef IPCLAB_COMMON_REPORT_HTML_CHECK_H_
#define IPCLAB_COMMON_REPORT_HTML_CHECK_H_

#include <string>
#include <string_view>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

// `id` is the element's, unique in the page.
std::string CheckHtml(const LabResult& lab, const CheckResult& check, std::string_view id,
                      Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_HTML_CHECK_H_
