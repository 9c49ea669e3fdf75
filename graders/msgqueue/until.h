// A caller of q_recv_until or q_send_until and what happens to it, for the checks of exercise 6.
//
//   Meeting meeting(box, {{"timeout", kNoLimit}});
//   if (!meeting.CallerWaits()) return;
//   meeting.LetOtherGo();
//   EXPECT_THAT(OutcomeOf(meeting.caller()), ComesToItsEnd());
//   EXPECT_THAT(WhyOf(meeting.caller()), Says(End::kMessage));

#ifndef IPCLAB_GRADERS_MSGQUEUE_UNTIL_H_
#define IPCLAB_GRADERS_MSGQUEUE_UNTIL_H_

#include <csignal>
#include <optional>
#include <string>

#include "common/grading/exercise.h"
#include "graders/msgqueue/traffic.h"

namespace ipclab {

using msgqueue::End;
using msgqueue::q_recv_until;
using msgqueue::q_send_until;

// ---- In the box ---------------------------------------------------------------------------------

constexpr int kLong = 5000;
constexpr std::int64_t kUnchanged = 99;

inline const char* NameOf(std::int64_t end) {
  switch (end) {
    case static_cast<std::int64_t>(End::kMessage):
      return "End::kMessage";
    case static_cast<std::int64_t>(End::kTimeout):
      return "End::kTimeout";
    case static_cast<std::int64_t>(End::kRemoved):
      return "End::kRemoved";
    case static_cast<std::int64_t>(End::kSignal):
      return "End::kSignal";
    case kUnchanged:
      return "unchanged";
    default:
      return "no End at all";
  }
}

inline sigset_t SetOf(int signal) {
  sigset_t set;
  sigemptyset(&set);
  if (signal != 0) sigaddset(&set, signal);
  return set;
}

// One signal blocked, for as long as this lives.
class Blocking {
 public:
  explicit Blocking(int signal) {
    const sigset_t set = SetOf(signal);
    Check(sigprocmask(SIG_BLOCK, &set, &former_), "sigprocmask");
  }
  ~Blocking() { sigprocmask(SIG_SETMASK, &former_, nullptr); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

 private:
  sigset_t former_;
};

inline volatile sig_atomic_t handled = 0;
inline void CountSignal(int) { handled = handled + 1; }

// What a handler, and the kernel with SA_RESTART, would make of a signal.
class Handling {
 public:
  explicit Handling(int signal, int flags = SA_RESTART) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = CountSignal;
    action.sa_flags = flags;
    Check(sigaction(signal, &action, &former_), "sigaction");
  }
  ~Handling() { sigaction(signal_, &former_, nullptr); }
  Handling(const Handling&) = delete;
  Handling& operator=(const Handling&) = delete;

 private:
  const int signal_;
  struct sigaction former_ {};
};

inline bool IsPending(int signal) {
  sigset_t pending;
  Check(sigpending(&pending), "sigpending");
  return sigismember(&pending, signal) == 1;
}

// Calls q_recv_until with a buffer of `cap` bytes, and reports what came. `stop_on` 0: null.
inline ssize_t ReceiveUntil(int qid, long want, int timeout_ms, int stop_on,
                            const std::string& key = "got", std::size_t cap = 300) {
  const sigset_t set = SetOf(stop_on);
  std::string buffer(cap + 16, '#');
  auto why = static_cast<End>(kUnchanged);
  const ssize_t got = STUDENT(q_recv_until)(qid, want, buffer.data(), cap, timeout_ms,
                                            stop_on != 0 ? &set : nullptr, &why);
  Report(key, buffer.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0))));
  Report(key + "_behind", buffer.substr(cap));
  Report(key + "_why", static_cast<std::int64_t>(why));
  return got;
}

inline int SendUntil(int qid, long type, const std::string& data, int timeout_ms,
                     const std::string& key = "got") {
  auto why = static_cast<End>(kUnchanged);
  const int result = STUDENT(q_send_until)(qid, type, data.data(), data.size(), timeout_ms, &why);
  Report(key + "_why", static_cast<std::int64_t>(why));
  return result;
}

// ---- In the grader ------------------------------------------------------------------------------

struct Why {
  std::int64_t value;
};
inline void PrintTo(const Why& why, std::ostream* out) { *out << NameOf(why.value); }
inline Why WhyOf(const Helper& helper, const std::string& key = "got") {
  return {helper.Reported(key + "_why")};
}
MATCHER_P(Says, end, std::string("*why is ") + NameOf(static_cast<std::int64_t>(end))) {
  return arg.value == static_cast<std::int64_t>(end);
}
MATCHER(SaysNothing, "*why is unchanged") { return arg.value == kUnchanged; }

// The box shows each look into a queue, and what lies between two of them.
inline const SandboxOptions kWithLooks = {.watch = {Family::kMessages, Family::kPoll,
                                                    Family::kSignalWait, Family::kFutex,
                                                    Family::kRead, Family::kSignalSend}};
// Whoever looks so often has not seen what there is to see. Others may need time to do their part.
constexpr int kManyLooks = 500;
constexpr int kFewLooks = 100;

// Serves the box until the helper has ended. Says no if from now on it looks more than `most`
// times. The box has kWithLooks.
[[nodiscard]] inline testing::AssertionResult EndsSoon(Sandbox& box, const Helper& helper,
                                                       int most) {
  std::size_t next = box.events().size();
  int looks = 0;
  const auto settled = [&] {
    for (; next < box.events().size(); ++next) {
      const Event& event = box.events()[next];
      looks += event.pid == helper.pid() && event.family == Family::kMessages ? 1 : 0;
    }
    return !helper.process().alive || looks > most;
  };
  const testing::AssertionResult result = Comes(box, settled);
  if (!result || looks <= most) return result;
  const char* const how =
      VainLooksInARow(box, helper) > most / 2 ? ", without a sleep between" : "";
  return testing::AssertionFailure() << "it looks into the queue again and again" << how;
}

// A caller that waits, and somebody at his gate who will do something to the queue. The box has
// kWithLooks.
class Meeting {
 public:
  Meeting(Sandbox& box, const nlohmann::json& args) : box_(box), args_(args) {
    args_["key"] = RandomKey();
    if (!args_.contains("text")) args_["text"] = RandomWord(20);
  }

  // False, with a failure, if the caller does not come to wait.
  [[nodiscard]] bool CallerWaits() {
    if (!OtherComes()) return false;
    Start();
    const auto waits = Sleeps();
    EXPECT_TRUE(waits);
    return waits;
  }
  // Serves the box until the caller sleeps in whatever way. Says no if it spins, or returns.
  [[nodiscard]] testing::AssertionResult Sleeps() {
    constexpr int kInARow = 50;
    constexpr std::size_t kInAll = 1000;  // Between two looks, it may have asked for signals.
    const std::size_t before = box_.events().size();
    bool sleeps = false, spins = false;
    const auto settled = [&] {
      for (const TaskSample& task : SampleTasks({caller_->pid()})) {
        sleeps |= task.blocked && task.status.state == 'S' &&
                  std::ranges::count(kAnyWait, FamilyOf(task.blocked->call)) != 0;
      }
      spins = VainLooksInARow(box_, *caller_) > kInARow || box_.events().size() - before > kInAll;
      return sleeps || spins || !caller_->process().alive;
    };
    const testing::AssertionResult result = Comes(box_, settled);
    if (!result || sleeps) return result;
    if (spins) {
      return testing::AssertionFailure()
             << "it looks into the queue again and again, without a sleep between";
    }
    return testing::AssertionFailure()
           << "instead of waiting, it ended: " << DescribeCall(caller_->call());
  }
  // The same in two steps, for who wants to arrange something for the caller.
  [[nodiscard]] bool OtherComes() {
    other_ = box_.Start("Meddles", args_);
    gate_ = HoldAtGateOf(box_, *other_);
    const auto comes = IsReached(box_, gate_);
    EXPECT_TRUE(comes);
    return comes;
  }
  void Start() { caller_ = box_.Start("GoesInto", args_); }
  void LetOtherGo() { box_.Release(gate_); }

  Helper& caller() { return *caller_; }
  Helper& other() { return *other_; }
  std::string text() const { return args_.at("text"); }

 private:
  Sandbox& box_;
  nlohmann::json args_;
  std::optional<Helper> other_;
  std::optional<Helper> caller_;
  int gate_ = -1;
};

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MSGQUEUE_UNTIL_H_
