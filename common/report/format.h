// The formats of `lab grade --format`: the one place that knows them all.
//
//   const Format* const format = FindFormat("junit");
//   const Document document = format->write(run, options);
//   if (document.withheld.empty()) WriteAtomically(path, document.text);
//
// To add one: a function of a run in common/report/formats/, and a line in format.cc.

#ifndef IPCLAB_COMMON_REPORT_FORMAT_H_
#define IPCLAB_COMMON_REPORT_FORMAT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/grading/result.h"
#include "common/report/markdown.h"
#include "common/report/text.h"

namespace ipclab {

// What is written, or why nothing may be: a reader that knows no state but a score would take a run
// that gives no grade for 0 points, or practice for credit.
struct Document {
  std::string text;      // Ends in a newline.
  std::string withheld;  // Empty unless there is no document.
};

// Whose work Classroom 50 is having graded. Its runner gives the values and compares them with what
// it finds in the result.
struct Classroom50Submission {
  std::string classroom, assignment, owner;
  std::string assignment_type = "individual";  // Or "group".
  std::string submission;                      // "submit/...".
  std::string commit, release, review;         // Addresses.
};

struct FormatOptions {
  TextStyle style;  // Its language is that of every format.
  Classroom50Submission classroom50;
  std::size_t limit = kJobSummaryLimit;  // Bytes that a job summary may have.
};

struct Format {
  std::string_view name;
  std::string_view about;  // A line for --help.
  Document (*write)(const RunResult& run, const FormatOptions& options);
  // What `options` lack that this format needs, as the words behind "needs"; empty if nothing.
  std::string (*lacks)(const FormatOptions& options) = nullptr;
};

const std::vector<Format>& Formats();

// Null if there is none of that name.
const Format* FindFormat(std::string_view name);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_FORMAT_H_
