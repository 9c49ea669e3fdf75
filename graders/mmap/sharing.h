// For exercises in which several processes use one object in memory that they share.
//
//   Helper waiter = Act(box, "lock wait unlock");
//   ASSERT_TRUE(SleepsIn(box, waiter, "monitor_wait"));
//   Helper notifier = Act(box, "notify");
//
//   Looping waiters(box, Act(box, "gate lock wait unlock", ...)), notifiers(box, ...);
//   AtEachStore(box, waiters, "monitor_wait", notifiers, [&](const std::string& when) { ... });

#ifndef IPCLAB_GRADERS_MMAP_SHARING_H_
#define IPCLAB_GRADERS_MMAP_SHARING_H_

#include <linux/futex.h>
#include <sys/mman.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/observe/blocked.h"
#include "common/observe/calls.h"

namespace ipclab {

// ---- In helpers ---------------------------------------------------------------------------------

// So many pages of room, that move what is mapped next to an address of its own. One call, unlike
// Displacement: the checks that use it watch each mmap().
class Aside {
 public:
  explicit Aside(std::int64_t pages) : size_(static_cast<std::size_t>(pages) * 4096) {
    if (size_ == 0) return;
    room_ = ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room_ == MAP_FAILED) throw SystemError(errno, "mmap");
  }
  ~Aside() {
    if (size_ != 0) munmap(room_, size_);
  }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  const std::size_t size_;
  void* room_ = nullptr;
};

// ---- In checks ----------------------------------------------------------------------------------

// Where somebody may sleep until another process wakes him.
inline const std::vector<Family> kSharedSleeps = {Family::kFutex, Family::kSemaphores,
                                                  Family::kMessages, Family::kRead, Family::kPoll};

// True if the helper sleeps in a call that another process may end. Not one that a rule holds.
inline bool SleepsForOthers(const Sandbox& box, const Helper& helper) {
  const std::optional<Blocked> call = BlockedCall(helper.pid());
  const std::optional<Status> status = ReadStatus(helper.pid());
  return call && status && status->state == 'S' &&
         std::ranges::count(kSharedSleeps, FamilyOf(call->call)) != 0 &&
         box.observer().AllHeld().count(helper.pid()) == 0;
}

// True if the helper has slept for a time in a student's function.
inline bool HasNapped(const Sandbox& box, const Helper& helper) {
  return std::ranges::any_of(box.events(), [&](const Event& event) {
    return event.kind == Event::Kind::kCall && event.pid == helper.pid() &&
           event.family == Family::kSleep && !event.function.empty();
  });
}

// Serves the box until the helper sleeps in that function of the student's, and others can wake it.
[[nodiscard]] inline testing::AssertionResult SleepsIn(Sandbox& box, Helper& helper,
                                                       const std::string& function) {
  const testing::AssertionResult came = Comes(box, [&] {
    return SleepsForOthers(box, helper) || HasNapped(box, helper) || !helper.process().alive ||
           RestsForGood(box);
  });
  if (!came) return came;
  const auto& calls = helper.process().calls;
  const auto* const call = OpenCall(calls);
  if (HasNapped(box, helper)) {
    return testing::AssertionFailure()
           << "it sleeps for a time in " << function << "(), and then looks again";
  }
  if (call == nullptr && !calls.empty()) {
    return testing::AssertionFailure() << DescribeCall(calls.back()) << " instead of waiting";
  }
  if (!helper.process().alive) {
    return testing::AssertionFailure() << testing::PrintToString(OutcomeOf(helper));
  }
  if (call == nullptr || call->function != function) {
    return testing::AssertionFailure()
           << "it sleeps elsewhere" << (call == nullptr ? "" : ", in " + call->function + "()");
  }
  return OthersCanWake(helper);
}

// Serves the box until the helper has ended, or nothing moves any more; true for the former.
[[nodiscard]] inline bool EndsOrRests(Sandbox& box, const Helper& helper) {
  return static_cast<bool>(
             Comes(box, [&] { return !helper.process().alive || RestsForGood(box); })) &&
         !helper.process().alive;
}

// Serves the box until the helper has come to its end and all went well; says why it does not come
// there, also while others are held.
[[nodiscard]] inline testing::AssertionResult Finishes(Sandbox& box, Helper& helper) {
  const testing::AssertionResult came =
      Comes(box, [&] { return !helper.process().alive || RestsForGood(box); });
  if (!came) return came;
  if (helper.process().alive) {
    const auto* const call = OpenCall(helper.process().calls);
    return testing::AssertionFailure()
           << "it sleeps" << (call == nullptr ? "" : " in " + call->function + "()")
           << ", and nobody wakes it";
  }
  const Outcome outcome = OutcomeOf(helper);
  if (outcome.ending.kind == Ending::Kind::kExited && outcome.ending.code == 0) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << testing::PrintToString(outcome);
}

// A process that does the same again and again, and comes to a Gate() before each round. The box
// has to watch Family::kSignalSend.
class Looping {
 public:
  Looping(Sandbox& box, Helper helper)
      : box_(box), helper_(std::move(helper)), gate_(HoldAtItsGate()) {}

  // Serves the box until the process stands at its gate; false if it sleeps elsewhere for good, or
  // has ended.
  [[nodiscard]] bool Returns() {
    const auto over = [&] { return AtGate() || !helper_.process().alive || RestsForGood(box_); };
    return static_cast<bool>(Comes(box_, over)) && AtGate();
  }
  // Lets it begin a round.
  void Go() {
    const int passed = gate_;
    gate_ = HoldAtItsGate();
    box_.Release(passed);
  }
  bool AtGate() const { return box_.observer().Held(gate_).count(helper_.pid()) != 0; }
  Helper& helper() { return helper_; }
  const Helper& helper() const { return helper_; }
  // The last call of a function.
  StudentCall call(std::string_view function) const { return helper_.call(function); }

 private:
  int HoldAtItsGate() {
    const auto where = [pid = helper_.pid()](const Event& event) {
      return event.pid == pid && event.function.empty() && event.args[1] == 0;
    };
    return box_.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
  }

  Sandbox& box_;
  Helper helper_;
  int gate_;
};

// For rules: a futex call of this process in this function that waits, or that wakes.
inline bool IsFutexWake(const Event& event) {
  switch (static_cast<int>(event.args[1]) & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
    case FUTEX_WAKE_OP:
    case FUTEX_WAKE_BITSET:
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_UNLOCK_PI:
      return true;
    default:
      return false;
  }
}
inline std::function<bool(const Event&)> WaitsInFutex(const Helper& helper,
                                                      const std::string& function) {
  return [pid = helper.pid(), function](const Event& event) {
    return event.pid == pid && event.function == function && !IsFutexWake(event);
  };
}
inline std::function<bool(const Event&)> WakesByFutex(const Helper& helper,
                                                      const std::string& function) {
  return [pid = helper.pid(), function](const Event& event) {
    return event.pid == pid && event.function == function && IsFutexWake(event);
  };
}

// True if the process stands before its store number `nth`, counted from 0, under this rule.
inline bool ComesToStore(Sandbox& box, int rule, int nth) {
  for (int passed = 0; ReachesStore(box, rule); ++passed) {
    if (passed == nth) return true;
    box.Release(rule);
  }
  return false;
}

inline std::string BeforeStore(const std::string& function, int store, bool comes) {
  if (!comes) return "one process has done in " + function + "() what it could";
  return "one process stands in " + function + "(), before its store number " +
         std::to_string(store + 1) + " to shared memory";
}

constexpr int kMostStores = 60;

// Round after round, holds `stepped` before another one of its stores in `function`, has `other` do
// a round, lets `stepped` go on, and expects both to come to the end of their round; then `after`
// looks at what they have done. Stops at the first failure. The box has to watch Family::kFutex.
inline void AtEachStore(Sandbox& box, Looping& stepped, const std::string& function, Looping& other,
                        const std::function<void(const std::string& when)>& after) {
  bool comes = true;
  for (int store = 0; comes && store < kMostStores && !testing::Test::HasFailure(); ++store) {
    const int rule = box.HoldAtStores(stepped.helper(), function);
    stepped.Go();
    comes = ComesToStore(box, rule, store);
    std::string when = BeforeStore(function, store, comes);
    other.Go();
    // Or it waits for the lock of the one that is held: that one is then held again when it has
    // just let go of the lock and woken the other.
    int unlocked = -1;
    if (!other.Returns()) {
      when += " and then, with the lock just gone, before its next step,";
      unlocked = box.AddRule({.family = Family::kFutex,
                              .where = WakesByFutex(stepped.helper(), function),
                              .hold = true,
                              .after = true});
    }
    box.LetRun(rule);
    if (unlocked != -1) {
      static_cast<void>(
          Comes(box, [&] { return !box.observer().Held(unlocked).empty() || RestsForGood(box); }));
      static_cast<void>(other.Returns());
      box.Release(unlocked);
    }
    EXPECT_TRUE(stepped.Returns())
        << when << " while another one does its part, and then sleeps on";
    EXPECT_TRUE(other.Returns()) << when << " and another one never comes to its end";
    if (!testing::Test::HasFailure()) after(when);
  }
}

// Calls with a time limit that another process may move: somebody sets that clock.
inline std::vector<std::string> WaitsBySettableClock(Sandbox& box) {
  std::vector<std::string> waits;
  for (const Event& event : box.Calls(Family::kFutex)) {
    if (event.args[3] == 0 || (event.args[1] & FUTEX_CLOCK_REALTIME) == 0) continue;
    waits.push_back(event.function + "() waits in futex() by CLOCK_REALTIME");
  }
  return waits;
}

MATCHER(NoneBySettableClock, "no wait depends on a clock that somebody may set") {
  for (const std::string& wait : arg) *result_listener << "\n  " << wait;
  return arg.empty();
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_SHARING_H_
