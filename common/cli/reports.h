// The reports that a run is asked for: which format goes where.
//
//   const std::vector<Report> reports = PairReports("fo", {"junit"}, {"a.xml"});
//   CheckReports(reports, trace, options, sources);      // before the work: throws UsageError
//   const bool all = Deliver(result, reports, options);  // after it
//
// With as many --out as --format they belong together in their order. Otherwise each --out belongs
// to the --format nearest before it, and one --format may be left for standard output.

#ifndef IPCLAB_COMMON_CLI_REPORTS_H_
#define IPCLAB_COMMON_CLI_REPORTS_H_

#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/report/format.h"

namespace ipclab {

struct Report {
  const Format* format = nullptr;
  std::string path;  // Empty: standard output.
};

// `order` names the options in the order of the command line: 'f' for each --format, 'o' for each
// --out. No option at all is the text on standard output. Throws UsageError.
std::vector<Report> PairReports(const std::string& order, const std::vector<std::string>& formats,
                                const std::vector<std::string>& paths);

// Throws UsageError if a report lacks something, or if a file cannot be written, is asked for twice
// or is one of `sources`, the files to be graded. `trace` may be empty. Changes nothing.
void CheckReports(const std::vector<Report>& reports, const std::string& trace,
                  const FormatOptions& options, const std::vector<std::string>& sources);

// Writes all reports. One that is withheld is named on standard error, and an older one at its path
// removed: a gradebook must not take it for this run's. False if any was. Throws GraderError.
bool Deliver(const RunResult& run, const std::vector<Report>& reports,
             const FormatOptions& options);

void DeliverTrace(const RunResult& run, const std::string& path);

// Appends a job summary to `path`, a file of GitHub's runner, made by `format` within the room that
// is left of `options.limit`: of a longer file the runner shows nothing. Throws GraderError.
void AppendSummary(const RunResult& run, const std::string& path, const Format& format,
                   FormatOptions options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_REPORTS_H_
