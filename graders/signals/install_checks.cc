// Exercise signals.1: my_signal and the counters.

#include <malloc.h>
#include <sys/syscall.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "common/grading/exercise.h"
#include "graders/signals/actions.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::count_get;
using signals::count_start;
using signals::count_stop;
using signals::my_signal;
using signals::SigHandler;

EXERCISE(Install);

// ---- my_signal ----------------------------------------------------------------------------------

// That a signal is blocked during its own handler may be said twice. SA_SIGINFO and SA_ONSTACK
// change nothing for such a handler, nor do flags about children for signals that tell of none.
MATCHER_P2(InstalledFor, signal, restart,
           std::string("the first handler with ") + (restart != 0 ? "" : "no ") +
               "SA_RESTART, without SA_RESETHAND, and with an empty sa_mask") {
  const bool restarts = (arg.flags & SA_RESTART) != 0;
  const bool stays = (arg.flags & SA_RESETHAND) == 0;
  const bool alone = (arg.mask.bits & ~SetOf({signal}).bits) == 0;
  return arg.handler == "the first handler" && restarts == (restart != 0) && stays && alone;
}

HELPER(InstallsAHandler) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const Action mine(signal, SIG_IGN);
  const auto restart = static_cast<int>(args.Int("restart"));
  STUDENT(my_signal)(signal, &Hears, restart);
  ReportAction("action", signal);
  for (int i = 0; i < 3; ++i) Check(kill(getpid(), signal), "kill");
  Report("heard", g_heard[signal]);
  return 0;
}

TEST_F(Install, InstallsTheActionThatWasAskedFor) {
  Sandbox box;
  for (const int restart : {0, 1}) {
    const int signal = DrawSignals(1)[0];

    Helper caller = box.Start("InstallsAHandler", {{"signal", signal}, {"restart", restart}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_TRUE(caller.call().after.signals.caught.Has(signal))
        << "The kernel does not know of a handler for " << SignalName(signal) << ".";
    EXPECT_THAT(ActionOf(caller, "action"), InstalledFor(signal, restart))
        << "after my_signal(" << SignalName(signal) << ", handler, " << restart << ")";
    EXPECT_THAT(Times{caller.Reported("heard")}, Happens(3))
        << SignalName(signal) << " was sent three times, and the handler stays installed.";
  }
}

// The caller's own handler comes first, so that the first answer is none that everybody expects.
HELPER(InstallsOneAfterTheOther) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const Action mine(signal, &OtherHandler);
  const SigHandler chain[] = {&Hears, SIG_IGN, &OtherHandler, SIG_DFL, &Hears};
  std::string former;
  for (const SigHandler next : chain) {
    const SigHandler old = STUDENT(my_signal)(signal, next, 1);
    former += WordFor(old) + "; ";
  }
  Report("former", former);
  return 0;
}

TEST_F(Install, ReturnsTheFormerHandler) {
  Sandbox box;
  const int signal = DrawSignals(1)[0];

  Helper caller = box.Start("InstallsOneAfterTheOther", {{"signal", signal}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.ReportedBytes("former"),
              IsText("the second handler; the first handler; SIG_IGN; the second handler; "
                     "SIG_DFL; "))
      << "what my_signal() returned while five actions were installed one after the other: the "
         "first handler, SIG_IGN, the second handler, SIG_DFL, the first handler";
  EXPECT_TRUE(caller.call(1).after.signals.ignored.Has(signal))
      << "After my_signal(" << SignalName(signal) << ", SIG_IGN, 1) it is not ignored.";
  const SignalState after = caller.call(3).after.signals;
  EXPECT_FALSE(after.ignored.Has(signal) || after.caught.Has(signal))
      << "After my_signal(" << SignalName(signal) << ", SIG_DFL, 1) it has another action.";
}

std::string ErrorOf(const Helper& helper, const std::string& key) {
  const auto error = static_cast<int>(helper.Reported(key));
  return error == 0 ? "no error" : ErrnoName(error);
}

// ---- A call that waits, and a signal ------------------------------------------------------------

// Sleeps in read() until a child of its own writes.
void WaitInRead(int signal) {
  PipeEnds line = MakePipe();
  Beside writer([&] {
    Gate();
    WriteHere(line.write.get(), "x");
  });
  char byte = 0;
  const ssize_t got = read(line.read.get(), &byte, 1);
  Report("error", got == -1 ? errno : 0);
  Report("got", got);
  Report("heard", g_heard[signal]);
}

HELPER(WaitsWithAHandler) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const Action mine(signal, SIG_IGN);
  STUDENT(my_signal)(signal, &Hears, static_cast<int>(args.Int("restart")));
  WaitInRead(signal);
  return 0;
}

HELPER(WaitsAndCounts) {
  const auto signal = static_cast<int>(args.Int("signal"));
  if (STUDENT(count_start)(signal) == -1) return 0;
  WaitInRead(signal);
  Report("count", STUDENT(count_get)(signal));
  STUDENT(count_stop)(signal);
  return 0;
}

// The signal comes while the helper sleeps in read(), and only then the data.
void SignalDuringRead(Sandbox& box, Helper& caller, int gate, int signal) {
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  EXPECT_TRUE(caller.WaitUntilBlockedIn({Family::kRead})) << box.failure();
  EXPECT_TRUE(Interrupt(box, caller, signal));
  box.Release(gate);
  EXPECT_THAT(caller.Wait(), Exited(0));
}

TEST_F(Install, InterruptsOrRestartsACallThatWaits) {
  Sandbox box({.watch = {Family::kSignalSend}});
  for (const int restart : {0, 1}) {
    const int signal = DrawSignals(1)[0];
    const int gate = HoldAtGate(box);

    Helper caller = box.Start("WaitsWithAHandler", {{"signal", signal}, {"restart", restart}});
    SignalDuringRead(box, caller, gate, signal);

    EXPECT_THAT(Times{caller.Reported("heard")}, Happens(1))
        << "The handler runs once in any case.";
    EXPECT_THAT(ErrorOf(caller, "error"), IsText(restart != 0 ? "no error" : "EINTR"))
        << "of a read() that waited when " << SignalName(signal) << " came; restart was "
        << restart;
  }
}

TEST_F(Install, LetsCallsGoOnWhileItCounts) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int signal = DrawSignals(1)[0];
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("WaitsAndCounts", {{"signal", signal}});
  SignalDuringRead(box, caller, gate, signal);

  EXPECT_THAT(ErrorOf(caller, "error"), IsText("no error"))
      << "of a read() that waited when the counted " << SignalName(signal) << " came";
  EXPECT_THAT(Times{caller.Reported("count")}, Happens(1));
}

// ---- Counting -----------------------------------------------------------------------------------

// `turns` names the signals to be sent in turn.
HELPER(CountsSignals) {
  const std::vector<int> counted = SignalsIn(args, "counted");
  for (const int signal : counted) STUDENT(count_start)(signal);
  for (const int signal : SignalsIn(args, "turns")) Check(kill(getpid(), signal), "kill");
  for (const int signal : counted) {
    Report("first " + std::to_string(signal), STUDENT(count_get)(signal));
    Report("again " + std::to_string(signal), STUDENT(count_get)(signal));
  }
  for (const int signal : counted) STUDENT(count_stop)(signal);
  if (STUDENT(count_start)(counted[0]) == -1) return 0;
  Report("anew", STUDENT(count_get)(counted[0]));
  STUDENT(count_stop)(counted[0]);
  return 0;
}

TEST_F(Install, CountsEachSignalByItself) {
  Sandbox box;
  std::vector<int> counted = DrawSignals(2);
  counted.push_back(DrawRealTime(1)[0]);
  std::map<int, int> sent;
  std::vector<int> turns;
  for (int i = 0; i < 12; ++i) {
    turns.push_back(counted[static_cast<std::size_t>(i < 3 ? i : RandomInt(0, 2))]);
    ++sent[turns.back()];
  }

  Helper caller =
      box.Start("CountsSignals", {{"counted", AsArgument(counted)}, {"turns", AsArgument(turns)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const int signal : counted) {
    const std::string key = std::to_string(signal);
    EXPECT_THAT(Times{Arrivals(box, caller, signal)}, Happens(sent[signal]))
        << "deliveries seen by the kernel";
    EXPECT_THAT(Times{caller.Reported("first " + key)}, Happens(sent[signal]))
        << "count_get(" << SignalName(signal) << "), while " << NamesOf(counted)
        << " are being counted";
    EXPECT_THAT(Times{caller.Reported("again " + key)}, Happens(sent[signal]))
        << "count_get(" << SignalName(signal) << ") once more: asking changes nothing";
  }
  EXPECT_THAT(Times{caller.Reported("anew")}, Happens(0))
      << "count_get() after count_stop() and count_start()";
}

// ---- A handler may come at any moment -----------------------------------------------------------

// So large that malloc asks the kernel for it, with its lock held; unlike what anybody else asks
// for.
constexpr std::size_t kHuge = 77 << 20;
constexpr std::size_t kPage = 4096;

// After this, every malloc takes the lock.
std::vector<void*> EmptyTheCache() {
  std::vector<void*> blocks;
  constexpr std::size_t kLargestCached = 1040;
  blocks.reserve(1000);
  for (std::size_t size = 8; size <= kLargestCached; size += 16) {
    for (int i = 0; i < 8; ++i) blocks.push_back(std::malloc(size));
  }
  return blocks;
}

// The lock exists only beside a second thread. That one sleeps, and takes no signal.
class SecondThread {
 public:
  SecondThread() {
    sigset_t all, old;
    sigfillset(&all);
    Check(sigprocmask(SIG_SETMASK, &all, &old), "sigprocmask");
    thread_ = std::thread([this] {
      char byte;
      while (read(line_.read.get(), &byte, 1) == -1) {
      }
    });
    Check(sigprocmask(SIG_SETMASK, &old, nullptr), "sigprocmask");
  }
  ~SecondThread() {
    line_.write.Reset();
    thread_.join();
  }

 private:
  PipeEnds line_ = MakePipe();
  std::thread thread_;
};

HELPER(CountsInTheMiddleOfMalloc) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const SecondThread second;
  if (STUDENT(count_start)(signal) == -1) return 0;
  const std::vector<void*> blocks = EmptyTheCache();
  void* volatile huge = std::malloc(kHuge);  // Volatile: or the compiler leaves it out.
  std::free(huge);
  for (void* const block : blocks) std::free(block);
  Report("count", STUDENT(count_get)(signal));
  STUDENT(count_stop)(signal);
  std::fflush(stdout);
  return 0;
}

TEST_F(Install, CountsInTheMiddleOfAnything) {
  Sandbox box({.watch = {Family::kMap}});
  const int signal = DrawSignals(1)[0];
  const auto in_malloc = [](const Event& event) {
    const bool huge = event.args[1] >= kHuge && event.args[1] <= kHuge + 2 * kPage;
    return event.number == SYS_mmap && huge && event.function.empty();
  };
  const int held = box.AddRule({.family = Family::kMap, .where = in_malloc, .hold = true});

  Helper caller = box.Start("CountsInTheMiddleOfMalloc", {{"signal", signal}});
  EXPECT_TRUE(SomebodyComesTo(box, held)) << "the caller never asked for memory";
  caller.Signal(signal);
  box.Release(held);

  EXPECT_THAT(caller.Wait(), Exited(0))
      << SignalName(signal) << " came while the caller was inside malloc(), which holds a lock "
      << "then. See signal-safety(7) for what a handler may call.";
  EXPECT_THAT(Times{caller.Reported("count")}, Happens(1));
  EXPECT_THAT(caller.output() + caller.errors(), IsText("")) << "written by the handler";
}

HELPER(CountsWithAnErrno) {
  const std::vector<int> counted = SignalsIn(args, "counted");
  for (const int signal : counted) {
    STUDENT(count_start)(signal);
    errno = static_cast<int>(args.Int("errno"));
    Check(kill(getpid(), signal), "kill");
    Report("errno " + std::to_string(signal), errno);
    STUDENT(count_stop)(signal);
  }
  return 0;
}

TEST_F(Install, KeepsErrnoInTheHandler) {
  Sandbox box;
  const std::vector<int> counted = {DrawSignals(1)[0], DrawRealTime(1)[0], SIGCHLD};
  const auto error = static_cast<int>(RandomInt(97, 115));

  Helper caller =
      box.Start("CountsWithAnErrno", {{"counted", AsArgument(counted)}, {"errno", error}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const int signal : counted) {
    EXPECT_THAT(ErrorOf(caller, "errno " + std::to_string(signal)), IsText(ErrnoName(error)))
        << "errno of the code that the counted " << SignalName(signal) << " interrupted";
  }
}

// ---- Putting back, errors, clean-up -------------------------------------------------------------

// The caller has an action of its own for each; the first that is counted is the first to stop.
HELPER(CountsOverOwnActions) {
  const std::vector<int> counted = SignalsIn(args, "counted");
  std::vector<struct sigaction> before(counted.size());
  struct sigaction mine {};
  mine.sa_sigaction = &CallersHandler;
  mine.sa_mask = MaskOf(SignalsIn(args, "mask"));
  for (std::size_t i = 0; i < counted.size(); ++i) {
    mine.sa_flags = SA_SIGINFO | (i % 2 == 0 ? SA_NODEFER : SA_RESETHAND | SA_ONSTACK);
    Check(sigaction(counted[i], &mine, &before[i]), "sigaction");
  }
  for (const int signal : counted) STUDENT(count_start)(signal);
  for (const int signal : counted) STUDENT(count_stop)(signal);
  for (std::size_t i = 0; i < counted.size(); ++i) {
    ReportAction(std::to_string(i), counted[i]);
    Check(sigaction(counted[i], &before[i], nullptr), "sigaction");
  }
  return 0;
}

TEST_F(Install, PutsTheFormerActionBackWhole) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(6);
  const std::vector<int> counted(drawn.begin(), drawn.begin() + 3);
  const std::vector<int> mask(drawn.begin() + 3, drawn.end());

  Helper caller = box.Start("CountsOverOwnActions",
                            {{"counted", AsArgument(counted)}, {"mask", AsArgument(mask)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < counted.size(); ++i) {
    const int flags = SA_SIGINFO | (i % 2 == 0 ? SA_NODEFER : SA_RESETHAND | SA_ONSTACK);
    EXPECT_THAT(ActionOf(caller, std::to_string(i)), IsTheCallersAction(flags, SetOf(mask)))
        << "the action of " << SignalName(counted[i]) << " after count_stop()";
  }
}

struct BadCall {
  enum Function { kSignal, kStart, kGet, kStop } function;
  int signal;
  int error;  // 0: this one succeeds.
};

// Not all of them are constants.
std::vector<BadCall> BadCalls() {
  std::vector<BadCall> calls;
  for (const int signal : {0, -1, SIGKILL, SIGSTOP, SIGRTMIN - 1, SIGRTMAX + 1, 1'000'000}) {
    calls.push_back({BadCall::kSignal, signal, EINVAL});
    calls.push_back({BadCall::kStart, signal, EINVAL});
    calls.push_back({BadCall::kGet, signal, EINVAL});
    calls.push_back({BadCall::kStop, signal, EINVAL});
  }
  calls.insert(calls.end(), {{BadCall::kGet, SIGUSR1, EINVAL},
                             {BadCall::kStop, SIGUSR1, EINVAL},
                             {BadCall::kStart, SIGUSR1, 0},
                             {BadCall::kStart, SIGUSR1, EBUSY},
                             {BadCall::kGet, SIGUSR2, EINVAL},
                             {BadCall::kStop, SIGUSR1, 0},
                             {BadCall::kStop, SIGUSR1, EINVAL},
                             {BadCall::kGet, SIGUSR1, EINVAL}});
  return calls;
}

HELPER(CountsInVain) {
  for (const BadCall& bad : BadCalls()) {
    switch (bad.function) {
      case BadCall::kSignal:
        STUDENT(my_signal)(bad.signal, &Hears, 0);
        break;
      case BadCall::kStart:
        STUDENT(count_start)(bad.signal);
        break;
      case BadCall::kGet:
        STUDENT(count_get)(bad.signal);
        break;
      case BadCall::kStop:
        STUDENT(count_stop)(bad.signal);
        break;
    }
  }
  return 0;
}

TEST_F(Install, ReportsWhatCannotBe) {
  Sandbox box;

  Helper caller = box.Start("CountsInVain");

  EXPECT_THAT(caller.Wait(), Exited(0));
  const std::vector<BadCall> calls = BadCalls();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const StudentCall call = caller.call(i);
    const std::string which = "call " + std::to_string(i + 1) + ", of " + call.function + "(" +
                              std::to_string(calls[i].signal) + ")";
    if (calls[i].error == 0) {
      EXPECT_THAT(call, Returned(0)) << which;
    } else {
      EXPECT_THAT(call, FailedWith(calls[i].error)) << which;
    }
  }
}

HELPER(CountsAndCleansUp) {
  const auto signal = static_cast<int>(args.Int("signal"));
  STUDENT(my_signal)(SIGKILL, &Hears, 0);
  STUDENT(my_signal)(signal, &Hears, 1);
  STUDENT(my_signal)(signal, SIG_DFL, 1);
  STUDENT(count_start)(SIGSTOP);
  STUDENT(count_get)(signal);
  STUDENT(count_start)(signal);
  STUDENT(count_start)(signal);
  STUDENT(count_stop)(signal);
  STUDENT(count_stop)(signal);
  return 0;
}

TEST_F(Install, LeavesNothingBehind) {
  Sandbox box;

  Helper caller = box.Start("CountsAndCleansUp", {{"signal", DrawSignals(1)[0]}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(call.after.signals.blocked, IsSet(call.before.signals.blocked))
        << "blocked after " << call.function << "()";
  }
}

}  // namespace
}  // namespace ipclab
