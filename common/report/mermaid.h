// The pictures as Mermaid, which GitHub draws in a job summary.
//
//   ToMermaid(DrawPicture(check, language), language)   "sequenceDiagram\n  participant p2 as ..."
//   ToMermaid(DrawWaits(check, language), language)     "flowchart LR\n  p3[\"process 3 ...\"]\n"
//
// Without the code fence around it. Whatever the texts, they stay labels: letters, digits and a few
// signs stand as they are, angle brackets become look-alikes, other signs Mermaid's character
// codes. A diagram stays far below GitHub's limits (50 000 characters, 500 edges).

#ifndef IPCLAB_COMMON_REPORT_MERMAID_H_
#define IPCLAB_COMMON_REPORT_MERMAID_H_

#include <string>
#include <string_view>

#include "common/report/picture.h"
#include "common/report/wait_picture.h"
#include "common/report/words.h"

namespace ipclab {

std::string ToMermaid(const Picture& picture, Language language);
std::string ToMermaid(const WaitPicture& picture, Language language);

// A label that cannot end itself, of at most `columns` columns: "a<b>;" is "a‹b›#59;".
std::string MermaidLabel(std::string_view text, int columns);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_MERMAID_H_
