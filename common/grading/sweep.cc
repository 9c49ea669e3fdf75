#include "common/grading/sweep.h"

#include <signal.h>
#include <sys/ipc.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/grading/outcomes.h"

namespace ipclab {
namespace {

// The errors that a call of each family may end with on Linux without any fault of its caller.
// close() is not among them: it frees the descriptor even when it reports an error. See the ERRORS
// of their man pages.
const std::map<Family, std::vector<int>>& Errors() {
  static const std::map<Family, std::vector<int>> errors = {
      {Family::kPipe, {EMFILE, ENFILE}},  {Family::kSocket, {EMFILE}},
      {Family::kFork, {EAGAIN, ENOMEM}},  {Family::kOpen, {EMFILE}},
      {Family::kDup, {EMFILE}},           {Family::kFcntl, {EMFILE}},
      {Family::kRead, {EINTR, EIO}},      {Family::kWrite, {EINTR, EIO}},
      {Family::kSplice, {EINTR, ENOMEM}}, {Family::kPoll, {EINTR, ENOMEM}},
      {Family::kWait, {EINTR}},           {Family::kExec, {ENOMEM}},
      {Family::kSignalWait, {EINTR}},     {Family::kMap, {ENOMEM}},
      {Family::kMode, {EPERM}},           {Family::kStat, {ENOMEM}},
      {Family::kResize, {EINTR, EIO}},    {Family::kName, {ENOSPC}},
  };
  return errors;
}

// Those of calls whose family is too mixed to tell. A mapping that cannot be given back stays.
const std::map<long, std::vector<int>>& ErrorsByNumber() {
  static const std::map<long, std::vector<int>> errors = {
      {SYS_msgget, {ENOSPC, ENOMEM}},
      {SYS_msgsnd, {EINTR, ENOMEM}},
      {SYS_msgrcv, {EINTR, EIDRM}},
      {SYS_semget, {ENOSPC, ENOMEM}},
      {SYS_semop, {EINTR, ENOMEM}},
      {SYS_semtimedop, {EINTR, ENOMEM}},
      {SYS_shmget, {ENOSPC, ENOMEM}},
      {SYS_shmat, {ENOMEM}},
      {SYS_munmap, {}},
      {SYS_mprotect, {}},
  };
  return errors;
}

// Finds a System V object by its key, and makes none.
bool LooksUp(const Event& event) {
  if (event.args[0] == IPC_PRIVATE) return false;
  if (event.number == SYS_msgget) return (event.args[1] & IPC_CREAT) == 0;
  const bool gets = event.number == SYS_semget || event.number == SYS_shmget;
  return gets && (event.args[2] & IPC_CREAT) == 0;
}

std::vector<int> ErrorsOf(const Event& event) {
  // To find what is there needs nothing that could be lacking.
  if (LooksUp(event)) return {};
  // To take a name away needs nothing that could be lacking; and if it failed, the name would stay.
  if (event.number == SYS_unlink || event.number == SYS_unlinkat) return {};
  const auto by_number = ErrorsByNumber().find(event.number);
  if (by_number != ErrorsByNumber().end()) return by_number->second;
  const auto by_family = Errors().find(event.family);
  return by_family != Errors().end() ? by_family->second : std::vector<int>();
}

// The n-th call of a family by the calling process, or by the processes it starts.
struct Point {
  Family family;
  int nth;
  bool caller;
  std::vector<int> errors;

  std::string Text(int error) const {
    return "call " + std::to_string(nth) + " of " + std::string(FamilyName(family)) + " in " +
           (caller ? "the caller" : "a child") + " failing with " + ErrnoName(error);
  }
};

bool OfCaller(const Sandbox& box, const Event& event) {
  return box.observer().process(event.pid).helper;
}

std::vector<Point> PointsOf(const Sandbox& box) {
  std::map<std::pair<Family, bool>, int> counts;
  std::vector<Point> points;
  for (const Event& event : box.events()) {
    if (event.kind != Event::Kind::kCall || event.function.empty()) continue;
    const bool caller = OfCaller(box, event);
    const int nth = ++counts[{event.family, caller}];
    if (!ErrorsOf(event).empty()) {
      points.push_back({event.family, nth, caller, ErrorsOf(event)});
    }
  }
  return points;
}

bool SomethingFailed(const Process& helper) {
  return std::any_of(helper.calls.begin(), helper.calls.end(),
                     [](const StudentCall& call) { return call.value == -1; });
}

// By the helper, or in the box: a scenario takes away all it made.
std::vector<std::string> LeftInTheEnd(const Sandbox& box, const Helper& caller) {
  std::vector<std::string> left = caller.Leftovers();
  for (std::string& name : NamesLeft(box)) left.push_back(std::move(name));
  for (std::string& object : SysvLeft(box)) left.push_back(std::move(object));
  return left;
}

// Empty if all is well.
std::string Try(const std::string& helper, const SandboxOptions& options, const Point& point,
                int error) {
  Sandbox box(options);
  const int rule =
      box.AddRule({.family = point.family,
                   .nth = point.nth,
                   .where =
                       [&](const Event& event) {
                         return !event.function.empty() && OfCaller(box, event) == point.caller;
                       },
                   .answer = -error});
  Helper caller = box.Start(helper);
  const Ending ending = caller.Wait();
  if (ending.kind != Ending::Kind::kExited) return ending.text;
  const std::vector<std::string> leftovers = LeftInTheEnd(box, caller);
  if (!leftovers.empty()) return "left behind: " + Join(leftovers, "; ");
  // What a child meets may or may not show; an interrupted call is made again.
  const bool must_show =
      point.caller && error != EINTR && box.observer().Matches(rule) >= point.nth;
  if (must_show && !SomethingFailed(caller.process())) return "no function reported it";
  return "";
}

}  // namespace

std::string RideOutStorm(const std::string& helper, const SandboxOptions& options) {
  constexpr int kGusts[] = {SIGURG, SIGSTOP, SIGWINCH, SIGCONT};
  constexpr int kVolleys = 400;
  constexpr std::chrono::seconds kLimit(60);
  Sandbox box(options);
  Helper caller = box.Start(helper);
  const auto send_to_all = [&](int signal) {
    for (const pid_t pid : box.observer().LivingProcesses()) {
      if (kill(pid, signal) == -1 && errno != ESRCH) throw SystemError(errno, "kill");
    }
  };
  box.WaitFor([] { return true; });  // Lets the helper begin.
  // Not by WaitFor: to be stopped for good, as far as the box can tell, would be a deadlock.
  int volley = 0;
  const auto over = [&] {
    if (!caller.process().alive || volley == kVolleys) return true;
    send_to_all(kGusts[volley++ % std::size(kGusts)]);
    return false;
  };
  if (!Loop::Get().RunUntil(over, Clock::now() + kLimit)) return "it was not done after 60 s";
  send_to_all(SIGCONT);
  const Ending ending = caller.Wait();
  if (ending.kind != Ending::Kind::kExited || ending.code != 0) return ending.text;
  const std::vector<std::string> leftovers = LeftInTheEnd(box, caller);
  if (!leftovers.empty()) return "left behind: " + Join(leftovers, "; ");
  std::printf("%s: %d volleys\n", helper.c_str(), volley);
  return "";
}

void ExpectSound(const std::string& helper, const SandboxOptions& options) {
  for (const std::string& fault : SweepErrors(helper, options)) ADD_FAILURE() << fault;
  EXPECT_EQ(RideOutStorm(helper, options), "") << "in a storm of signals";
}

std::vector<std::string> SweepErrors(const std::string& helper, const SandboxOptions& options) {
  std::vector<Point> points;
  {
    Sandbox box(options);
    const Ending ending = box.Start(helper).Wait();
    if (ending.kind != Ending::Kind::kExited || ending.code != 0) {
      throw GraderError(helper + " fails without any error: " + ending.text);
    }
    points = PointsOf(box);
  }
  if (points.empty()) throw GraderError(helper + " makes no call that could fail");
  std::vector<std::string> faults;
  int tries = 0;
  for (const Point& point : points) {
    for (const int error : point.errors) {
      ++tries;
      const std::string fault = Try(helper, options, point, error);
      if (!fault.empty()) faults.push_back(point.Text(error) + ": " + fault);
    }
  }
  std::printf("%s: %d failing calls tried\n", helper.c_str(), tries);
  return faults;
}

}  // namespace ipclab
