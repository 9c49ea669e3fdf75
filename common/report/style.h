// The page's style sheet, report.css, and its hash: the only style that a browser accepts there.

#ifndef IPCLAB_COMMON_REPORT_STYLE_H_
#define IPCLAB_COMMON_REPORT_STYLE_H_

#include <string_view>

namespace ipclab {

std::string_view ReportStyle();
// As a Content-Security-Policy names it: "sha256-...".
std::string_view ReportStyleHash();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_STYLE_H_
