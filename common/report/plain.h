// The parts of a report that several formats share, as plain printable text.
//
//   Headline(check, language)      "The reader sees the end of the file (deadlock)"
//   Explanation(check, language)   "expected: ...\nobserved:\n| process 3 waits ...\nlook at:
//   ...\n"
//
// What may come from a submission stands behind a bar, line by line, so that no line of it can pass
// for one of ours or for a command to whoever reads the text.

#ifndef IPCLAB_COMMON_REPORT_PLAIN_H_
#define IPCLAB_COMMON_REPORT_PLAIN_H_

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

// `line`, which is printable, with a space in it if GitHub's runner would take it for a command:
// one that begins, but for white space, with "::".
std::string NoCommand(std::string line);

// One line: what the check proves, and how it failed if that has a name.
std::string Headline(const CheckResult& check, Language language);

// Lines that end in \n: all that is told about a check that did not pass, remarks about one that
// did. May be empty.
std::string Explanation(const CheckResult& check, Language language);

// What the compiler said, each line behind a bar. May be empty.
std::string BuildMessages(const LabResult& lab);

// "demo: 10 / 40 points"; one line for each lab.
std::string ScoreLines(const RunResult& run, Language language);

// `text`, or what of it fits into `bytes` with a remark that it was shortened.
std::string CutTo(std::string_view text, std::size_t bytes, Language language);

// The document that `write` gives for the first of `limits` with which it has at most `bytes`; for
// the last one if none does. A limit is how long one text in it may be.
std::string FitInto(std::size_t bytes, std::initializer_list<std::size_t> limits,
                    const std::function<std::string(std::size_t)>& write);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_PLAIN_H_
