// What the checks of exercises that wait for signals have in common.

#ifndef IPCLAB_GRADERS_SIGNALS_WAITING_H_
#define IPCLAB_GRADERS_SIGNALS_WAITING_H_

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/observe/blocked.h"
#include "common/observe/tracer.h"

namespace ipclab {

constexpr int kNoLimit = -1;

// Calls that a solution may sleep in until a signal comes.
inline const std::vector<Family> kSignalWaits = {Family::kSignalWait, Family::kPoll};

// Holds the helper (or whoever `where` says) when it is about to begin such a call inside a
// student's function. A signal that comes meanwhile is handled before the call begins, unless it is
// blocked.
class BeforeItWaits {
 public:
  explicit BeforeItWaits(Sandbox& box) : BeforeItWaits(box, InCaller(box)) {}
  BeforeItWaits(Sandbox& box, const std::function<bool(const Event&)>& where) : box_(box) {
    for (const Family family : kSignalWaits) {
      rules_.push_back(
          box.AddRule({.family = family, .where = where, .hold = true, .before = true}));
    }
  }

  // Serves the box until the helper is held, or sleeps in some other way.
  [[nodiscard]] testing::AssertionResult Comes() {
    const auto held = [&](int rule) { return !box_.observer().Held(rule).empty(); };
    return ipclab::Comes(box_, [&] { return std::ranges::any_of(rules_, held) || AtRest(box_); });
  }
  void Release() {
    for (const int rule : rules_) box_.Release(rule);
  }

 private:
  Sandbox& box_;
  std::vector<int> rules_;
};

// Stops the helper, and serves the box until it has stopped.
[[nodiscard]] inline testing::AssertionResult Stop(Sandbox& box, pid_t pid) {
  kill(pid, SIGSTOP);
  return Comes(box, [&] { return Tracer::Get().Stopped(&box.observer()).contains(pid); });
}

// Serves the box until the helper sleeps, or is over with it all: looked at several times, so that
// a signal on its way to it has arrived.
[[nodiscard]] inline testing::AssertionResult HasSettled(Sandbox& box, const Helper& helper) {
  int looks = 0;
  return Comes(box, [&, pid = helper.pid()] {
    const std::vector<TaskSample> before = SampleTasks({pid});
    const std::vector<TaskSample> after = SampleTasks({pid});
    const bool sleeps = before.size() == 1 && after.size() == 1 && before[0].status.state == 'S' &&
                        before[0].SleptUntil(after[0]);
    looks = sleeps ? looks + 1 : 0;
    return looks > 3 || !helper.process().alive;
  });
}

// Serves the box until every process that a helper started has ended.
[[nodiscard]] inline testing::AssertionResult AllChildrenEnd(Sandbox& box) {
  return Comes(box, [&] {
    return std::ranges::none_of(box.Children(), [](const Process& child) { return child.alive; });
  });
}

// How a signal is handled, in all its parts.
inline bool SameAction(const struct sigaction& a, const struct sigaction& b) {
  for (int signal = 1; signal < 65; ++signal) {
    if (sigismember(&a.sa_mask, signal) != sigismember(&b.sa_mask, signal)) return false;
  }
  return a.sa_handler == b.sa_handler && a.sa_flags == b.sa_flags;
}

inline struct sigaction ActionNow(int signal) {
  struct sigaction action {};
  Check(sigaction(signal, nullptr, &action), "sigaction");
  return action;
}

inline bool IsBlocked(int signal) {
  sigset_t mask;
  Check(sigprocmask(SIG_BLOCK, nullptr, &mask), "sigprocmask");
  return sigismember(&mask, signal) == 1;
}

// A handler of the caller, with a mask and flags of its own, for as long as this lives.
class CallersAction {
 public:
  CallersAction(int signal, void (*handler)(int)) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = handler;
    sigaddset(&action.sa_mask, SIGWINCH);
    action.sa_flags = SA_NODEFER;
    Check(sigaction(signal, &action, &before_), "sigaction");
    set_ = ActionNow(signal);
  }
  ~CallersAction() { sigaction(signal_, &before_, nullptr); }
  CallersAction(const CallersAction&) = delete;
  CallersAction& operator=(const CallersAction&) = delete;

  bool Stands() const { return SameAction(set_, ActionNow(signal_)); }

 private:
  const int signal_;
  struct sigaction before_ {};
  struct sigaction set_ {};
};

// A signal, blocked for as long as this lives.
class CallersBlock {
 public:
  explicit CallersBlock(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    Check(sigprocmask(SIG_BLOCK, &set, &before_), "sigprocmask");
  }
  ~CallersBlock() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  CallersBlock(const CallersBlock&) = delete;
  CallersBlock& operator=(const CallersBlock&) = delete;

 private:
  sigset_t before_;
};

// A student's function as it is, without marks: for processes other than the helper, and for loops,
// where a census before and after each of many calls would take long.
#define UNMARKED(function) \
  reinterpret_cast<decltype(&(function))>(::ipclab::SubmissionSymbol(#function))

using TestClock = std::chrono::steady_clock;

inline std::int64_t MicrosSince(TestClock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(TestClock::now() - start).count();
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SIGNALS_WAITING_H_
