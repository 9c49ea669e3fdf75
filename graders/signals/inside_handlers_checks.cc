// Exercise signals.3, first part: nest_log; and what holds for all of the exercise.

#include "common/grading/exercise.h"
#include "graders/signals/actions.h"
#include "graders/signals/sends.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::deliveries;
using signals::Ev;
using signals::nest_log;
using signals::rt_order;

EXERCISE(InsideHandlers);

// ---- nest_log -----------------------------------------------------------------------------------

constexpr Ev kUntouched = {-1, -1};
constexpr std::size_t kBehind = 4;

// "+" where a handler begins, "-" where it ends.
std::string TextOf(const std::vector<Ev>& log) {
  std::string text;
  for (const Ev& ev : log) {
    if (!text.empty()) text += ' ';
    if (ev.signo == kUntouched.signo) {
      text += "(nothing)";
    } else {
      text += (ev.enter != 0 ? "+" : "-") + SignalName(ev.signo);
    }
  }
  return text;
}

void LogNested(const Args& args) {
  const std::vector<int> inside = SignalsIn(args, "inside");
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  const auto outer = static_cast<int>(args.Int("outer"));
  const auto also = static_cast<int>(args.Int("also"));
  const int* const first = inside.empty() ? nullptr : inside.data();
  std::vector<Ev> log(cap + kBehind, kUntouched);
  const int records = STUDENT(nest_log)(outer, also, first, inside.size(), log.data(), cap);
  const bool intact = std::all_of(log.end() - kBehind, log.end(),
                                  [](const Ev& ev) { return ev.signo == kUntouched.signo; });
  Report("intact", intact ? 1 : 0);
  if (records >= 0 && static_cast<std::size_t>(records) < cap) {
    log.resize(static_cast<std::size_t>(records));
  } else {
    log.resize(cap);
  }
  Report("log", TextOf(log));
}

HELPER(LogsNestedHandlers) {
  LogNested(args);
  return 0;
}

struct Nesting {
  int outer;
  int also;  // 0, or above `outer`: both may be pending at once, and the lower one goes first.
  std::vector<int> inside;

  nlohmann::json Args(std::size_t cap) const {
    return {{"outer", outer}, {"also", also}, {"inside", AsArgument(inside)}, {"cap", cap}};
  }
  std::string Text() const {
    return "nest_log(" + SignalName(outer) + ", " + (also == 0 ? "0" : SignalName(also)) + ", {" +
           NamesOf(inside) + "}, ...)";
  }
  std::vector<Ev> Log() const;
};

// One handler after the other. A standard signal that is sent again while it waits counts once.
std::vector<Ev> Nesting::Log() const {
  std::vector<Ev> log = {{outer, 1}};
  std::map<int, int> held;
  const auto runs = [&log](int signal) { log.insert(log.end(), {{signal, 1}, {signal, 0}}); };
  for (const int signal : inside) {
    if (signal != outer && signal != also) {
      runs(signal);
    } else if (signal >= SIGRTMIN || held[signal] == 0) {
      ++held[signal];
    }
  }
  log.push_back({outer, 0});
  for (const int signal : {outer, also}) {
    for (int i = 0; i < held[signal]; ++i) runs(signal);
  }
  return log;
}

// The signals whose handlers began, in the order in which the kernel delivered them.
std::vector<int> Began(const std::vector<Ev>& log) {
  std::vector<int> began;
  for (const Ev& ev : log) {
    if (ev.enter != 0) began.push_back(ev.signo);
  }
  return began;
}

// Of these signals.
std::vector<int> Delivered(const Sandbox& box, const Helper& helper, const SignalSet& set) {
  std::vector<int> delivered;
  for (const Event& event : box.events()) {
    const bool arrives = event.kind == Event::Kind::kSignal && event.pid == helper.pid();
    if (!arrives || event.function != "nest_log") continue;
    if (set.Has(event.status)) delivered.push_back(event.status);
  }
  return delivered;
}

MATCHER_P(AreDelivered, signals, "the kernel delivers " + NamesOf(signals) + ", in turn") {
  *result_listener << "it delivered " << (arg.empty() ? "nothing" : NamesOf(arg));
  return arg == signals;
}

void ExpectNesting(Sandbox& box, const Nesting& nesting) {
  const std::size_t from = box.events().size();
  const std::vector<Ev> log = nesting.Log();
  std::vector<int> sent = {nesting.outer};
  sent.insert(sent.end(), nesting.inside.begin(), nesting.inside.end());

  Helper caller = box.Start("LogsNestedHandlers", nesting.Args(40));

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(log.size())) << nesting.Text();
  EXPECT_THAT(caller.ReportedBytes("log"), IsText(TextOf(log))) << nesting.Text();
  EXPECT_THAT(Sent(box, from), AreSent(sent));
  EXPECT_THAT(Delivered(box, caller, SetOf(sent)), AreDelivered(Began(log)));
}

// Of the standard ones, in ascending order.
std::vector<int> DrawAscending(std::size_t n) {
  std::vector<int> drawn = DrawSignals(n);
  std::ranges::sort(drawn);
  return drawn;
}

TEST_F(InsideHandlers, LogsWhoInterruptsWhom) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> drawn = DrawAscending(4);
  const int rt = DrawRealTime(1)[0];
  const int outer = drawn[1], also = drawn[2];
  const int low = drawn[0], high = drawn[3];

  ExpectNesting(box, {outer, also, {also, high, outer, rt, low}});
  ExpectNesting(box, {outer, 0, {also, low}});
}

TEST_F(InsideHandlers, LogsWhatWasHeldBack) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> drawn = DrawAscending(2);
  std::vector<int> rt = DrawRealTime(2);
  std::ranges::sort(rt);
  const int outer = rt[0], also = rt[1];

  ExpectNesting(box, {drawn[0], drawn[1], {drawn[1], drawn[0], drawn[1], drawn[0]}});
  ExpectNesting(box, {outer, also, {also, outer, drawn[0], outer, also}});
  ExpectNesting(box, {drawn[0], 0, {}});
}

TEST_F(InsideHandlers, TellsThatTheLogIsFull) {
  const std::vector<int> drawn = DrawAscending(3);
  const Nesting nesting{drawn[0], drawn[1], {drawn[2], drawn[1]}};
  const std::vector<Ev> log = nesting.Log();
  Sandbox box;
  for (const std::size_t cap : {log.size() - 1, log.size() - 3, log.size()}) {
    Helper caller = box.Start("LogsNestedHandlers", nesting.Args(cap));

    EXPECT_THAT(caller.Wait(), Exited(0));
    if (cap < log.size()) {
      EXPECT_THAT(caller.call(), FailedWith(ENOBUFS)) << "room for " << cap << " records";
    } else {
      EXPECT_THAT(caller.call(), Returned(cap)) << "room for just as many records";
    }
    const auto end = log.begin() + static_cast<std::ptrdiff_t>(cap);
    EXPECT_THAT(caller.ReportedBytes("log"), IsText(TextOf({log.begin(), end}))) << nesting.Text();
    EXPECT_TRUE(caller.Reported("intact") == 1)
        << "Something was written behind log[" << cap << "].";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  }
}

// ---- Whoever handled these signals before -------------------------------------------------------

// Everything that the three functions send, to a process with handlers of its own.
HELPER(HandlesThemItself) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Action one(drawn[0], &Hears);
  const Action two(drawn[1], &Hears);
  const Action three(drawn[2], &Hears);
  const int inside[] = {drawn[1], drawn[0], drawn[2]};
  const int values[] = {1, 2};
  const int queued[] = {drawn[2], drawn[2]};
  Ev log[20];
  int out[2];
  STUDENT(nest_log)(drawn[0], drawn[1], inside, std::size(inside), log, std::size(log));
  STUDENT(nest_log)(drawn[0], drawn[1], inside, std::size(inside), log, 1);
  STUDENT(deliveries)(drawn[0], 3);
  STUDENT(deliveries)(drawn[2], 3);
  STUDENT(rt_order)(queued, values, std::size(queued), out);
  for (const int signal : drawn) Report(std::to_string(signal), g_heard[signal]);
  return 0;
}

TEST_F(InsideHandlers, SparesTheHandlersOfTheCaller) {
  Sandbox box;
  std::vector<int> drawn = DrawAscending(2);
  drawn.push_back(DrawRealTime(1)[0]);

  Helper caller = box.Start("HandlesThemItself", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const int signal : drawn) {
    EXPECT_THAT(Times{caller.Reported(std::to_string(signal))}, Happens(0))
        << "runs of the caller's own handler of " << SignalName(signal);
  }
}

// ---- Errors and clean-up ------------------------------------------------------------------------

// Signals that nobody can handle, and numbers that are no signals.
std::vector<int> BadSignals() { return {0, SIGKILL, SIGSTOP, SIGRTMIN - 1, SIGRTMAX + 1}; }

HELPER(AsksForWhatCannotBe) {
  Ev log[8];
  const int good[] = {SIGUSR2};
  const int rt[] = {SIGRTMIN};
  const int values[] = {1, 2};
  int out[2];
  for (const int bad : BadSignals()) {
    const int inside[] = {SIGUSR2, bad};
    const int mixed[] = {SIGRTMIN, bad};
    STUDENT(nest_log)(bad, 0, good, 1, log, 8);
    STUDENT(nest_log)(SIGUSR1, bad == 0 ? -1 : bad, good, 1, log, 8);
    STUDENT(nest_log)(SIGUSR1, 0, inside, 2, log, 8);
    STUDENT(deliveries)(bad, 1);
    STUDENT(rt_order)(mixed, values, 2, out);
  }
  STUDENT(nest_log)(SIGUSR1, 0, nullptr, 1, log, 8);
  STUDENT(nest_log)(SIGUSR1, 0, good, 1, nullptr, 8);
  STUDENT(deliveries)(SIGUSR1, -1);
  STUDENT(rt_order)(good, values, 1, out);
  STUDENT(rt_order)(nullptr, values, 1, out);
  STUDENT(rt_order)(rt, nullptr, 1, out);
  STUDENT(rt_order)(rt, values, 1, nullptr);
  return 0;
}

TEST_F(InsideHandlers, RefusesWhatCannotBe) {
  Sandbox box;

  Helper caller = box.Start("AsksForWhatCannotBe");

  EXPECT_THAT(caller.Wait(), Exited(0));
  const auto& calls = caller.process().calls;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::size_t round = i / 5;
    const std::string why = round < BadSignals().size()
                                ? "with the signal " + std::to_string(BadSignals()[round])
                                : "call " + std::to_string(i - BadSignals().size() * 5 + 1) +
                                      " of those with good signals and something else that is bad";
    EXPECT_THAT(calls[i], FailedWith(EINVAL)) << why;
    EXPECT_THAT(LeftBehind(box, calls[i]), NothingLeftBehind()) << why;
  }
}

// The caller has an action of its own for each, and blocks a fourth signal.
HELPER(UsesItsOwnActions) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Masked own({drawn[3]});
  struct sigaction mine {};
  mine.sa_sigaction = &CallersHandler;
  mine.sa_flags = SA_SIGINFO | SA_NODEFER;
  mine.sa_mask = MaskOf({drawn[3]});
  struct sigaction before[3];
  for (std::size_t i = 0; i < 3; ++i) Check(sigaction(drawn[i], &mine, &before[i]), "sigaction");
  const int inside[] = {drawn[1], drawn[2], drawn[1]};
  const int values[] = {1};
  Ev log[20];
  int out[1];
  STUDENT(nest_log)(drawn[0], drawn[1], inside, std::size(inside), log, std::size(log));
  STUDENT(deliveries)(drawn[0], 2);
  STUDENT(deliveries)(drawn[2], 2);
  STUDENT(rt_order)(&drawn[2], values, 1, out);
  for (std::size_t i = 0; i < 3; ++i) {
    ReportAction(std::to_string(i), drawn[i]);
    Check(sigaction(drawn[i], &before[i], nullptr), "sigaction");
  }
  return 0;
}

TEST_F(InsideHandlers, LeavesActionsAndMaskAsFound) {
  Sandbox box;
  std::vector<int> drawn = DrawAscending(2);
  drawn.push_back(DrawRealTime(1)[0]);
  drawn.push_back(SIGWINCH);

  Helper caller = box.Start("UsesItsOwnActions", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << "after " << call.function << "()";
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(ActionOf(caller, std::to_string(i)),
                IsTheCallersAction(SA_SIGINFO | SA_NODEFER, SetOf({SIGWINCH})))
        << "the action of " << SignalName(drawn[i]) << " at the end";
  }
}

}  // namespace
}  // namespace ipclab
