// What checks say about a helper, its children and the programs they run, in the words of the
// field.
//
//   EXPECT_THAT(OutcomeOf(caller), Succeeds());
//   EXPECT_THAT(StatusOf(caller, "status1"), SaysExit(127));
//   EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
//   EXPECT_THAT(StraysAtExec(box, stage), NoStrays());

#ifndef IPCLAB_COMMON_GRADING_OUTCOMES_H_
#define IPCLAB_COMMON_GRADING_OUTCOMES_H_

#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "common/base/names.h"
#include "common/grading/exercise.h"
#include "common/observe/census_diff.h"
#include "common/observe/trace.h"

namespace ipclab {

// What a helper was told of a child's end.
struct WaitStatus {
  std::int64_t raw;
};

constexpr std::int64_t kNoStatus = -9999;

inline WaitStatus StatusOf(const Helper& helper, const std::string& key) {
  return {helper.Reported(key, kNoStatus)};
}

inline std::vector<Process> RunningProgram(const Sandbox& box, const std::string& program) {
  std::vector<Process> found;
  for (const Process& process : box.Children()) {
    if (process.program == program) found.push_back(process);
  }
  return found;
}

// How the one process that ran `program` has ended, by what the kernel says.
inline WaitStatus StatusOf(const Sandbox& box, const std::string& program) {
  const std::vector<Process> found = RunningProgram(box, program);
  return {found.size() == 1 && found[0].status ? *found[0].status : kNoStatus};
}

inline void PrintTo(const WaitStatus& status, std::ostream* out) {
  if (status.raw == kNoStatus) {
    *out << "no wait status";
  } else {
    *out << "the wait status " << status.raw << ": "
         << DescribeStatus(static_cast<int>(status.raw));
  }
}

MATCHER_P(SaysExit, code, "a wait status that says: exited with code " + std::to_string(code)) {
  return arg.raw == static_cast<std::int64_t>(code) << 8;
}

MATCHER_P(SaysKilledBy, signal, "a wait status that says: killed by " + SignalName(signal)) {
  return arg.raw == static_cast<std::int64_t>(signal);
}

// How a helper ended, and what the last of the student's functions that it called returned.
struct Outcome {
  Ending ending;
  StudentCall call;
};

inline Outcome OutcomeOf(Helper& helper) {
  const Ending ending = helper.Wait();
  const auto& calls = helper.process().calls;
  return {ending, calls.empty() ? StudentCall() : calls.back()};
}

inline void PrintTo(const Outcome& outcome, std::ostream* out) {
  const bool stopped_by_it = outcome.ending.kind == Ending::Kind::kExited &&
                             outcome.ending.code != 0 && outcome.call.returned;
  *out << (stopped_by_it ? DescribeCall(outcome.call) : outcome.ending.text);
}

MATCHER(Succeeds, "every call succeeds") {
  return arg.ending.kind == Ending::Kind::kExited && arg.ending.code == 0;
}

MATCHER(ComesToItsEnd, "the calling process comes to its end") {
  return arg.ending.kind == Ending::Kind::kExited;
}

MATCHER_P(IsText, want, testing::PrintToString(std::string(want))) { return arg == want; }

// What a student's function left behind when it returned, by name.
inline std::vector<std::string> LeftBehind(Sandbox& box, const StudentCall& call) {
  return Leftovers(call.before, call.after, box.names());
}

// What there is below /tmp and in /dev/shm of the box, by name: "FIFO /tmp/x".
inline std::vector<std::string> NamesLeft(const Sandbox& box) {
  std::vector<std::string> names;
  for (const TreeEntry& entry : box.Names()) names.push_back(entry.Name());
  return names;
}

// The System V objects of the box, by name: "System V message queue id 0 key 0x1f".
inline std::vector<std::string> SysvLeft(const Sandbox& box) {
  std::vector<std::string> names;
  for (const SysvObject& object : box.SysvObjects()) names.push_back(object.Name());
  return names;
}

// Descriptors other than 0, 1 and 2 that a program was started with.
inline std::vector<std::string> StraysAtExec(Sandbox& box, const Process& process) {
  std::vector<std::string> strays;
  if (!process.at_exec) return strays;
  for (const Descriptor& descriptor : process.at_exec->descriptors) {
    if (descriptor.number <= 2) continue;
    strays.push_back(process.program + " starts with descriptor " +
                     std::to_string(descriptor.number) + ", " + box.names().End(descriptor));
  }
  return strays;
}

MATCHER(NoStrays, "a program starts with descriptors 0, 1 and 2 and no other") {
  for (const std::string& stray : arg) *result_listener << "\n  " << stray;
  return arg.empty();
}

// True if a child came back from a student's function into the caller's code.
inline bool AnyChildStrayed(const Sandbox& box) {
  return std::ranges::any_of(box.Children(), [](const Process& child) { return child.strayed; });
}

// How the signal settings of a started program keep SIGPIPE from ending it.
inline std::vector<std::string> DeafnessAtExec(const Process& process) {
  std::vector<std::string> deafness;
  if (!process.at_exec) return deafness;
  const SignalState& signals = process.at_exec->signals;
  if (signals.ignored.Has(SIGPIPE)) deafness.push_back(process.program + " ignores SIGPIPE");
  if (signals.blocked.Has(SIGPIPE)) deafness.push_back(process.program + " blocks SIGPIPE");
  return deafness;
}

MATCHER(NotDeaf, "a program starts with SIGPIPE at its default and not blocked") {
  for (const std::string& line : arg) *result_listener << "\n  " << line;
  return arg.empty();
}

// How often `word` stands in `text`.
inline int Occurrences(const std::string& word, const std::string& text) {
  int count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// For a text that waited in the caller's stdio buffer during the call and was flushed after it.
inline testing::AssertionResult WrittenOnce(const std::string& text, const std::string& output) {
  const int times = Occurrences(text, output);
  if (times == 1) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "a text that waited in the caller's stdio buffer was written "
         << (times == 2 ? "twice" : std::to_string(times) + " times");
}

// What a student's function did to the flags of descriptors that it was given. They belong to the
// open file description, which other processes may share.
inline std::vector<std::string> FlagChanges(const Sandbox& box, const StudentCall& call) {
  std::vector<std::string> changes;
  for (const Event& event : box.Calls(Family::kFcntl)) {
    const Descriptor* const given = call.before.Find(event.descriptor);
    const bool sets = event.args[1] == F_SETFL && event.Succeeded();
    if (event.function != call.function || !sets || given == nullptr) continue;
    if (given->target == event.target) {
      changes.push_back(call.function + "() calls fcntl(" + std::to_string(event.descriptor) +
                        ", F_SETFL, ...)");
    }
  }
  return changes;
}

MATCHER(NoFlagChanges, "the flags of the given descriptor are not changed, not even for a moment") {
  for (const std::string& change : arg) *result_listener << "\n  " << change;
  return arg.empty();
}

// What has that name in the work directory; as if it were empty, if there is nothing.
inline TreeEntry EntryAt(const Sandbox& box, const std::string& path) {
  for (const TreeEntry& entry : box.Names()) {
    if (entry.path == "/tmp/" + path) return entry;
  }
  return {};
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_OUTCOMES_H_
