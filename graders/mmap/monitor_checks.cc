// Exercise mmap.8: a process-shared monitor.

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <sstream>

#include "graders/mmap/monitor.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::gate_open;
using mmap::gate_wait;
using mmap::monitor_destroy;
using mmap::monitor_init;
using mmap::monitor_lock;
using mmap::monitor_notify;
using mmap::monitor_size;
using mmap::monitor_unlock;
using mmap::monitor_wait;

// ---- In the box ---------------------------------------------------------------------------------

// The file in which all helpers meet: a page with a counter, the monitor, and behind it bytes that
// belong to nobody. Each helper has it at an address of its own.
class Meeting {
 public:
  explicit Meeting(const Args& args) : aside_(args.Int("aside")), size_(STUDENT(monitor_size)()) {
    constexpr std::size_t kMost = 1 << 20;
    all_ = kPage + (std::min(size_, kMost) / kPage + 2) * kPage;
    const Fd file(Check(open(kMemory, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
    Check(ftruncate(file.get(), static_cast<off_t>(all_)), "ftruncate");
    at_ = ::mmap(nullptr, all_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at_ == MAP_FAILED) throw SystemError(errno, "mmap");
  }
  ~Meeting() { munmap(at_, all_); }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  char* bytes() const { return static_cast<char*>(at_); }
  void* monitor() const { return bytes() + kPage; }
  volatile std::uint64_t* counter() const { return static_cast<std::uint64_t*>(at_); }
  void Fill() const { std::fill(bytes() + kPage, bytes() + all_, kCanary); }
  std::size_t size() const { return size_; }

 private:
  const Aside aside_;
  const std::size_t size_;
  std::size_t all_ = 0;
  void* at_ = nullptr;
};

// Of a wait that is to end by its time.
template <typename Wait>
void MeasureHere(Wait wait, int timeout_ms) {
  using std::chrono::steady_clock;
  const auto begin = steady_clock::now();
  wait(timeout_ms);
  const auto took = steady_clock::now() - begin;
  if (took < std::chrono::milliseconds(timeout_ms)) Report("too_early", 1);
}

void Step(const Meeting& meeting, const std::string& step, int timeout_ms) {
  void* const mem = meeting.monitor();
  if (step == "gate") Gate();
  if (step == "init") STUDENT(monitor_init)(mem);
  if (step == "destroy") STUDENT(monitor_destroy)(mem);
  if (step == "lock") STUDENT(monitor_lock)(mem);
  if (step == "unlock") STUDENT(monitor_unlock)(mem);
  if (step == "notify") STUDENT(monitor_notify)(mem, 0);
  if (step == "notifyall") STUDENT(monitor_notify)(mem, 1);
  if (step == "gateopen") STUDENT(gate_open)(mem);
  if (step == "wait") {
    MeasureHere([&](int time) { STUDENT(monitor_wait)(mem, time); }, timeout_ms);
  }
  if (step == "gatewait") {
    MeasureHere([&](int time) { STUDENT(gate_wait)(mem, time); }, timeout_ms);
  }
}

// Does one thing after the other, and all of it again if that is wanted.
HELPER(ActsOnMonitor) {
  const Action disturbs(SIGUSR1, DoNothing);
  const Meeting meeting(args);
  for (std::int64_t round = 0; round < args.Int("rounds", 1); ++round) {
    std::istringstream steps(args.Bytes("steps"));
    for (std::string step; steps >> step;) {
      Step(meeting, step, static_cast<int>(args.Int("timeout_ms", kNoLimit)));
    }
  }
  return 0;
}

HELPER(MakesMonitor) {
  const Meeting meeting(args);
  meeting.Fill();
  Report("size", static_cast<std::int64_t>(meeting.size()));
  return STUDENT(monitor_init)(meeting.monitor()) == 0 ? 0 : 1;
}

HELPER(CountsWithMonitor) {
  const Meeting meeting(args);
  // Not by STUDENT, which tells the grader of each call.
  using Function = int (*)(void*);
  const auto lock = reinterpret_cast<Function>(SubmissionSymbol("monitor_lock"));
  const auto unlock = reinterpret_cast<Function>(SubmissionSymbol("monitor_unlock"));
  for (std::int64_t i = 0; i < args.Int("times"); ++i) {
    lock(meeting.monitor());
    *meeting.counter() = *meeting.counter() + 1;
    unlock(meeting.monitor());
  }
  return 0;
}

// Wakes whoever sleeps on a word of the file, though nothing has happened.
HELPER(WakesForNoReason) {
  const Meeting meeting(args);
  syscall(SYS_futex, meeting.bytes() + args.Int("word"), FUTEX_WAKE, 100, nullptr, nullptr, 0);
  return 0;
}

// ---- In the grader ------------------------------------------------------------------------------

// Each helper has other addresses than the one before.
std::int64_t NextAside(const Sandbox& box) {
  return 1 + 3 * static_cast<std::int64_t>(box.observer().processes().size());
}

// At full speed, with nobody held.
void CountTogether(MonitorBox& made) {
  constexpr int kProcesses = 4, kTimes = 2000;
  Sandbox& box = made.box();
  std::vector<Helper> counters;
  for (int i = 0; i < kProcesses; ++i) {
    counters.push_back(
        box.Start("CountsWithMonitor", {{"times", kTimes}, {"aside", NextAside(box)}}));
  }
  for (Helper& counter : counters) EXPECT_THAT(OutcomeOf(counter), Succeeds());
  EXPECT_EQ(made.Counter(), std::uint64_t{kProcesses * kTimes})
      << "a number that four processes have increased 2000 times each, with the lock";
}

TEST_F(Monitor, KeepsOtherProcessesOut) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  int gate = 0;
  Helper holder = ActUpToGate(box, "lock gate unlock", &gate);
  ASSERT_THAT(holder.call("monitor_lock"), Returned(0)) << "nobody else was there";
  Helper other = Act(box, "lock unlock");
  EXPECT_TRUE(SleepsIn(box, other, "monitor_lock")) << "another process holds the lock";
  box.Release(gate);
  for (Helper* const helper : {&holder, &other}) {
    EXPECT_THAT(OutcomeOf(*helper), Succeeds());
    EXPECT_THAT(helper->call("monitor_lock"), Returned(0));
    EXPECT_THAT(helper->call("monitor_unlock"), Returned(0));
  }
  CountTogether(made);
}

TEST_F(Monitor, WakesOneOrAll) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  std::vector<Helper> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(Act(box, "lock wait unlock"));
    ASSERT_TRUE(SleepsIn(box, waiters.back(), "monitor_wait"));
  }
  const auto ended = [&] {
    return std::ranges::count_if(waiters, [](const Helper& w) { return !w.process().alive; });
  };
  Helper notifier = Act(box, "notify");
  EXPECT_THAT(OutcomeOf(notifier), Succeeds());
  EXPECT_THAT(notifier.call("monitor_notify"), Returned(0));
  EXPECT_TRUE(Comes(box, [&] { return ended() >= 1; }))
      << "three wait, and monitor_notify(mem, 0) was called";
  Helper herald = Act(box, "lock notifyall unlock");
  EXPECT_THAT(OutcomeOf(herald), Succeeds());
  EXPECT_TRUE(Comes(box, [&] { return ended() == 3; }))
      << "some wait, and monitor_notify(mem, 1) was called";
  for (Helper& waiter : waiters) {
    EXPECT_THAT(OutcomeOf(waiter), Succeeds());
    EXPECT_THAT(waiter.call("monitor_wait"), Returned(0));
    EXPECT_THAT(waiter.call("monitor_unlock"), Returned(0)) << "the lock is held again";
  }
}

TEST_F(Monitor, LosesNoNotification) {
  MonitorBox made({Family::kFutex});
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Looping waiter = ActAgainAndAgain(box, "lock wait unlock");
  Looping notifier = ActAgainAndAgain(box, "lock notify unlock");
  ASSERT_TRUE(waiter.Returns() && notifier.Returns());
  AtEachStore(box, waiter, "monitor_wait", notifier, [&](const std::string& when) {
    EXPECT_THAT(waiter.call("monitor_wait"), Returned(0)) << when;
    EXPECT_THAT(notifier.call("monitor_lock"), Returned(0)) << when;
  });
}

TEST_F(Monitor, SaysThatTheHolderDied) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  ASSERT_TRUE(DiesWithTheLock(box));
  Helper next = Act(box, "lock unlock");
  EXPECT_THAT(OutcomeOf(next), Succeeds()) << "the last holder was killed";
  EXPECT_THAT(next.call("monitor_lock"), Returned(1)) << "the last holder was killed";
  EXPECT_THAT(next.call("monitor_unlock"), Returned(0));

  int gate = 0;
  Helper holder = ActUpToGate(box, "lock gate", &gate);
  EXPECT_THAT(holder.call("monitor_lock"), Returned(0)) << "one lock after a death and a repair";
  Helper sleeper = Act(box, "lock unlock");
  ASSERT_TRUE(SleepsIn(box, sleeper, "monitor_lock"));
  holder.Signal(SIGKILL);
  EXPECT_THAT(OutcomeOf(sleeper), Succeeds())
      << "it waited for the lock when its holder was killed";
  EXPECT_THAT(sleeper.call("monitor_lock"), Returned(1))
      << "it waited for the lock when its holder was killed";
}

TEST_F(Monitor, SaysSoToAWaiter) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Helper waiter = Act(box, "lock wait unlock lock unlock");
  ASSERT_TRUE(SleepsIn(box, waiter, "monitor_wait"));
  int gate = 0;
  Helper holder = ActUpToGate(box, "lock notify gate", &gate);
  ASSERT_THAT(holder.call("monitor_notify"), Returned(0));
  holder.Signal(SIGKILL);
  EXPECT_THAT(OutcomeOf(waiter), Succeeds());
  EXPECT_THAT(waiter.call("monitor_wait"), Returned(1))
      << "who woke it was killed, and held the lock";
  EXPECT_THAT(waiter.call("monitor_unlock"), Returned(0)) << "the second time";
  EXPECT_THAT(waiter.call("monitor_lock"), Returned(0)) << "after the repair";
}

TEST_F(Monitor, KnowsItsHolder) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Helper stranger = Act(box, "unlock wait");
  EXPECT_THAT(OutcomeOf(stranger), ComesToItsEnd()) << "nobody holds the lock";
  EXPECT_THAT(stranger.call("monitor_unlock"), FailedWith(EPERM)) << "nobody holds the lock";
  EXPECT_THAT(stranger.call("monitor_wait"), FailedWith(EPERM)) << "nobody holds the lock";

  int gate = 0;
  Helper holder = ActUpToGate(box, "lock lock gate unlock unlock", &gate);
  EXPECT_THAT(holder.call("monitor_lock"), FailedWith(EDEADLK)) << "the second time";
  Helper other = Act(box, "unlock wait lock unlock");
  EXPECT_TRUE(SleepsIn(box, other, "monitor_lock")) << "another process holds the lock";
  EXPECT_THAT(other.call("monitor_unlock"), FailedWith(EPERM)) << "another process holds the lock";
  EXPECT_THAT(other.call("monitor_wait"), FailedWith(EPERM)) << "another process holds the lock";
  box.Release(gate);
  EXPECT_THAT(OutcomeOf(holder), ComesToItsEnd());
  const auto& calls = holder.process().calls;
  ASSERT_GE(calls.size(), 5U);
  EXPECT_THAT(calls[3], Returned(0)) << "locked once and refused once";
  EXPECT_THAT(calls[4], FailedWith(EPERM)) << "the lock was let go of before";
  EXPECT_THAT(OutcomeOf(other), Succeeds());
}

TEST_F(Monitor, IsNotDestroyedWhileItIsLocked) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  int gate = 0;
  Helper holder = ActUpToGate(box, "lock destroy gate unlock lock unlock", &gate);
  EXPECT_THAT(holder.call("monitor_destroy"), FailedWith(EBUSY)) << "the caller holds the lock";
  Helper other = Act(box, "destroy");
  EXPECT_TRUE(Finishes(box, other));
  EXPECT_THAT(other.call("monitor_destroy"), FailedWith(EBUSY)) << "another process holds the lock";
  box.Release(gate);
  EXPECT_THAT(OutcomeOf(holder), ComesToItsEnd());
  EXPECT_THAT(holder.call("monitor_unlock"), Returned(0)) << "after monitor_destroy() had failed";
  EXPECT_THAT(holder.call("monitor_lock"), Returned(0)) << "after monitor_destroy() had failed";

  Helper last = Act(box, "destroy init lock unlock");
  EXPECT_THAT(OutcomeOf(last), ComesToItsEnd());
  EXPECT_THAT(last.call("monitor_destroy"), Returned(0)) << "nobody holds the lock";
  EXPECT_THAT(last.call("monitor_init"), Returned(0)) << "in memory that was used before";
  EXPECT_THAT(last.call("monitor_lock"), Returned(0)) << "after monitor_init()";
}

TEST_F(Monitor, KeepsToItsTime) {
  for (const int timeout_ms : {0, 25}) {
    MonitorBox made({Family::kFutex});
    if (!made.ready()) return;
    Sandbox& box = made.box();
    const std::string time = "timeout_ms is " + std::to_string(timeout_ms);
    Helper waiter = Act(box, "lock wait unlock gatewait", timeout_ms);
    EXPECT_THAT(OutcomeOf(waiter), ComesToItsEnd()) << time;
    EXPECT_THAT(waiter.call("monitor_wait"), FailedWith(ETIMEDOUT)) << time;
    EXPECT_THAT(waiter.call("monitor_unlock"), Returned(0)) << time << "; the lock is held again";
    EXPECT_THAT(waiter.call("gate_wait"), FailedWith(ETIMEDOUT)) << time;
    EXPECT_EQ(waiter.Reported("too_early", 0), 0) << time << ", and it came back before that";
    EXPECT_THAT(WaitsBySettableClock(box), NoneBySettableClock());
  }
}

TEST_F(Monitor, GoesOnAfterASignal) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  for (const char* const steps : {"lock gate unlock", "gate gateopen"}) {
    int gate = 0;
    const bool lock = steps[0] == 'l';
    Helper other = ActUpToGate(box, steps, &gate);
    Helper waiter = Act(box, lock ? "lock unlock" : "gatewait");
    const char* const function = lock ? "monitor_lock" : "gate_wait";
    ASSERT_TRUE(SleepsIn(box, waiter, function));
    ASSERT_TRUE(Interrupt(box, waiter, SIGUSR1));
    EXPECT_TRUE(SleepsIn(box, waiter, function)) << "a signal came meanwhile";
    box.Release(gate);
    EXPECT_THAT(OutcomeOf(waiter), Succeeds());
    EXPECT_THAT(waiter.call(function), Returned(0)) << "a signal came meanwhile";
    EXPECT_THAT(OutcomeOf(other), Succeeds());
  }
}

TEST_F(Monitor, StaysWithinItsMemory) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Helper user = Act(box, "lock notify unlock gateopen gatewait destroy init lock wait unlock", 0);
  EXPECT_THAT(OutcomeOf(user), ComesToItsEnd());
  EXPECT_EQ(made.Damage(), 0U) << "bytes behind the monitor_size() ones that have changed";
  for (const StudentCall& call : user.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << DescribeCall(call);
  }
}

}  // namespace

Helper Act(Sandbox& box, const std::string& steps, int timeout_ms, int rounds) {
  return box.Start("ActsOnMonitor", {{"steps", Binary(steps)},
                                     {"timeout_ms", timeout_ms},
                                     {"rounds", rounds},
                                     {"aside", NextAside(box)}});
}

Looping ActAgainAndAgain(Sandbox& box, const std::string& steps) {
  return Looping(box, Act(box, "gate " + steps, kNoLimit, 2 * kMostStores));
}

Helper ActUpToGate(Sandbox& box, const std::string& steps, int* gate) {
  *gate = HoldAtGate(box);
  Helper helper = Act(box, steps);
  EXPECT_TRUE(SomebodyComesTo(box, *gate)) << "in the steps: " << steps;
  return helper;
}

testing::AssertionResult DiesWithTheLock(Sandbox& box) {
  int gate = 0;
  Helper holder = ActUpToGate(box, "lock gate", &gate);
  if (holder.call("monitor_lock").value != 0) {
    return testing::AssertionFailure() << DescribeCall(holder.call("monitor_lock"));
  }
  holder.Signal(SIGKILL);
  return Ends(box, holder.pid());
}

}  // namespace ipclab
