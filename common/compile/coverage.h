// Which lines of submissions ran: from what their libraries counted to a table, pages and
// Cobertura.
//
//   CompileOptions options;
//   options.counted_as = "labs/pipe/pipe.cc";
//   const Compiled compiled = CompileSubmission(contract, source, options);
//   ... run it with shared counters, have it write its counts ...
//   const CoverageReport report = ReportCoverage({{"labs/pipe/pipe.cc", source.text,
//                                                  compiled.library.get(), counts}}, options);
//   std::cout << report.table;
//
// The work is gcovr's (gcovr(1), gcov(1)), in the jail: notes and counts come from a stranger's
// library, and both programs were written for files of one's own.

#ifndef IPCLAB_COMMON_COMPILE_COVERAGE_H_
#define IPCLAB_COMMON_COMPILE_COVERAGE_H_

#include <map>
#include <string>
#include <vector>

#include "common/compile/compile.h"

namespace ipclab {

// The file of one library that was compiled with CompileOptions::counted_as.
struct CountedFile {
  std::string counted_as;
  std::string text;
  int library = -1;    // Stays the caller's; its offset is not moved.
  std::string counts;  // What the library wrote, a .gcda file.
};

struct CoverageReport {
  std::string table;                         // Lines that end in \n, safe to print.
  std::map<std::string, std::string> pages;  // HTML and style, by file name; begin at index.html.
  std::string cobertura;                     // XML, see cobertura.github.io.
};

// Shared memory for the counters of a library, all zero: a memfd that nobody can make smaller,
// enough for any library that CompileSubmission makes.
Fd MakeCounters();

// Names of files in reports: `path` without ".." and leading slashes, each character that is not a
// letter, a digit or one of "/._-+" replaced.
std::string NameInReport(const std::string& path);

// One report on all files. Throws GraderError if gcovr is not there or cannot make sense of a file.
CoverageReport ReportCoverage(const std::vector<CountedFile>& files, const CompileOptions& options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_COVERAGE_H_
