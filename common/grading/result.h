// The one result model: what a grader found out, before anybody decides how to show it.
//
//   CheckResult check;            // filled in by the grader, one per check
//   nlohmann::json(check).dump()  // one line on the grader's results descriptor
//   LabResult lab = ReadLab(fd);  // read back by `lab`, see reader.h
//
// The JSON names are those of common/report/result.schema.json.

#ifndef IPCLAB_COMMON_GRADING_RESULT_H_
#define IPCLAB_COMMON_GRADING_RESULT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ipclab {

enum class CheckStatus { kPassed, kFailed, kNotGraded, kSkipped };
NLOHMANN_JSON_SERIALIZE_ENUM(CheckStatus, {{CheckStatus::kNotGraded, "not_graded"},
                                           {CheckStatus::kPassed, "passed"},
                                           {CheckStatus::kFailed, "failed"},
                                           {CheckStatus::kSkipped, "skipped"}})

enum class TimelineKind {
  kNote,       // A remark of the grader's; it has no process.
  kCall,       // A system call.
  kForbidden,  // A call that was refused.
  kSignal,     // A signal arrived.
  kStart,      // A process began.
  kExec,       // It runs another program now.
  kEnd,        // It ended.
  kEnter,      // A student's function was called ...
  kLeave,      // ... and returned.
};
NLOHMANN_JSON_SERIALIZE_ENUM(TimelineKind, {{TimelineKind::kNote, "note"},
                                            {TimelineKind::kCall, "call"},
                                            {TimelineKind::kForbidden, "forbidden"},
                                            {TimelineKind::kSignal, "signal"},
                                            {TimelineKind::kStart, "start"},
                                            {TimelineKind::kExec, "exec"},
                                            {TimelineKind::kEnd, "end"},
                                            {TimelineKind::kEnter, "enter"},
                                            {TimelineKind::kLeave, "leave"}})

// One line of what happened in the box, in order.
struct TimelineEntry {
  std::int64_t at_us = 0;  // Microseconds since the box started.
  int pid = 0;             // As the process itself sees it (getpid).
  std::string process;     // "SendsBytes", "child of SendsBytes".
  std::string what;        // "pipe2(O_CLOEXEC) = 0 [3, 4]".
  TimelineKind kind = TimelineKind::kNote;
  std::int64_t until_us = -1;  // When a call returned; -1 if it never did, or for other kinds.
  int from = 0;  // The process that forked the one that begins, or sent the signal; 0 if none did.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TimelineEntry, at_us, pid, process, what, kind,
                                                until_us, from)

// Who alone could end a wait.
struct WaitTarget {
  int pid = 0;
  std::string process;
  std::string why;  // "write end of pipe A, descriptor 4"; may be empty.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(WaitTarget, pid, process, why)

// An edge of the wait-for graph of a deadlock: a thread that cannot go on, and for whom it waits.
struct Wait {
  int pid = 0;
  int thread = 0;  // gettid() of a thread that is not the first one of its process, else 0.
  std::string process;
  std::string call;            // "read"; empty if it is stopped by a signal.
  std::string what;            // "for bytes or end of file of pipe A".
  std::vector<WaitTarget> on;  // Empty if nobody is left who could end it.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Wait, pid, thread, process, call, what, on)

struct CheckResult {
  std::string id;        // "SendToChild.DeliversBytesInOrder".
  std::string exercise;  // "pipe.1".
  std::string title;     // What the check proves, in the chosen language.
  CheckStatus status = CheckStatus::kNotGraded;
  double points = 0;
  double max_points = 0;
  std::string verdict;   // "passed", "failed", "deadlock", "killed by a signal", "not started" ...
  std::string expected;  // Empty when passed.
  std::string observed;  // What the kernel showed; empty when passed.
  std::string hint;      // What to look at next.
  std::vector<std::string> references;  // "pipe(7)".
  std::vector<TimelineEntry> timeline;  // Only when failed.
  std::vector<Wait> waits;              // Only for a deadlock; the circle, if there is one, first.
  std::vector<std::string> notes;       // Remarks that cost nothing.
  std::string function;  // The student's function in question; empty if none was called.
  int line = 0;          // Where the student's file defines it; 0 if that is not known.
  double duration_ms = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CheckResult, id, exercise, title, status, points,
                                                max_points, verdict, expected, observed, hint,
                                                references, timeline, waits, notes, function, line,
                                                duration_ms)

// How the submission was confined. `mode` is "full" (results count), "practice" or "none".
struct Isolation {
  std::string mode;
  std::string detail;  // Why it is not full.
  std::string fix;     // The one command that makes it full.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Isolation, mode, detail, fix)

struct ExerciseResult {
  std::string id;     // "pipe.1".
  std::string name;   // "send_to_child".
  std::string title;  // In the chosen language.
  double points = 0;
  double max_points = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ExerciseResult, id, name, title, points, max_points)

struct LabResult {
  std::string lab;
  std::string source;       // The student's file as the user named it.
  std::string diagnostics;  // The compiler's words, if it did not compile.
  double score = 0;
  double max_score = 0;
  std::vector<ExerciseResult> exercises;
  std::vector<CheckResult> checks;
  std::string error;  // Why the lab could not be graded; empty if it was.
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LabResult, lab, source, diagnostics, score,
                                                max_score, exercises, checks, error)

struct RunResult {
  std::string schema = "ipclab/result/v1";
  std::string grader_version;
  std::uint64_t seed = 0;
  std::string started_at;  // UTC, "2026-11-20T10:00:00Z".
  double duration_ms = 0;  // Compiling and checking, all labs.
  Isolation isolation;
  std::vector<LabResult> labs;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RunResult, schema, grader_version, seed, started_at,
                                                duration_ms, isolation, labs)

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_RESULT_H_
