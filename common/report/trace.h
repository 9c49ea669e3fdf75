// A run's timelines in the Chrome trace-event format (JSON object form), for ui.perfetto.dev or
// chrome://tracing.
//
//   WriteAtomically("trace.json", ToChromeTrace(run));
//
// The checks follow one another on a track of their lab. Under each that has a timeline, every
// process of its box is a process of the trace; ids are given anew, so that process 2 of one check
// is not process 2 of the next, and the name tells the id that the process saw.

#ifndef IPCLAB_COMMON_REPORT_TRACE_H_
#define IPCLAB_COMMON_REPORT_TRACE_H_

#include <string>

#include "common/grading/result.h"

namespace ipclab {

// Times are microseconds. A call or function that never returned lasts to the end of its process
// and has "returned": false; in a deadlock "waits" says for what. Arrows lead from who forked or
// sent a signal to whom.
std::string ToChromeTrace(const RunResult& run);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_TRACE_H_
