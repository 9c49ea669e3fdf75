// Exercise signals.4, first part: default_action, describe_status; and the errors of all of it.

#include <sys/syscall.h>

#include "common/grading/exercise.h"
#include "graders/signals/signal_sets.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::Act;
using signals::default_action;
using signals::describe_status;
using signals::send_signal;

EXERCISE(DefaultActions);

// ---- default_action -----------------------------------------------------------------------------

// signal(7), "Standard signals", on Linux.
constexpr int kCore[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                         SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
constexpr int kStop[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
constexpr int kIgnored[] = {SIGCHLD, SIGURG, SIGWINCH};

bool IsIn(int signal, const auto& list) {
  return std::find(std::begin(list), std::end(list), signal) != std::end(list);
}

Act ActOf(int signal) {
  if (IsIn(signal, kCore)) return Act::kCore;
  if (IsIn(signal, kStop)) return Act::kStop;
  if (IsIn(signal, kIgnored)) return Act::kIgn;
  return signal == SIGCONT ? Act::kCont : Act::kTerm;
}

std::string NameOf(std::int64_t act) {
  switch (act) {
    case static_cast<int>(Act::kTerm):
      return "kTerm";
    case static_cast<int>(Act::kCore):
      return "kCore";
    case static_cast<int>(Act::kStop):
      return "kStop";
    case static_cast<int>(Act::kIgn):
      return "kIgn";
    case static_cast<int>(Act::kCont):
      return "kCont";
    default:
      return "nothing";
  }
}

void FindAction(int signal) {
  constexpr int kUntouched = 99;
  Act act = static_cast<Act>(kUntouched);
  STUDENT(default_action)(signal, &act);
  Report("act " + std::to_string(signal), static_cast<int>(act));
}

HELPER(FindsActions) {
  for (const int signal : SignalsIn(args, "signals")) FindAction(signal);
  return 0;
}

// True if a child that the student's function started met the signal.
bool WasTried(const Sandbox& box, int signal) {
  return std::ranges::any_of(box.events(), [&](const Event& event) {
    if (event.function != "default_action" || box.observer().process(event.pid).helper)
      return false;
    if (event.kind == Event::Kind::kSignal) return event.status == signal;
    return event.kind == Event::Kind::kEnd && WIFSIGNALED(event.status) &&
           WTERMSIG(event.status) == signal;
  });
}

void ExpectAction(const Sandbox& box, const Helper& caller, std::size_t nth, int signal) {
  EXPECT_THAT(caller.call(nth), Returned(0)) << "for " << SignalName(signal);
  EXPECT_THAT(NameOf(caller.Reported("act " + std::to_string(signal))),
              IsText(NameOf(static_cast<int>(ActOf(signal)))))
      << "the default action of " << SignalName(signal);
  EXPECT_TRUE(WasTried(box, signal))
      << SignalName(signal) << " never reached a child of default_action().";
}

void ExpectActions(const std::vector<int>& signals) {
  Sandbox box;

  Helper caller = box.Start("FindsActions", {{"signals", AsArgument(signals)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < signals.size(); ++i) ExpectAction(box, caller, i, signals[i]);
}

std::vector<int> SignalsThatEnd(bool end) {
  std::vector<int> signals;
  for (int signal = 1; signal <= 31; ++signal) {
    const bool ends = ActOf(signal) == Act::kTerm || ActOf(signal) == Act::kCore;
    if (ends == end) signals.push_back(signal);
  }
  return signals;
}

TEST_F(DefaultActions, FindsWhatEndsAProcess) {
  std::vector<int> signals = SignalsThatEnd(true);
  signals.insert(signals.end(), {SIGRTMIN, SIGRTMAX});

  ExpectActions(signals);
}

TEST_F(DefaultActions, FindsWhatStopsOrSparesAProcess) { ExpectActions(SignalsThatEnd(false)); }

// Some are ignored, some blocked, some have a handler that ends whoever runs it.
void EndsWithAHandler(int) { _exit(3); }

HELPER(FindsActionsOfWhatItChanged) {
  const std::vector<int> drawn = SignalsIn(args, "signals");
  const Masked blocked({drawn[0], drawn[1], SIGTTIN});
  const Action one(drawn[1], SIG_IGN);
  const Action two(drawn[2], SIG_IGN);
  const Action three(SIGTSTP, SIG_IGN);
  const Action four(drawn[3], &EndsWithAHandler);
  for (const int signal : drawn) FindAction(signal);
  return 0;
}

TEST_F(DefaultActions, LooksAtAProcessThatHasDoneNothing) {
  Sandbox box;
  std::vector<int> drawn = DrawSignals(4);
  drawn.insert(drawn.end(), {SIGTTIN, SIGTSTP});

  Helper caller = box.Start("FindsActionsOfWhatItChanged", {{"signals", AsArgument(drawn)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    SCOPED_TRACE("The caller blocks " + NamesOf({drawn[0], drawn[1], SIGTTIN}) + ", ignores " +
                 NamesOf({drawn[1], drawn[2], SIGTSTP}) + " and handles " + SignalName(drawn[3]));
    ExpectAction(box, caller, i, drawn[i]);
  }
}

// ---- describe_status ----------------------------------------------------------------------------

struct Described {
  int status;
  std::vector<std::string> texts;  // Any of these is right.
};

constexpr int kCoreFlag = 0x80;
constexpr int kContinued = 0xffff;

int Exit(int code) { return code << 8; }
int StoppedBy(int signal) { return signal << 8 | 0x7f; }

// Two names stand for one number.
std::vector<std::string> Spellings(const std::string& before, int signal,
                                   const std::string& behind = "") {
  if (signal == SIGIO) return {before + "SIGIO" + behind, before + "SIGPOLL" + behind};
  return {before + SignalName(signal) + behind};
}

void ExpectDescriptions(const std::vector<Described>& table) {
  Sandbox box;
  nlohmann::json args = {{"n", table.size()}};
  for (std::size_t i = 0; i < table.size(); ++i) args[std::to_string(i)] = table[i].status;

  Helper caller = box.Start("DescribesStatuses", args);

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::string text = caller.ReportedBytes(std::to_string(i));
    EXPECT_THAT(table[i].texts, testing::Contains(text))
        << "describe_status() of " << table[i].status
        << ", which waitpid() gives for: " << DescribeStatus(table[i].status);
    EXPECT_THAT(caller.call(i), Returned(text.size())) << "the length of \"" << text << "\"";
  }
}

HELPER(DescribesStatuses) {
  for (int i = 0; i < args.Int("n"); ++i) {
    const std::string key = std::to_string(i);
    std::string text(64, '\0');
    STUDENT(describe_status)(static_cast<int>(args.Int(key)), text.data(), text.size());
    Report(key, std::string(text.c_str()));
  }
  return 0;
}

TEST_F(DefaultActions, DescribesHowAProcessEnded) {
  std::vector<Described> table;
  for (const std::int64_t code : {std::int64_t{0}, RandomInt(1, 254), std::int64_t{255}}) {
    table.push_back({Exit(static_cast<int>(code)), {"exit " + std::to_string(code)}});
  }
  for (int signal = 1; signal <= 31; ++signal) {
    table.push_back({signal, Spellings("killed by ", signal)});
  }
  const int some = SIGRTMIN + static_cast<int>(RandomInt(2, 29));
  for (const int signal : {SIGRTMIN, SIGRTMIN + 1, some, SIGRTMAX}) {
    table.push_back({signal, Spellings("killed by ", signal)});
  }
  ExpectDescriptions(table);
}

TEST_F(DefaultActions, DescribesCoresAndStops) {
  std::vector<Described> table;
  for (const int signal : {SIGQUIT, SIGSEGV}) {
    table.push_back({signal | kCoreFlag, Spellings("killed by ", signal, " (core)")});
  }
  for (const int signal : kStop) {
    table.push_back({StoppedBy(signal), Spellings("stopped by ", signal)});
  }
  table.push_back({kContinued, {"continued"}});
  ExpectDescriptions(table);
}

// `cap` bytes, and what lies behind them.
HELPER(DescribesIntoLittleRoom) {
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string room(cap + 16, '?');
  STUDENT(describe_status)(static_cast<int>(args.Int("status")), room.data(), cap);
  Report("behind", room.substr(cap));
  Report("text", room.substr(0, cap));
  return 0;
}

TEST_F(DefaultActions, WritesNoMoreThanThereIsRoomFor) {
  Sandbox box;
  const std::string text = "killed by SIGRTMIN+" + std::to_string(RandomInt(10, 29));
  const int status = SIGRTMIN + std::stoi(text.substr(text.find('+') + 1));
  for (const std::size_t cap : {std::size_t{0}, std::size_t{5}, text.size(), text.size() + 1}) {
    Helper caller = box.Start("DescribesIntoLittleRoom", {{"cap", cap}, {"status", status}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    if (cap <= text.size()) {
      EXPECT_THAT(caller.call(), FailedWith(ERANGE))
          << "\"" << text << "\" into " << cap << " bytes";
    } else {
      EXPECT_THAT(caller.call(), Returned(text.size())) << "it just fits into " << cap << " bytes";
      EXPECT_THAT(caller.ReportedBytes("text"), IsText(text + '\0'));
    }
    EXPECT_THAT(caller.ReportedBytes("behind"), IsText(std::string(16, '?')))
        << "what lies behind the " << cap << " bytes";
  }
}

// ---- Errors -------------------------------------------------------------------------------------

std::vector<int> BadSignals() { return {0, -1, SIGRTMIN - 1, SIGRTMAX + 1, 1'000'000}; }

HELPER(AsksForWhatIsNot) {
  char text[64];
  Act act;
  for (const int bad : BadSignals()) {
    STUDENT(default_action)(bad, &act);
    if (bad != 0) STUDENT(send_signal)(getpid(), bad);
  }
  STUDENT(default_action)(SIGUSR1, nullptr);
  STUDENT(describe_status)(0, nullptr, 64);
  STUDENT(describe_status)(-1, text, sizeof(text));
  STUDENT(describe_status)(0xff, text, sizeof(text));
  return 0;
}

HELPER(FindsAnAction) {
  Act act;
  STUDENT(default_action)(SIGUSR1, &act);
  return 0;
}

HELPER(SendsToItself) {
  STUDENT(send_signal)(getpid(), SIGURG);
  return 0;
}

TEST_F(DefaultActions, ReportsWhatCannotBe) {
  Sandbox box({.watch = {Family::kSignalSend}});

  Helper caller = box.Start("AsksForWhatIsNot");
  EXPECT_THAT(caller.Wait(), Exited(0));
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(call, FailedWith(EINVAL))
        << "a signal that does not exist, a null pointer, or no wait status";
  }

  box.Fail(Family::kFork, EAGAIN, 0);
  Helper childless = box.Start("FindsAnAction");
  EXPECT_THAT(childless.Wait(), Exited(0));
  EXPECT_THAT(childless.call(), FailedWith(EAGAIN)) << "no child can be started";

  box.Fail(Family::kSignalSend, EPERM, 0);
  Helper powerless = box.Start("SendsToItself");
  EXPECT_THAT(powerless.Wait(), Exited(0));
  EXPECT_THAT(powerless.call(), FailedWith(EPERM)) << "the signal may not be sent";
}

}  // namespace
}  // namespace ipclab
