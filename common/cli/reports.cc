#include "common/cli/reports.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/text.h"
#include "common/cli/files.h"
#include "common/cli/progress.h"
#include "common/cli/workspace.h"
#include "common/compile/source.h"
#include "common/report/trace.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownBytes = 200;

const Format& FormatOrThrow(const std::string& name) {
  if (const Format* const format = FindFormat(name)) return *format;
  std::vector<std::string> names;
  for (const Format& format : Formats()) names.emplace_back(format.name);
  const std::string nearest = Nearest(name, names);
  throw UsageError("there is no format " + Printable(name, kShownBytes) +
                   (nearest.empty() ? "" : "; did you mean " + nearest + "?") +
                   " (formats: " + Join(names, ", ") + ")");
}

UsageError WithoutFormat(const std::string& path) {
  return UsageError("--out " + Printable(path, kShownBytes) +
                    " has no --format of its own; write each --out behind its --format");
}

// Each path to the format nearest before it; one that comes before all formats to the first.
void PairByPlace(const std::string& order, const std::vector<std::string>& paths,
                 std::vector<Report>& reports) {
  std::size_t formats = 0;
  auto path = paths.begin();
  for (const char option : order) {
    if (option == 'f') {
      ++formats;
      continue;
    }
    Report& report = reports[formats == 0 ? 0 : formats - 1];
    if (!report.path.empty()) throw WithoutFormat(*path);
    report.path = *path++;
  }
}

// The same file has the same name here, whether it exists or not.
std::string Identity(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(fs::absolute(path), error);
  return error ? path : real.string();
}

FormatOptions OptionsFor(const Report& report, FormatOptions options) {
  const int columns = report.path.empty() ? TerminalColumns(STDOUT_FILENO) : 0;
  TextStyle& style = options.style;
  style.terminal = columns > 0;
  style.color = style.color && style.terminal;
  if (style.terminal) style.columns = std::clamp(columns, 40, 100);
  return options;
}

void Withhold(const Report& report, const std::string& why) {
  const std::string name(report.format->name);
  const std::string where = report.path.empty() ? "" : " to " + report.path;
  std::fprintf(stderr, "lab: no %s report is written%s: %s\n", name.c_str(), where.c_str(),
               why.c_str());
  if (report.path.empty()) return;
  if (unlink(report.path.c_str()) == -1 && errno != ENOENT) {
    throw SystemError(errno, "remove " + report.path);
  }
}

}  // namespace

std::vector<Report> PairReports(const std::string& order, const std::vector<std::string>& formats,
                                const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (path.empty()) throw UsageError("'': names no file");
  }
  std::vector<Report> reports;
  for (const std::string& name : formats) reports.push_back({&FormatOrThrow(name), ""});
  if (reports.empty()) {
    reports.push_back({&FormatOrThrow("text"), ""});
    if (paths.size() > 1) throw WithoutFormat(paths[1]);
    if (!paths.empty()) reports[0].path = paths[0];
  } else if (formats.size() == paths.size()) {
    for (std::size_t i = 0; i < paths.size(); ++i) reports[i].path = paths[i];
  } else {
    PairByPlace(order, paths, reports);
  }
  const Report* printed = nullptr;
  for (const Report& report : reports) {
    if (!report.path.empty()) continue;
    if (printed != nullptr) {
      throw UsageError("the formats " + std::string(printed->format->name) + " and " +
                       std::string(report.format->name) +
                       " would both go to standard output; give one of them an --out");
    }
    printed = &report;
  }
  return reports;
}

void CheckReports(const std::vector<Report>& reports, const std::string& trace,
                  const FormatOptions& options, const std::vector<std::string>& sources) {
  std::vector<std::string> paths;
  for (const Report& report : reports) {
    const auto lacks = report.format->lacks;
    if (const std::string what = lacks == nullptr ? "" : lacks(options); !what.empty()) {
      throw UsageError("the format " + std::string(report.format->name) + " needs " + what);
    }
    if (!report.path.empty()) paths.push_back(report.path);
  }
  if (!trace.empty()) paths.push_back(trace);
  std::set<std::string> graded;
  for (const std::string& source : sources) graded.insert(Identity(source));
  std::set<std::string> known;
  for (const std::string& path : paths) {
    if (graded.count(Identity(path)) != 0) {
      throw UsageError(Printable(path, kShownBytes) +
                       ": is to be graded, so no report is written there");
    }
    CheckWritable(path);
    if (!known.insert(Identity(path)).second) {
      throw UsageError(Printable(path, kShownBytes) + ": is to take two reports");
    }
  }
}

bool Deliver(const RunResult& run, const std::vector<Report>& reports,
             const FormatOptions& options) {
  bool all = true;
  for (const Report& report : reports) {
    const Document document = report.format->write(run, OptionsFor(report, options));
    if (!document.withheld.empty()) {
      Withhold(report, document.withheld);
      all = false;
    } else if (report.path.empty()) {
      WriteAllTo(STDOUT_FILENO, document.text, "standard output");
    } else {
      WriteAtomically(report.path, document.text);
      std::fprintf(stderr, "lab: the report is in %s\n", report.path.c_str());
    }
  }
  return all;
}

void DeliverTrace(const RunResult& run, const std::string& path) {
  WriteAtomically(path, ToChromeTrace(run));
  std::fprintf(stderr, "lab: the trace is in %s; ui.perfetto.dev shows it\n", path.c_str());
}

void AppendSummary(const RunResult& run, const std::string& path, const Format& format,
                   FormatOptions options) {
  // The runner has made the file; other commands of the step may have written to it.
  const Fd file(Check(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), "open " + path));
  struct stat info;
  Check(fstat(file.get(), &info), "fstat " + path);
  const std::size_t used = static_cast<std::size_t>(info.st_size);
  options.limit -= std::min(used, options.limit);
  const Document summary = format.write(run, OptionsFor({&format, path}, options));
  if (summary.text.size() > options.limit) {
    std::fprintf(stderr, "lab: the job summary has no room for this run\n");
    return;
  }
  WriteAllTo(file.get(), summary.text, path);
}

}  // namespace ipclab
