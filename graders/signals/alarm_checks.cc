// Exercise signals.7: my_alarm, my_sleep and every.

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/grading/around.h"
#include "graders/signals/clocks.h"
#include "graders/signals/waiting.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::every;
using signals::my_alarm;
using signals::my_sleep;

EXERCISE(Alarm);

// ---- Helpers: my_alarm --------------------------------------------------------------------------

HELPER(SetsAndCancels) {
  const CallersAction on_alarm(SIGALRM, CountRings);
  const CallersBlock block(SIGALRM);
  const auto seconds = static_cast<unsigned>(args.Int("seconds"));
  STUDENT(my_alarm)(seconds);
  ReportClock("set");
  STUDENT(my_alarm)(0);
  ReportClock("cancelled");
  STUDENT(my_alarm)(0);
  Report("stands", on_alarm.Stands() && IsBlocked(SIGALRM));
  return 0;
}

HELPER(AsksForTheRest) {
  for (const char* const key : {"rest0", "rest1", "rest2", "rest3"}) {
    SetClock(args.Int(key));
    STUDENT(my_alarm)(0);
  }
  return 0;
}

// alarm(5), 3 seconds, alarm(4), 5 seconds, alarm(5), alarm(0), without the waiting.
HELPER(SetsAChain) {
  const CallersBlock block(SIGALRM);
  STUDENT(my_alarm)(5);
  SetClock(2 * kSecond);
  STUDENT(my_alarm)(4);
  ReportClock("second");
  SetClock(1000);
  TakeRing();
  STUDENT(my_alarm)(5);
  STUDENT(my_alarm)(0);
  ReportClock("last");
  return 0;
}

// ---- Helpers: my_sleep --------------------------------------------------------------------------

HELPER(SleepsASecond) {
  const std::string how = args.Bytes("how");
  const Action on_alarm(SIGALRM, how == "ignored" ? SIG_IGN : SIG_DFL);
  const CallersBlock block(how == "blocked" ? SIGALRM : SIGHUP);
  if (how == "alarm") SetClock(100 * kSecond);
  const TestClock::time_point start = TestClock::now();
  STUDENT(my_sleep)(1);
  Report("took", MicrosSince(start));
  ReportClock("left");
  SetClock(0);
  return 0;
}

HELPER(SleepsLong) {
  const Action on_usr1(SIGUSR1, DoNothing);
  const CallersAction on_alarm(SIGALRM, args.Int("default", 0) != 0 ? SIG_DFL : CountRings);
  SetClock(args.Int("alarm"));
  STUDENT(my_sleep)(100);
  Report("rings", g_rings);
  Report("stands", on_alarm.Stands() && !IsBlocked(SIGALRM));
  ReportClock("left");
  SetClock(0);
  return 0;
}

// ---- Helpers: every -----------------------------------------------------------------------------

struct Ticks {
  std::int64_t interval;
  TestClock::time_point start;
  int count = 0;
  int early = 0;
  bool in_handler = false;
  std::int64_t slow_until = 0;
  std::int64_t last = 0;
};

void Tick(void* arg) {
  Ticks& ticks = *static_cast<Ticks*>(arg);
  ++ticks.count;
  ticks.last = MicrosSince(ticks.start);
  if (ticks.last < ticks.count * ticks.interval) ++ticks.early;
  ticks.in_handler |= InAHandler();
  while (MicrosSince(ticks.start) < ticks.slow_until) poll(nullptr, 0, 1);
}

HELPER(Ticks) {
  const Action on_usr1(SIGUSR1, DoNothing);
  Ticks ticks{args.Int("interval"), TestClock::now()};
  STUDENT(every)(ticks.interval, static_cast<int>(args.Int("ticks")), Tick, &ticks);
  Report("count", ticks.count);
  Report("early", ticks.early);
  Report("in_handler", ticks.in_handler);
  ReportClock("left");
  return 0;
}

// The first tick of four lasts until the time of the fourth has passed: then three are late, and
// nothing is left to wait for. On a busy machine anybody may come late; so it is tried again with
// longer intervals. Whoever waits for another interval to pass is too late every time.
HELPER(TicksSlowly) {
  int count = 0;
  bool in_time = false;
  for (std::int64_t interval = 6'000; interval < 200'000 && !in_time; interval *= 2) {
    Ticks ticks{interval, TestClock::now()};
    ticks.slow_until = 9 * interval / 2;
    if (STUDENT(every)(interval, 4, Tick, &ticks) != 0) return 1;
    count = ticks.count;
    in_time = ticks.last < 6 * interval;
    if (count != 4) break;
  }
  Report("count", count);
  Report("in_time", in_time);
  return 0;
}

HELPER(TicksWrongly) {
  int unused = 0;
  STUDENT(every)(0, 1, Tick, &unused);
  STUDENT(every)(-5, 1, Tick, &unused);
  STUDENT(every)(1000, -1, Tick, &unused);
  STUDENT(every)(1000, 1, nullptr, nullptr);
  STUDENT(every)(1000, 0, Tick, &unused);
  return 0;
}

HELPER(UsesAll) {
  const CallersAction on_alarm(SIGALRM, CountRings);
  const CallersAction on_usr1(SIGUSR1, DoNothing);
  const CallersBlock block(SIGHUP);
  Ticks ticks{2000, TestClock::now()};
  STUDENT(every)(2000, 3, Tick, &ticks);
  STUDENT(my_sleep)(100);
  STUDENT(my_alarm)(50);
  STUDENT(my_alarm)(0);
  ReportClock("left");
  Report("stands", on_alarm.Stands() && on_usr1.Stands());
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Alarm, AlarmSetsTheClockOnce) {
  Sandbox box({.watch = {Family::kSignalAction, Family::kSignalMask}});
  const int seconds = static_cast<int>(RandomInt(5, 200));

  Helper caller = box.Start("SetsAndCancels", {{"seconds", seconds}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(0), Returned(0)) << "there was no alarm before";
  const std::int64_t set = caller.Reported("set");
  EXPECT_TRUE(set > (seconds - 1) * kSecond && set <= seconds * kSecond)
      << "after my_alarm(" << seconds << ") ITIMER_REAL rings in " << set << " us";
  EXPECT_TRUE(caller.Reported("set_interval") == 0)
      << "after my_alarm(" << seconds << ") ITIMER_REAL rings again and again";
  EXPECT_THAT(caller.call(1), Returned(seconds)) << "so much was left of the first alarm";
  EXPECT_TRUE(caller.Reported("cancelled") == 0) << "my_alarm(0) leaves the timer running";
  EXPECT_THAT(caller.call(2), Returned(0)) << "the alarm had been cancelled";
  EXPECT_TRUE(caller.Reported("stands") == 1)
      << "my_alarm() changed how the caller handles or blocks SIGALRM";
}

TEST_F(Alarm, AlarmReturnsTheRestAsTheKernelRoundsIt) {
  Sandbox box;
  const std::int64_t whole = RandomInt(2, 90);

  Helper caller = box.Start("AsksForTheRest", {{"rest0", 480'000},
                                               {"rest1", 1'400'000},
                                               {"rest2", 1'900'000},
                                               {"rest3", whole * kSecond + 300'000}});
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(0), Returned(1)) << "0.48 s were left, and 0 would mean: no alarm";
  EXPECT_THAT(caller.call(1), Returned(1)) << "1.4 s were left";
  EXPECT_THAT(caller.call(2), Returned(2)) << "1.9 s were left";
  EXPECT_THAT(caller.call(3), Returned(whole)) << whole << ".3 s were left";

  Helper chain = box.Start("SetsAChain");
  EXPECT_THAT(OutcomeOf(chain), Succeeds());
  EXPECT_THAT(chain.call(0), Returned(0)) << "alarm(5) of the chain alarm(5), 3 s, alarm(4), 5 s, "
                                             "alarm(5), alarm(0)";
  EXPECT_THAT(chain.call(1), Returned(2)) << "alarm(4) of the chain: 2 s were left";
  EXPECT_TRUE(chain.Reported("second") > 3 * kSecond) << "alarm(4) takes the place of alarm(5)";
  EXPECT_THAT(chain.call(2), Returned(0)) << "the second alarm(5) of the chain: alarm(4) has rung";
  EXPECT_THAT(chain.call(3), Returned(5)) << "alarm(0) of the chain";
  EXPECT_TRUE(chain.Reported("last") == 0) << "alarm(0) leaves the timer running";
}

TEST_F(Alarm, SleepTakesTheWholeTime) {
  Sandbox box({.watch = kSignalWaits});
  std::vector<std::pair<std::string, Helper>> sleepers;
  for (const char* const how : {"default", "blocked", "ignored", "alarm", "late"}) {
    sleepers.emplace_back(how, box.Start("SleepsASecond", {{"how", how}}));
  }
  // If the sleep is built on a timer, this rings before the last sleeper has begun to wait for it.
  const pid_t late = sleepers.back().second.pid();
  BeforeItWaits wait(box, [&box, late](const Event& event) {
    const std::vector<Event> timers = box.Calls(Family::kTimer);
    return event.pid == late && !event.function.empty() &&
           std::ranges::any_of(timers, [&](const Event& timer) { return timer.pid == late; });
  });
  ASSERT_TRUE(ComesToRest(box));
  const auto ring = Clock::now() + std::chrono::milliseconds(1020);
  const auto all_ended = [&] {
    return std::ranges::none_of(sleepers, [](auto& each) { return each.second.process().alive; });
  };
  ASSERT_TRUE(Comes(box, [&] { return Clock::now() > ring || all_ended(); }));
  wait.Release();

  for (auto& [how, sleeper] : sleepers) {
    const std::string which = how == "alarm"  ? "with an alarm of the caller 100 s away"
                              : how == "late" ? "whose timer rang just before it began to wait"
                                              : "with SIGALRM " + how;
    ASSERT_TRUE(HasSettled(box, sleeper)) << "my_sleep(1) " << which;
    ASSERT_TRUE(sleeper.call().returned || !sleeper.process().alive)
        << "my_sleep(1) " << which << " sleeps on when the second has passed";
    EXPECT_THAT(OutcomeOf(sleeper), Succeeds()) << "my_sleep(1) " << which;
    EXPECT_THAT(sleeper.call(), Returned(0)) << "my_sleep(1) " << which;
    const std::int64_t took = sleeper.Reported("took");
    EXPECT_TRUE(took >= kSecond) << "my_sleep(1) " << which << " took " << took << " us";
    if (how != "alarm") continue;
    EXPECT_TRUE(sleeper.Reported("left") > 90 * kSecond)
        << "the caller's alarm, 100 s away before my_sleep(1), has " << sleeper.Reported("left")
        << " us left after it";
  }
}

MATCHER(AlmostAHundred, "it returns 100, or a little less") {
  return arg.returned && arg.value > 95 && arg.value <= 100;
}

// Serves the box until the helper sleeps, be it in a call that is not allowed here.
[[nodiscard]] testing::AssertionResult Sleeps(Sandbox& box, Helper& helper) {
  std::vector<Family> waits = kWaits;
  waits.push_back(Family::kSleep);
  if (helper.WaitUntilBlockedIn(waits)) return testing::AssertionSuccess();
  if (helper.process().alive) return testing::AssertionFailure() << box.failure();
  return testing::AssertionFailure() << "my_sleep() did not wait for its time to pass";
}

// Interrupts my_sleep(100). False if it sleeps on: nobody waits for its end then.
[[nodiscard]] testing::AssertionResult Wakes(Sandbox& box, Helper& sleeper) {
  if (const auto sleeps = Sleeps(box, sleeper); !sleeps) return sleeps;
  if (const auto comes = Interrupt(box, sleeper, SIGUSR1); !comes) return comes;
  if (const auto settles = HasSettled(box, sleeper); !settles) return settles;
  if (sleeper.call("my_sleep").returned) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "a handler of the caller has run, and my_sleep() sleeps on";
}

TEST_F(Alarm, SleepEndsWhenAHandlerHasRun) {
  Sandbox box;

  Helper caller = box.Start("SleepsLong", {{"alarm", 0}});
  ASSERT_TRUE(Wakes(box, caller));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), AlmostAHundred()) << "a signal ended my_sleep(100) at once";
  EXPECT_TRUE(caller.Reported("left") == 0) << "a timer of my_sleep() is still running";
}

// True once SIGALRM has come to the helper. The kernel notes an alarm at its time, however busy the
// machine is.
bool HasRung(const Sandbox& box, const Helper& sleeper) {
  const std::optional<Status> status = ReadStatus(sleeper.pid());
  return (status && status->signals.pending.Has(SIGALRM)) ||
         std::ranges::any_of(box.events(), [&](const Event& event) {
           return event.kind == Event::Kind::kSignal && event.pid == sleeper.pid() &&
                  event.status == SIGALRM;
         });
}

// Starts a helper that sets an alarm and sleeps. On a busy machine the alarm may ring before the
// sleep begins, and does not end it then; so it is tried again with a later one.
Helper SleepsUntilAnAlarm(Sandbox& box) {
  std::int64_t alarm = 30'000;
  for (;; alarm *= 4) {
    Helper sleeper = box.Start("SleepsLong", {{"alarm", alarm}});
    const bool sleeps{Sleeps(box, sleeper)};
    if (!sleeps || !HasRung(box, sleeper) || alarm > 1'000'000) return sleeper;
    sleeper.Signal(SIGKILL);
  }
}

// Serves the box until the alarm of the caller has come and had its effect.
[[nodiscard]] testing::AssertionResult Rings(Sandbox& box, Helper& sleeper) {
  const auto at_the_latest = Clock::now() + std::chrono::milliseconds(2500);
  // Once seen, it stays so: on its way from pending to delivered a signal is in neither place.
  bool rung = false;
  const auto over = [&] {
    rung = rung || HasRung(box, sleeper);
    return rung || !sleeper.process().alive || Clock::now() > at_the_latest;
  };
  if (const auto comes = Comes(box, over); !comes) return comes;
  if (sleeper.process().alive && !rung) {
    return testing::AssertionFailure() << "the alarm that the caller had set has not come";
  }
  if (const auto settles = HasSettled(box, sleeper); !settles) return settles;
  if (sleeper.call().returned || !sleeper.process().alive) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the caller's alarm came, and my_sleep() sleeps on";
}

TEST_F(Alarm, SleepLetsTheCallersAlarmRing) {
  Sandbox box;

  Helper soon = SleepsUntilAnAlarm(box);
  ASSERT_TRUE(Rings(box, soon));
  EXPECT_THAT(OutcomeOf(soon), Succeeds());
  EXPECT_TRUE(soon.Reported("rings") == 1)
      << "the caller's alarm came during my_sleep(100), and its handler ran "
      << soon.Reported("rings") << " times";
  EXPECT_THAT(soon.call(), AlmostAHundred()) << "the caller's alarm ended the sleep";

  Helper deadly = box.Start("SleepsLong", {{"alarm", 30'000}, {"default", 1}});
  ASSERT_TRUE(Rings(box, deadly));
  EXPECT_THAT(deadly.Wait(), KilledBy(SIGALRM))
      << "the caller's alarm came during my_sleep(100), its action is the default";

  Helper later = box.Start("SleepsLong", {{"alarm", 150 * kSecond}});
  ASSERT_TRUE(Wakes(box, later));
  EXPECT_THAT(OutcomeOf(later), Succeeds());
  const std::int64_t left = later.Reported("left");
  EXPECT_TRUE(left > 140 * kSecond && left <= 150 * kSecond)
      << "an alarm of the caller, 150 s away, has " << left << " us left after a short sleep";
}

TEST_F(Alarm, EveryTicksAtItsTimes) {
  Sandbox box({.skip_sleeps = true});
  const int ticks = static_cast<int>(RandomInt(3, 5));

  Helper caller = box.Start("Ticks", {{"interval", 6000}, {"ticks", ticks}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_TRUE(caller.Reported("count") == ticks)
      << "tick was called " << caller.Reported("count") << " times instead of " << ticks;
  EXPECT_TRUE(caller.Reported("early") == 0)
      << caller.Reported("early") << " ticks came before their time";
  EXPECT_TRUE(caller.Reported("in_handler") == 0)
      << "tick was called inside a signal handler, where it may not call everything";

  // On a busy machine it may have ticked before anybody has seen it wait.
  bool interrupted = false;
  for (std::int64_t interval = 25'000; interval < 500'000 && !interrupted; interval *= 2) {
    Helper disturbed = box.Start("Ticks", {{"interval", interval}, {"ticks", 2}});
    interrupted = Waits(box, disturbed, "for a tick") && Interrupt(box, disturbed, SIGUSR1);
    EXPECT_THAT(OutcomeOf(disturbed), Succeeds());
    EXPECT_THAT(disturbed.call(), Returned(0)) << "another signal came, which the caller handles";
    EXPECT_TRUE(disturbed.Reported("count") == 2 && disturbed.Reported("early") == 0)
        << "another signal came, which the caller handles: " << disturbed.Reported("count")
        << " ticks instead of 2, " << disturbed.Reported("early") << " of them too early";
  }
  EXPECT_TRUE(interrupted) << "every() did not wait for its ticks";
}

TEST_F(Alarm, EveryMakesUpForASlowTick) {
  Sandbox box({.skip_sleeps = true});

  Helper caller = box.Start("TicksSlowly");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("count") == 4)
      << "tick was called " << caller.Reported("count")
      << " times instead of 4; the first call lasted for more than 3 intervals";
  EXPECT_TRUE(caller.Reported("in_time") == 1)
      << "the first tick lasted for more than 3 intervals, and put off the ticks after it";
}

// What a student's function must not call in this exercise.
std::vector<std::string> ForbiddenCalls(Sandbox& box) {
  std::vector<std::string> calls;
  for (const Event& event : box.events()) {
    const bool forbidden = event.family == Family::kSleep || event.number == SYS_alarm;
    if (!forbidden || event.function.empty() || event.kind != Event::Kind::kCall) continue;
    calls.push_back(event.function + "() calls " + Describe(event, box.names()));
  }
  return calls;
}

MATCHER(NoForbiddenCalls, "neither alarm nor a sleeping call is made") {
  for (const std::string& call : arg) *result_listener << "\n  " << call;
  return arg.empty();
}

TEST_F(Alarm, LeavesNothingBehindAndCallsNeitherAlarmNorSleep) {
  Sandbox box;

  Helper caller = box.Start("UsesAll");
  const auto asleep = [&] { return caller.call("my_sleep").function == "my_sleep"; };
  ASSERT_TRUE(Comes(box, asleep));
  ASSERT_TRUE(Wakes(box, caller));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(ForbiddenCalls(box), NoForbiddenCalls());
  EXPECT_TRUE(caller.Reported("stands") == 1)
      << "the action of a signal (handler, flags or mask) is not what it was";
  EXPECT_TRUE(caller.Reported("left") == 0) << "a timer is still running";
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
  }
}

TEST_F(Alarm, EverySaysWhatIsWrong) {
  Sandbox box;

  Helper caller = box.Start("TicksWrongly");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "interval_us is 0";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "interval_us is negative";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "ticks is negative";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "tick is null";
  EXPECT_THAT(caller.call(4), Returned(0)) << "no ticks are wanted";

  // Nobody waits for the end of this one.
  Helper slow = box.Start("Ticks", {{"interval", 3 * kSecond + 500'000}, {"ticks", 1}});
  ASSERT_TRUE(Waits(box, slow, "for a tick that is 3.5 s away"));
}

}  // namespace
}  // namespace ipclab
