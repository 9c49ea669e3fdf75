// A run as Markdown with Mermaid pictures: the summary of a job on GitHub.
//
//   summary << ToMarkdown(run, Language::kEnglish, kJobSummaryLimit);
//
// What a submission may have shaped stands in code, which is not read as Markdown.

#ifndef IPCLAB_COMMON_REPORT_MARKDOWN_H_
#define IPCLAB_COMMON_REPORT_MARKDOWN_H_

#include <cstddef>
#include <string>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

// GitHub takes 1 MiB for each step, of which other commands may have written a part.
inline constexpr std::size_t kJobSummaryLimit = 900 * 1024;

// At most `limit` bytes, and complete at that length: passed checks and pictures are left out
// first, then details, then checks; the text says so.
std::string ToMarkdown(const RunResult& run, Language language, std::size_t limit);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_MARKDOWN_H_
