// Inside of common/report: a function for each format that format.cc lists. What a format's reader
// does with it, its limits and its traps stand at the top of its source.

#ifndef IPCLAB_COMMON_REPORT_FORMATS_FORMATS_H_
#define IPCLAB_COMMON_REPORT_FORMATS_FORMATS_H_

#include <string>

#include "common/report/format.h"

namespace ipclab {

Document WriteAutolab(const RunResult& run, const FormatOptions& options);
Document WriteClassroom50(const RunResult& run, const FormatOptions& options);
std::string Classroom50Lacks(const FormatOptions& options);
Document WriteExercism(const RunResult& run, const FormatOptions& options);
Document WriteGitHub(const RunResult& run, const FormatOptions& options);
Document WriteGitHubClassroom(const RunResult& run, const FormatOptions& options);
Document WriteGradescope(const RunResult& run, const FormatOptions& options);
Document WriteJUnit(const RunResult& run, const FormatOptions& options);
Document WritePrairieLearn(const RunResult& run, const FormatOptions& options);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_FORMATS_FORMATS_H_
