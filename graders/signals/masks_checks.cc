// Exercise signals.2: the rows, and with_blocked.

#include "common/grading/exercise.h"
#include "graders/signals/signal_sets.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::mask_row;
using signals::pending_row;
using signals::set_row;
using signals::with_blocked;

EXERCISE(Masks);

// ---- Rows ---------------------------------------------------------------------------------------

// What a function gets to write into, and what lies behind it.
struct RowBuffer {
  static constexpr std::size_t kRow = 32;
  char bytes[kRow + 8];
  RowBuffer() { std::fill(std::begin(bytes), std::end(bytes), '?'); }
  std::string text() const { return {std::begin(bytes), std::end(bytes)}; }
};

// Empty if `text`, of a RowBuffer, is the row of `set`.
std::string FaultOfRow(const std::string& text, const SignalSet& set) {
  const std::string want = RowOf(set);
  if (text.size() < RowBuffer::kRow) return "there is no row";
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (text[i] == want[i]) continue;
    const std::string name = SignalName(static_cast<int>(i) + 1);
    return "character " + std::to_string(i + 1) + ", for " + name + ", is '" +
           Printable(text.substr(i, 1), 1) + "' instead of '" + want[i] + "'";
  }
  if (text[want.size()] != '\0') return "there is no NUL after 31 characters";
  const bool beyond = text.find_first_not_of('?', RowBuffer::kRow) != std::string::npos;
  return beyond ? "something was written behind the 32 characters" : "";
}

MATCHER_P(IsRowOf, set, set.bits == 0 ? "a row of zeros" : "the row with ones for " + set.Names()) {
  const std::string fault = FaultOfRow(arg, set);
  *result_listener << fault;
  return fault.empty();
}

std::string MaskRow() {
  RowBuffer row;
  STUDENT(mask_row)(row.bytes);
  return row.text();
}

std::string PendingRow() {
  RowBuffer row;
  STUDENT(pending_row)(row.bytes);
  return row.text();
}

HELPER(ShowsSets) {
  for (int i = 0; i < args.Int("sets"); ++i) {
    const std::string key = std::to_string(i);
    const sigset_t set = MaskOf(SignalsIn(args, key));
    RowBuffer row;
    STUDENT(set_row)(&set, row.bytes);
    Report(key, row.text());
  }
  return 0;
}

TEST_F(Masks, ShowsTheSignalsOfASet) {
  Sandbox box;
  std::vector<int> some = DrawSignals(5);
  some.insert(some.end(), {SIGKILL, SIGCHLD, SIGRTMIN, SIGRTMAX});
  const std::vector<int> sets[] = {{}, {1}, {31}, some};
  nlohmann::json args = {{"sets", std::size(sets)}};
  for (std::size_t i = 0; i < std::size(sets); ++i) args[std::to_string(i)] = AsArgument(sets[i]);

  Helper caller = box.Start("ShowsSets", args);

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < std::size(sets); ++i) {
    EXPECT_THAT(caller.call(i), Returned(0));
    EXPECT_THAT(caller.ReportedBytes(std::to_string(i)), IsRowOf(SetOf(sets[i])));
  }
}

HELPER(ShowsItsMask) {
  Report("none", MaskRow());
  const Masked masked(SignalsIn(args, "signals"));
  Report("some", MaskRow());
  return 0;
}

TEST_F(Masks, ShowsWhatIsBlocked) {
  Sandbox box;
  std::vector<int> blocked = DrawSignals(5);
  blocked.push_back(SIGRTMIN + 1);

  Helper caller = box.Start("ShowsItsMask", {{"signals", AsArgument(blocked)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.ReportedBytes("none"), IsRowOf(SignalSet{})) << "while nothing is blocked";
  EXPECT_THAT(caller.call(1).before.signals.blocked, IsSet(SetOf(blocked))) << "for the kernel";
  EXPECT_THAT(caller.ReportedBytes("some"), IsRowOf(SetOf(blocked)))
      << "while " << NamesOf(blocked) << " are blocked";
  EXPECT_THAT(LeftBehind(box, caller.call(1)), NothingLeftBehind()) << "asking changes nothing";
}

// One blocked signal is sent to the process, one to the thread, and one not at all. One that is not
// blocked is ignored, one has a handler.
HELPER(ShowsWhatPends) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Action ignored(drawn[3], SIG_IGN);
  const Action handled(drawn[4], &Hears);
  {
    const Masked masked({drawn[0], drawn[1], drawn[2], SIGRTMIN});
    Check(kill(getpid(), drawn[0]), "kill");
    Check(raise(drawn[1]), "raise");
    Check(kill(getpid(), SIGRTMIN), "kill");
    Check(kill(getpid(), drawn[3]), "kill");
    Check(kill(getpid(), drawn[4]), "kill");
    Report("blocked", PendingRow());
  }
  Report("after", PendingRow());
  return 0;
}

TEST_F(Masks, ShowsWhatIsPending) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(5);
  const SignalSet sent = SetOf({drawn[0], drawn[1]});

  Helper caller = box.Start("ShowsWhatPends", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  const StudentCall first = caller.call(0);
  EXPECT_THAT(first.before.signals.pending, IsSet(SetOf({drawn[0], drawn[1], SIGRTMIN})))
      << "for the kernel";
  EXPECT_THAT(caller.ReportedBytes("blocked"), IsRowOf(sent))
      << sent.Names() << " are blocked and were sent, " << SignalName(drawn[2])
      << " is blocked and was not sent. " << SignalName(drawn[3]) << " is ignored and "
      << SignalName(drawn[4]) << " has a handler: both were sent and are not blocked.";
  EXPECT_THAT(LeftBehind(box, first), NothingLeftBehind()) << "asking changes nothing";
  EXPECT_THAT(caller.ReportedBytes("after"), IsRowOf(SignalSet{})) << "when nothing is pending";
}

// ---- with_blocked -------------------------------------------------------------------------------

// What happens inside: set before the call, run by the student's function.
struct Inside {
  std::vector<int> send;  // To its own process.
  int result = 0;
  int error = 0;
  int runs = 0;
  sigset_t again{};  // With `nests`: blocked once more, by a call inside the call.
  bool nests = false;
  std::string row;
};

int ShowsTheMask(void* arg) {
  static_cast<Inside*>(arg)->row = MaskRow();
  return 0;
}

int RunInside(void* arg) {
  Inside& inside = *static_cast<Inside*>(arg);
  ++inside.runs;
  for (const int signal : inside.send) Check(kill(getpid(), signal), "kill");
  if (inside.nests) STUDENT(with_blocked)(&inside.again, &ShowsTheMask, &inside, nullptr);
  inside.row = MaskRow();
  errno = inside.error;
  return inside.result;
}

int CallBlocked(const std::vector<int>& signals, Inside& inside, sigset_t* pending = nullptr) {
  const sigset_t set = MaskOf(signals);
  return STUDENT(with_blocked)(&set, &RunInside, &inside, pending);
}

HELPER(BlocksSome) {
  const Masked own(SignalsIn(args, "own"));
  Inside inside;
  CallBlocked(SignalsIn(args, "set"), inside);
  Report("runs", inside.runs);
  return 0;
}

TEST_F(Masks, BlocksTheSetBesideWhatWasBlocked) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(5);
  const std::vector<int> own = {drawn[0], drawn[1]};
  const std::vector<int> set = {drawn[1], drawn[2], drawn[3], SIGRTMIN + 2};
  std::vector<int> both = own;
  both.insert(both.end(), set.begin(), set.end());

  Helper caller = box.Start("BlocksSome", {{"own", AsArgument(own)}, {"set", AsArgument(set)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(Times{caller.Reported("runs")}, Happens(1)) << "how often fn ran";
  EXPECT_THAT(caller.call("mask_row").before.signals.blocked, IsSet(SetOf(both)))
      << "blocked in fn, for the kernel: the caller blocks " << NamesOf(own)
      << ", and the set holds " << NamesOf(set);
  EXPECT_THAT(caller.call("with_blocked").after.signals.blocked, IsSet(SetOf(own)))
      << "blocked afterwards";
}

// Two signals have handlers: one is sent by fn itself, the other from outside while fn runs.
int IsSignalled(void* arg) {
  const std::vector<int>& signals = *static_cast<const std::vector<int>*>(arg);
  Check(kill(getpid(), signals[0]), "kill");
  Check(kill(getpid(), signals[0]), "kill");
  Gate();
  for (const int signal : signals) Report("inside " + std::to_string(signal), g_heard[signal]);
  return 0;
}

HELPER(BlocksWhatComes) {
  std::vector<int> signals = SignalsIn(args, "signals");
  const Action one(signals[0], &Hears);
  const Action two(signals[1], &Hears);
  const sigset_t set = MaskOf(signals);
  STUDENT(with_blocked)(&set, &IsSignalled, &signals, nullptr);
  for (const int signal : signals) Report("after " + std::to_string(signal), g_heard[signal]);
  return 0;
}

TEST_F(Masks, DeliversBeforeItReturns) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> signals = DrawSignals(2);
  const auto at_gate = [](const Event& event) { return event.args[1] == 0; };
  const int gate = box.AddRule({.family = Family::kSignalSend, .where = at_gate, .hold = true});

  Helper caller = box.Start("BlocksWhatComes", {{"signals", AsArgument(signals)}});
  EXPECT_TRUE(SomebodyComesTo(box, gate)) << "fn was never run";
  caller.Signal(signals[1]);
  box.Release(gate);

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const int signal : signals) {
    const std::string key = std::to_string(signal);
    EXPECT_THAT(Times{caller.Reported("inside " + key)}, Happens(0))
        << SignalName(signal) << " is in the set, and its handler ran while fn did.";
    EXPECT_THAT(Times{caller.Reported("after " + key)}, Happens(1))
        << SignalName(signal) << " came while fn ran: its handler should have run when "
        << "with_blocked() has returned.";
    EXPECT_THAT(Times{Arrivals(box, caller, signal)}, Happens(1))
        << "deliveries seen by the kernel";
  }
}

HELPER(AsksWhatStillPends) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Masked own({drawn[0], drawn[1]});
  std::vector<int> set = {drawn[0], drawn[2], drawn[3], SIGRTMIN + 3};
  const Action two(drawn[2], &Hears);
  const Action queued(SIGRTMIN + 3, &Hears);
  for (const int signal : {drawn[0], drawn[1]}) Check(kill(getpid(), signal), "kill");
  Inside inside;
  inside.send = {drawn[2], SIGRTMIN + 3};
  sigset_t pending;
  std::memset(&pending, 0xff, sizeof(pending));
  CallBlocked(set, inside, &pending);
  Report("pending", BitsOf(pending));
  CallBlocked({drawn[3]}, inside = Inside(), &pending);
  Report("none", BitsOf(pending));
  CallBlocked({drawn[3]}, inside = Inside(), nullptr);
  return 0;
}

TEST_F(Masks, TellsWhatWasStillPending) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(4);
  const auto set = [](std::int64_t bits) { return SignalSet{static_cast<std::uint64_t>(bits)}; };

  Helper caller = box.Start("AsksWhatStillPends", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(set(caller.Reported("pending")), IsSet(SetOf({drawn[0], drawn[2], SIGRTMIN + 3})))
      << "in *still_pending. The set also holds " << SignalName(drawn[3]) << ", which nobody sent. "
      << SignalName(drawn[1]) << " is pending, but not in the set.";
  EXPECT_THAT(set(caller.Reported("none")), IsSet(SignalSet{}))
      << "in *still_pending when nothing came";
}

// The caller blocks the first, and it is pending. The second comes while fn runs. Inside fn, the
// second is blocked once more, together with the third.
HELPER(BlocksInsideAndOutside) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Action one(drawn[0], &Hears);
  const Action two(drawn[1], &Hears);
  const Masked own({drawn[0]});
  Check(kill(getpid(), drawn[0]), "kill");
  Inside inside;
  inside.send = {drawn[1]};
  inside.nests = true;
  inside.again = MaskOf({drawn[1], drawn[2]});
  CallBlocked({drawn[0], drawn[1]}, inside);
  Report("own", g_heard[drawn[0]]);
  Report("other", g_heard[drawn[1]]);
  return 0;
}

TEST_F(Masks, KeepsWhatTheCallerHadBlocked) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(3);
  const std::string own = SignalName(drawn[0]);

  Helper caller = box.Start("BlocksInsideAndOutside", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(Times{Arrivals(box, caller, drawn[0])}, Happens(0))
      << "deliveries of " << own << ", seen by the kernel";
  EXPECT_THAT(Times{caller.Reported("own")}, Happens(0))
      << "The caller blocks " << own << ", and yet its handler has run.";
  EXPECT_THAT(Times{caller.Reported("other")}, Happens(1))
      << "runs of the handler of " << SignalName(drawn[1]);
  const StudentCall outer = caller.call(0);
  EXPECT_THAT(outer.after.signals.blocked, IsSet(SetOf({drawn[0]}))) << "blocked afterwards";
  EXPECT_TRUE(outer.after.signals.pending.Has(drawn[0]))
      << own << " was blocked and pending before the call, and is not pending after it.";
  // The last mask_row is called after the inner with_blocked has returned.
  EXPECT_THAT(caller.call("mask_row").before.signals.blocked, IsSet(SetOf({drawn[0], drawn[1]})))
      << "blocked in the outer fn after an inner with_blocked() with "
      << NamesOf({drawn[1], drawn[2]}) << " has returned";
}

HELPER(BlocksAndReturns) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Action handled(drawn[0], &Hears);
  Inside inside;
  inside.send = {drawn[0]};
  inside.result = static_cast<int>(args.Int("result"));
  inside.error = static_cast<int>(args.Int("error", 0));
  sigset_t pending;
  CallBlocked(drawn, inside, args.Int("error", 0) != 0 ? &pending : nullptr);
  return 0;
}

TEST_F(Masks, PassesOnWhatFnReturned) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(2);
  const auto result = static_cast<int>(RandomInt(2, 1'000'000));

  Helper good = box.Start("BlocksAndReturns", {{"signals", AsArgument(drawn)}, {"result", result}});
  EXPECT_THAT(good.Wait(), Exited(0));
  EXPECT_THAT(good.call("with_blocked"), Returned(result)) << "as fn did";

  Helper bad = box.Start("BlocksAndReturns",
                         {{"signals", AsArgument(drawn)}, {"result", -1}, {"error", ENOTTY}});
  EXPECT_THAT(bad.Wait(), Exited(0));
  EXPECT_THAT(bad.call("with_blocked"), FailedWith(ENOTTY)) << "as fn did";
}

TEST_F(Masks, LeavesOutWhatCannotBeBlocked) {
  Sandbox box;
  const int signal = DrawSignals(1)[0];

  Helper caller = box.Start("BlocksAndReturns",
                            {{"signals", AsArgument({signal, SIGKILL, SIGSTOP})}, {"result", 7}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call("with_blocked"), Returned(7))
      << "with " << SignalName(signal) << ", SIGKILL and SIGSTOP in the set: no error";
  EXPECT_THAT(caller.call("mask_row").before.signals.blocked, IsSet(SetOf({signal})))
      << "blocked in fn, for the kernel";
}

HELPER(ReportsTheMaskInside) {
  Inside inside;
  CallBlocked(SignalsIn(args, "signals"), inside);
  Report("row", inside.row);
  return 0;
}

TEST_F(Masks, ShowsTheMaskThatTheKernelHas) {
  Sandbox box;
  const int signal = DrawSignals(1)[0];

  Helper caller =
      box.Start("ReportsTheMaskInside", {{"signals", AsArgument({SIGKILL, signal, SIGSTOP})}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.ReportedBytes("row"), IsRowOf(SetOf({signal})))
      << "from mask_row() in fn, where SIGKILL, SIGSTOP and " << SignalName(signal)
      << " were asked to be blocked";
}

// ---- Errors and clean-up ------------------------------------------------------------------------

HELPER(AsksWithNullPointers) {
  const sigset_t set = MaskOf({SIGUSR1});
  char row[32];
  Inside inside;
  STUDENT(pending_row)(nullptr);
  STUDENT(mask_row)(nullptr);
  STUDENT(set_row)(nullptr, row);
  STUDENT(set_row)(&set, nullptr);
  STUDENT(with_blocked)(nullptr, &RunInside, &inside, nullptr);
  STUDENT(with_blocked)(&set, nullptr, &inside, nullptr);
  Report("runs", inside.runs);
  return 0;
}

TEST_F(Masks, RefusesNullPointers) {
  Sandbox box;

  Helper caller = box.Start("AsksWithNullPointers");

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << "with a null pointer";
    EXPECT_THAT(LeftBehind(box, caller.call(i)), NothingLeftBehind());
  }
  EXPECT_THAT(Times{caller.Reported("runs")}, Happens(0)) << "fn ran although the set is null";
}

TEST_F(Masks, LeavesTheMaskAsFound) {
  Sandbox box;
  const std::vector<int> drawn = DrawSignals(2);
  for (const int result : {0, 1, -1}) {
    Helper caller = box.Start(
        "BlocksAndReturns",
        {{"signals", AsArgument(drawn)}, {"result", result}, {"error", result == -1 ? EIO : 0}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(LeftBehind(box, caller.call("with_blocked")), NothingLeftBehind())
        << "when fn returned " << result;
  }
}

}  // namespace
}  // namespace ipclab
