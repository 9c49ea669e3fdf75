// Exercise signals.8: counting against the clock, running with a limit.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "common/grading/around.h"
#include "graders/signals/clocks.h"
#include "graders/signals/waiting.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::count_for;
using signals::Counted;
using signals::run_limited;
using signals::Times;

EXERCISE(AgainstTheClock);

// ---- Helpers: count_for -------------------------------------------------------------------------

void ReportCounted(const Counted& counted) {
  Report("with", static_cast<std::int64_t>(counted.with_output));
  Report("without", static_cast<std::int64_t>(counted.without_output));
}

// The numbers from 1 to `n`, a line each.
std::string Lines(std::uint64_t n) {
  std::string lines;
  for (std::uint64_t i = 1; i <= n; ++i) lines += std::to_string(i) + "\n";
  return lines;
}

// Counts into a file for `ms` milliseconds. On a busy machine others may take all of that time; if
// so it is tried again, for longer.
HELPER(CountsIntoAFile) {
  const int file = Check(open("numbers", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open");
  int result = -1;
  for (std::int64_t ms = args.Int("ms"), last = ms << args.Int("tries"); ms < last; ms *= 2) {
    Check(ftruncate(file, 0), "ftruncate");
    Check(lseek(file, 0, SEEK_SET), "lseek");
    Counted counted{};
    const TestClock::time_point start = TestClock::now();
    result = STUDENT(count_for)(file, static_cast<unsigned>(ms), &counted);
    Report("took", MicrosSince(start));
    ReportCounted(counted);
    Check(lseek(file, 0, SEEK_SET), "lseek");
    Report("right", ReadHere(file) == Lines(counted.with_output));
    if (counted.with_output > 0 && counted.without_output > 2 * counted.with_output) break;
  }
  close(file);
  unlink("numbers");
  return result == 0 ? 0 : 1;
}

HELPER(CountsIntoAFullPipe) {
  PipeEnds line = MakeSmallPipe();
  WriteHere(line.write.get(),
            std::string(static_cast<std::size_t>(CapacityOf(line.write.get())), 'f'));
  Counted counted{};
  const int result = STUDENT(count_for)(line.write.get(), 20, &counted);
  ReportCounted(counted);
  return result == 0 ? 0 : 1;
}

// With a mask and actions of its own.
HELPER(CountsWithCare) {
  const CallersAction on_alarm(SIGALRM, CountRings);
  const CallersAction on_usr1(SIGUSR1, DoNothing);
  const CallersBlock block(args.Int("blocks") != 0 ? SIGALRM : SIGHUP);
  const int null = Check(open("/dev/null", O_WRONLY | O_CLOEXEC), "open");
  Counted counted{};
  STUDENT(count_for)(null, 10, &counted);
  ReportCounted(counted);
  STUDENT(count_for)(kClosedFd, 60'000, &counted);
  ReportClock("clock");
  Report("stands", on_alarm.Stands() && on_usr1.Stands());
  Report("rings", g_rings);
  close(null);
  return 0;
}

HELPER(CountsWrongly) {
  Counted counted{};
  STUDENT(count_for)(STDOUT_FILENO, 0, &counted);
  STUDENT(count_for)(STDOUT_FILENO, 5, nullptr);
  return 0;
}

// ---- Helpers: run_limited -----------------------------------------------------------------------

std::int64_t Micros(double seconds) { return static_cast<std::int64_t>(seconds * 1e6); }

// Runs a line of words and reports what comes back under keys that begin with `key`.
int Run(const std::string& line, unsigned limit_ms, unsigned grace_ms,
        const std::string& key = "") {
  std::istringstream words(line);
  std::vector<std::string> texts;
  for (std::string word; words >> word;) texts.push_back(word);
  std::vector<const char*> argv;
  for (const std::string& text : texts) argv.push_back(text.c_str());
  argv.push_back(nullptr);
  int status = 0x7f7f7f7f;
  Times times{-1, -1, -1};
  const int result = STUDENT(run_limited)(argv.data(), limit_ms, grace_ms, &status, &times);
  Report(key + "status", status);
  Report(key + "real", Micros(times.real));
  Report(key + "used", Micros(times.user + times.sys));
  return result;
}

HELPER(Runs) {
  const Action on_usr1(SIGUSR1, DoNothing);
  const CallersBlock block(args.Int("stubborn", 0) != 0 ? SIGTERM : SIGUSR2);
  Run(args.Bytes("line"), static_cast<unsigned>(args.Int("limit", 60'000)),
      static_cast<unsigned>(args.Int("grace", 60'000)));
  return 0;
}

HELPER(RunsThree) {
  Run("burns 25", 60'000, 1, "burns_");
  Run("leads 0", 60'000, 1, "leads_");
  return 0;
}

HELPER(RunsWrongly) {
  const char* const waits[] = {"waits", nullptr};
  const char* const nothing[] = {nullptr};
  int status = 0;
  Times times{};
  STUDENT(run_limited)(nullptr, 10, 10, &status, &times);
  STUDENT(run_limited)(nothing, 10, 10, &status, &times);
  STUDENT(run_limited)(waits, 0, 10, &status, &times);
  STUDENT(run_limited)(waits, 10, 10, nullptr, &times);
  STUDENT(run_limited)(waits, 10, 10, &status, nullptr);
  return 0;
}

// ---- Checks: count_for --------------------------------------------------------------------------

// A call that lets the kernel tell when the time is over, instead of asking the clock again and
// again: a timer, or a wait with a timeout.
bool LetsTheKernelKeepTheTime(const Sandbox& box) {
  return std::ranges::any_of(box.events(), [](const Event& event) {
    const bool timer = event.family == Family::kTimer;
    const bool wait = event.family == Family::kPoll || event.family == Family::kSignalWait ||
                      event.family == Family::kFutex;
    return !event.function.empty() && (timer || wait);
  });
}

TEST_F(AgainstTheClock, CountsFurtherWithoutOutput) {
  Sandbox box;

  Helper caller = box.Start("CountsIntoAFile", {{"ms", 20}, {"tries", 5}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t with = caller.Reported("with"), without = caller.Reported("without");
  EXPECT_TRUE(with > 0) << "no number was written in 20 ms, and none in longer times";
  EXPECT_TRUE(caller.Reported("right") == 1)
      << "out_fd did not get the lines 1 to " << with << ", as with_output says";
  EXPECT_TRUE(without > 2 * with) << "it counted to " << with << " with output, and to " << without
                                  << " without";
}

TEST_F(AgainstTheClock, CountsUntilATimerStopsIt) {
  Sandbox box({.watch = {Family::kPoll, Family::kSignalWait, Family::kFutex}});
  const int ms = static_cast<int>(RandomInt(11, 25));

  Helper caller = box.Start("CountsIntoAFile", {{"ms", ms}, {"tries", 1}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t took = caller.Reported("took");
  EXPECT_TRUE(took >= 2 * ms * 1000)
      << "it counted twice for " << ms << " ms, and was done after " << took << " us";
  EXPECT_TRUE(LetsTheKernelKeepTheTime(box))
      << "no timer was set, and nothing waited with a timeout: so it asked the clock again and "
         "again";
}

TEST_F(AgainstTheClock, IsNotHeldUpByAFullPipe) {
  Sandbox box({.watch = {Family::kWrite}});

  Helper caller = box.Start("CountsIntoAFullPipe");
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("with") == 0)
      << "out_fd takes nothing, and with_output is " << caller.Reported("with");

  // The time is over when the first number is about to be written.
  const int write =
      box.AddRule({.family = Family::kWrite, .where = InCaller(box), .hold = true, .before = true});
  Helper late = box.Start("CountsIntoAFullPipe");
  const auto comes = [&] { return !box.observer().Held(write).empty() || !late.process().alive; };
  ASSERT_TRUE(Comes(box, comes));
  const auto over = Clock::now() + std::chrono::milliseconds(25);
  ASSERT_TRUE(Comes(box, [&] { return Clock::now() > over || !late.process().alive; }));
  box.Release(write);
  EXPECT_THAT(OutcomeOf(late), Succeeds())
      << "the time was over just before it began to write into the full pipe";
}

TEST_F(AgainstTheClock, CountingLeavesEverythingAsItWas) {
  Sandbox box;
  for (const int blocks : {0, 1}) {
    Helper caller = box.Start("CountsWithCare", {{"blocks", blocks}});
    EXPECT_THAT(OutcomeOf(caller), Succeeds())
        << (blocks != 0 ? "the caller has blocked SIGALRM" : "");
    EXPECT_THAT(caller.call(0), Returned(0));
    EXPECT_THAT(caller.call(1), FailedWith(EBADF)) << "out_fd is not open";
    EXPECT_TRUE(caller.Reported("stands") == 1)
        << "the action of a signal (handler, flags or mask) is not what it was";
    EXPECT_TRUE(caller.Reported("rings") == 0) << "a SIGALRM reached the caller's own handler";
    EXPECT_TRUE(caller.Reported("clock") == 0) << "a timer is still running";
    for (const StudentCall& call : caller.process().calls) {
      EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
    }
  }
  Helper wrong = box.Start("CountsWrongly");
  EXPECT_THAT(OutcomeOf(wrong), Succeeds());
  EXPECT_THAT(wrong.call(0), FailedWith(EINVAL)) << "ms is 0";
  EXPECT_THAT(wrong.call(1), FailedWith(EINVAL)) << "out is null";
}

// ---- Checks: run_limited ------------------------------------------------------------------------

TEST_F(AgainstTheClock, RunsAProgramToItsEnd) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(1, 100));

  Helper leads = box.Start("Runs", {{"line", "leads " + std::to_string(code)}});
  EXPECT_THAT(OutcomeOf(leads), Succeeds());
  EXPECT_THAT(leads.call(), Returned(0));
  EXPECT_THAT(StatusOf(leads, "status"), SaysExit(code));
  EXPECT_THAT(leads.output(), IsText("leads")) << "the program is the leader of a group of its own";
  EXPECT_FALSE(AnyChildStrayed(box))
      << "a child came back from run_limited() into the caller's code";

  Helper dies = box.Start("Runs", {{"line", "dies " + std::to_string(SIGUSR1)}});
  EXPECT_THAT(OutcomeOf(dies), Succeeds());
  EXPECT_THAT(dies.call(), Returned(0));
  EXPECT_THAT(StatusOf(dies, "status"), SaysKilledBy(SIGUSR1));

  Helper missing = box.Start("Runs", {{"line", RandomWord(12)}});
  EXPECT_THAT(OutcomeOf(missing), Succeeds());
  EXPECT_THAT(missing.call(), Returned(0));
  EXPECT_THAT(StatusOf(missing, "status"), SaysExit(127)) << "there is no such program";
}

TEST_F(AgainstTheClock, CutsOffAProgramAtTheLimit) {
  Sandbox box;

  Helper caller = box.Start("Runs", {{"line", "waits"}, {"limit", 50}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), FailedWith(ETIMEDOUT));
  EXPECT_THAT(StatusOf(caller, "status"), SaysKilledBy(SIGTERM));
  const std::int64_t real = caller.Reported("real");
  EXPECT_TRUE(real >= 50'000) << "the limit was 50 ms, and `real` says " << real << " us";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

// Runs a program with a limit and grace of 20 ms each. Its SIGTERM waits until `ready`, so that no
// program is too slow for the limit.
Helper RunsUntilCut(Sandbox& box, const std::string& program,
                    const std::function<bool(const Helper&)>& ready) {
  const auto where = [&box](const Event& event) {
    return InCaller(box)(event) && event.args[1] == SIGTERM;
  };
  const int sigterm = box.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
  Helper caller = box.Start("Runs", {{"line", program}, {"limit", 20}, {"grace", 20}});
  EXPECT_TRUE(Comes(box, [&] {
    const bool comes = !box.observer().Held(sigterm).empty() && ready(caller);
    return comes || !caller.process().alive;
  }));
  box.Release(sigterm);
  return caller;
}

bool SaysReady(const Helper& caller) { return caller.output() == "ready "; }

TEST_F(AgainstTheClock, KillsWhatDoesNotEndBySigterm) {
  Sandbox box({.watch = {Family::kSignalSend}});

  // The mask is handed down: this program takes no notice of SIGTERM from its birth on.
  Helper refuses =
      box.Start("Runs", {{"line", "waits"}, {"limit", 20}, {"grace", 30}, {"stubborn", 1}});
  EXPECT_THAT(OutcomeOf(refuses), Succeeds());
  EXPECT_THAT(refuses.call(), FailedWith(ETIMEDOUT));
  EXPECT_THAT(StatusOf(refuses, "status"), SaysKilledBy(SIGKILL)) << "the program blocks SIGTERM";
  const auto asks = [](const Event& event) { return event.args[1] == SIGTERM; };
  EXPECT_TRUE(std::ranges::any_of(box.Calls(Family::kSignalSend), asks)) << "SIGTERM never came";
  const std::int64_t real = refuses.Reported("real");
  EXPECT_TRUE(real >= 50'000) << "limit and grace were 20 and 30 ms, and `real` says " << real
                              << " us";

  const auto stopped = [&](const Helper&) {
    return !Tracer::Get().Stopped(&box.observer()).empty();
  };
  Helper stops = RunsUntilCut(box, "stops", stopped);
  EXPECT_THAT(OutcomeOf(stops), Succeeds()) << "the program had stopped itself";
  EXPECT_THAT(stops.call(), FailedWith(ETIMEDOUT)) << "the program had stopped itself";
}

TEST_F(AgainstTheClock, KillsTheWholeGroup) {
  Sandbox box({.watch = {Family::kSignalSend}});

  for (const char* const program : {"has_a_child", "has_a_stubborn_child"}) {
    Helper caller = RunsUntilCut(box, program, SaysReady);
    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.call(), FailedWith(ETIMEDOUT));
    EXPECT_TRUE(AllChildrenEnd(box))
        << "the program had a child in its group, which is still there";
  }
}

TEST_F(AgainstTheClock, MeasuresTheTimesOfTheProgram) {
  Sandbox box;

  Helper caller = box.Start("RunsThree");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t used = caller.Reported("burns_used"), real = caller.Reported("burns_real");
  EXPECT_TRUE(used >= 45'000) << "the program used 25 ms of processor time and its child as much; "
                                 "user and sys say "
                              << used << " us";
  EXPECT_TRUE(real >= 45'000) << "it did one after the other, and `real` says " << real << " us";
  const std::int64_t next = caller.Reported("leads_used");
  EXPECT_TRUE(next < 45'000) << "the next program did nothing, and user and sys say " << next
                             << " us";
}

TEST_F(AgainstTheClock, StartsTheProgramWithTheMaskOfTheCaller) {
  Sandbox box;

  Helper caller = box.Start("Runs", {{"line", "leads"}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::vector<Process> programs = RunningProgram(box, "leads");
  ASSERT_TRUE(programs.size() == 1 && programs[0].at_exec) << "the program was not started";
  const SignalSet before = caller.call().before.signals.blocked;
  const SignalSet now = programs[0].at_exec->signals.blocked;
  EXPECT_TRUE(now == before) << "the caller blocks " << before.Names()
                             << "; the program starts with "
                             << (now.Names().empty() ? "no signal" : now.Names()) << " blocked";
}

TEST_F(AgainstTheClock, GoesOnWaitingWhenASignalComes) {
  Sandbox box;
  const int exit = HoldExitOf(box, "leads");

  Helper caller = box.Start("Runs", {{"line", "leads 7"}});
  ASSERT_TRUE(SomebodyComesTo(box, exit)) << "the program never came to its end";
  ASSERT_TRUE(Waits(box, caller, "for the program"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  ASSERT_TRUE(HasSettled(box, caller));
  box.Release(exit);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(7));
}

TEST_F(AgainstTheClock, SaysWhatIsWrongAndLeavesNothing) {
  Sandbox box({.watch = {Family::kPoll}});

  Helper caller = box.Start("RunsWrongly");
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "argv is null";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "argv[0] is null";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "limit_ms is 0";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "wstatus is null";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "times is null";
  EXPECT_TRUE(box.Children().empty()) << "a child was started all the same";

  box.AddRule({.family = Family::kFork, .where = InCaller(box), .answer = -EAGAIN});
  Helper childless = box.Start("Runs", {{"line", "leads"}});
  EXPECT_THAT(OutcomeOf(childless), Succeeds());
  EXPECT_THAT(childless.call(), FailedWith(EAGAIN)) << "fork() fails";
  EXPECT_THAT(childless.Leftovers(), NothingLeftBehind());

  // Not everybody waits in poll.
  const int poll =
      box.AddRule({.family = Family::kPoll, .where = InCaller(box), .answer = -ENOMEM});
  Helper waitless = box.Start("Runs", {{"line", "waits"}, {"limit", 20}});
  EXPECT_THAT(OutcomeOf(waitless), Succeeds());
  if (box.observer().Matches(poll) > 0) {
    EXPECT_THAT(waitless.call(), FailedWith(ENOMEM)) << "poll() fails";
  }
  EXPECT_TRUE(AllChildrenEnd(box)) << "a call failed, and the program is still there";
  EXPECT_THAT(waitless.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
