// What only the checks of the fifo lab say: names in the box, and who writes into a FIFO.
//
//   const std::string path = PutFifo(box);                 // Made by a helper that knows no more.
//   EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0600"));
//   EXPECT_TRUE(BytesInto(box, path) >= bytes.size());     // By the trace of write calls.

#ifndef IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_
#define IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/names.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/observe/blocked.h"

namespace ipclab {

// The kinds of things that a name may stand for and are no FIFO, and how each of them looks.
inline const std::vector<std::pair<std::string, std::string>> kNoFifos = {
    {"file", "a file of 10 bytes"},
    {"directory", "a directory"},
    {"link", "a link"},  // To a FIFO.
    {"dangling", "a link"}};

// Puts into the box's work directory NAME.fifo and NAME.KIND for each kind of kNoFifos, and returns
// NAME, which is drawn at random. The helper is in fifo_make_checks.cc.
inline std::string PutOneOfEach(Sandbox& box, int mode = 0600) {
  const std::string name = RandomWord(8);
  Helper puts = box.Start("PutsOneOfEach", {{"name", name}, {"mode", mode}});
  if (puts.Wait().code != 0) throw GraderError("the names could not be made");
  return name;
}

inline std::string PutFifo(Sandbox& box) {
  const std::string path = RandomWord(8);
  Helper puts = box.Start("PutsFifo", {{"path", path}});
  if (puts.Wait().code != 0) throw GraderError("the FIFO could not be made");
  return path;
}

// What there is in the work directory, seen from outside the box: "a FIFO with mode 0600", "a file
// of 10 bytes", "nothing".
inline std::string WhatIsAt(const Sandbox& box, const std::string& path) {
  const TreeEntry entry = EntryAt(box, path);
  char mode[8];
  std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(entry.permissions));
  switch (entry.type & S_IFMT) {
    case 0:
      return "nothing";
    case S_IFIFO:
      return std::string("a FIFO with mode ") + mode;
    case S_IFREG:
      return "a file of " + std::to_string(entry.size) + " bytes";
    case S_IFDIR:
      return "a directory";
    case S_IFLNK:
      return "a link";
    default:
      return "something else";
  }
}

inline bool IsAt(const Event& event, const std::string& path) {
  return event.target.ends_with("/" + path);
}

// The calls of a family that students' functions made on this FIFO.
inline std::vector<Event> CallsOn(const Sandbox& box, Family family, const std::string& path) {
  std::vector<Event> calls = box.Calls(family);
  std::erase_if(calls, [&](const Event& event) { return !IsAt(event, path); });
  return calls;
}

// How many bytes students' functions wrote into it. The box must watch Family::kWrite and, since
// splice(2) writes too, Family::kSplice.
inline std::size_t BytesInto(const Sandbox& box, const std::string& path) {
  std::size_t bytes = 0;
  for (const Family family : {Family::kWrite, Family::kSplice}) {
    for (const Event& event : CallsOn(box, family, path)) {
      if (event.Succeeded()) bytes += static_cast<std::size_t>(*event.result);
    }
  }
  return bytes;
}

// "fifo_drain() returned 0", "was killed by SIGPIPE".
inline std::string WhatBecameOf(const Helper& helper) {
  const auto& calls = helper.process().calls;
  if (!calls.empty() && calls.back().returned) return DescribeCall(calls.back());
  const std::optional<int> status = helper.process().status;
  return status ? "it " + DescribeStatus(*status) : "it has not come so far";
}

// True if everybody sleeps and the helper's call has not returned.
[[nodiscard]] inline testing::AssertionResult StillWaits(Sandbox& box, const Helper& helper) {
  const testing::AssertionResult rest = ComesToRest(box);
  if (!rest) return rest;
  const auto& calls = helper.process().calls;
  if (helper.process().alive && !calls.empty() && !calls.back().returned) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << WhatBecameOf(helper);
}

// True if the process sleeps in a call that nothing but the clock ends.
inline bool Dozes(pid_t pid) {
  const std::optional<Blocked> call = BlockedCall(pid);
  if (!call) return false;
  const bool of_nothing = FamilyOf(call->call) == Family::kPoll && call->args[1] == 0;
  return FamilyOf(call->call) == Family::kSleep || of_nothing;
}

// True if the helper comes to its end. For boxes in which somebody is held, where nobody waits in
// vain for good: all asleep is enough here.
[[nodiscard]] inline testing::AssertionResult Leaves(Sandbox& box, Helper& helper) {
  const auto ended = [&] { return !helper.process().alive; };
  const testing::AssertionResult came =
      Comes(box, [&] { return ended() || (AtRest(box) && !Dozes(helper.pid())); });
  if (!came) return came;
  if (!ended()) {
    const std::optional<Blocked> call = BlockedCall(helper.pid());
    const std::string function = helper.process().function;
    return testing::AssertionFailure()
           << (function.empty() ? helper.process().role : function + "()") << " sleeps"
           << (call ? " in " + SyscallName(call->call) + "()" : "") << " and nobody else moves";
  }
  const Ending ending = helper.Wait();
  if (ending.kind == Ending::Kind::kExited && ending.code == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << ending.text;
}

// Lets time pass: the next `times` polls that have a timeout come to its end at once. Who takes a
// silence for the end is found out; who waits without a timeout does not notice. The box must watch
// Family::kPoll.
inline void LetTimePass(Sandbox& box, int times = 3) {
  const auto has_timeout = [times, seen = 0](const Event& event) mutable {
    bool finite = false;
    if (event.number == SYS_poll) finite = static_cast<int>(event.args[2]) > 0;
    if (event.number == SYS_ppoll) finite = event.args[2] != 0;
    if (event.number == SYS_select || event.number == SYS_pselect6) finite = event.args[4] != 0;
    if (event.number == SYS_epoll_wait || event.number == SYS_epoll_pwait) {
      finite = static_cast<int>(event.args[3]) > 0;
    }
    return finite && !event.function.empty() && ++seen <= times;
  };
  box.AddRule({.family = Family::kPoll, .nth = 0, .where = has_timeout, .answer = 0});
}

// Somebody who could still come. While he stands by, a box in which all others sleep is at rest and
// no deadlock; once he has left, whoever sleeps for good is found. The box must watch
// Family::kSignalSend. The helper is in fifo_make_checks.cc.
class Bystander {
 public:
  explicit Bystander(Sandbox& box) : box_(box), gate_(HoldAtGate(box)) {
    box.Start("StandsBy");
    EXPECT_TRUE(box.WaitUntilHeld(gate_)) << box.failure();
  }
  ~Bystander() { Leave(); }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  void Leave() { box_.Release(gate_); }

 private:
  Sandbox& box_;
  const int gate_;
};

// In practice mode helpers may have the capabilities of root, for whom modes of files mean nothing.
inline bool ModesCount() { return Session::Get().confine; }

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_
