// Exercise fifo.7: chat, and what both functions have in common.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "graders/fifo/chat.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::chat;
using fifo::chat_lockstep;

// ---- The two sides ------------------------------------------------------------------------------

HELPER(MakesBothFifos) {
  MakeFifoHere(kThere);
  MakeFifoHere(kBack);
  return 0;
}

int Talk(const Args& args, int in, int out) {
  const bool first = args.Int("first", 1) != 0;
  const char* const tx = first ? kThere : kBack;
  const char* const rx = first ? kBack : kThere;
  const auto rounds = static_cast<int>(args.Int("rounds", -1));
  const Action breaks(SIGPIPE, CountSignal);
  const Action disturbs(SIGUSR1, DoNothing);
  const int result = rounds < 0 ? STUDENT(chat)(tx, rx, first ? 1 : 0, in, out)
                                : STUDENT(chat_lockstep)(tx, rx, first ? 1 : 0, in, out, rounds);
  Report("sigpipes", handled);
  return result == -1 ? 1 : 0;
}

HELPER(Talks) { return Talk(args, STDIN_FILENO, STDOUT_FILENO); }

// Whose input stays open, and without a byte.
HELPER(TalksWithSilentInput) {
  const PipeEnds silent = MakePipe();
  return Talk(args, silent.read.get(), STDOUT_FILENO);
}

HELPER(TalksWithoutAReader) {
  PipeEnds out = MakePipe();
  out.read.Reset();
  const PipeEnds silent = MakePipe();
  return Talk(args, args.Int("silent", 0) != 0 ? silent.read.get() : STDIN_FILENO, out.write.get());
}

// Whose output is not read before the check lets it.
HELPER(TalksWithASlowReader) {
  PipeEnds out = MakeSmallPipe();
  Beside reader([&] {
    out.write.Reset();
    Gate();
    CopyHere(out.read.get(), STDOUT_FILENO);
  });
  out.read.Reset();
  const int result = Talk(args, STDIN_FILENO, out.write.get());
  out.write.Reset();
  return result;
}

HELPER(TalksOn) { return Talk(args, static_cast<int>(args.Int("in")), STDOUT_FILENO); }

// The paths are not those of FIFOs.
HELPER(TalksOver) {
  const std::string path = args.Bytes("path");
  if (path == "file") MakeFileHere(path, "text");
  if (args.Int("rounds") < 0) {
    STUDENT(chat)(path.c_str(), path.c_str(), 1, STDIN_FILENO, STDOUT_FILENO);
  } else {
    STUDENT(chat_lockstep)(path.c_str(), path.c_str(), 1, STDIN_FILENO, STDOUT_FILENO, 1);
  }
  if (path == "file") Report("holds", ReadFileHere(path));
  return 0;
}

// Until there is something to read, or the end. A read would see an end before the first writer has
// come.
void AwaitWords(int rx) {
  pollfd end = {rx, POLLIN, 0};
  Check(poll(&end, 1, -1), "poll");
}

// The other side by hand, which does step by step what it is told. It opens its FIFOs so that any
// order of the other side's opens is fine.
HELPER(OtherSide) {
  Fd rx = OpenHere(kThere, O_RDONLY | O_NONBLOCK);
  Fd tx = OpenHere(kBack, O_WRONLY);
  SetFlags(rx.get(), 0);
  std::istringstream steps(args.Bytes("steps"));
  for (std::string step; steps >> step;) {
    if (step.starts_with("hear")) AwaitWords(rx.get());
    if (step == "send") WriteHere(tx.get(), args.Bytes("text"));
    if (step == "hear") Report("heard", ReadHere(rx.get(), 1));
    if (step == "hear_all") {
      Report("heard", ReadHere(rx.get(), static_cast<std::size_t>(args.Int("bytes"))));
    }
    if (step == "hear_end") Report("heard", ReadHere(rx.get()));
    if (step == "gate") Gate();
    if (step == "deaf") rx.Reset();
    if (step == "dumb") tx.Reset();
  }
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Chat, BeginsWhicheverSideStarts) {
  for (const int rounds : {1, -1}) {
    for (const int earlier : {1, 0}) {
      Sandbox box;
      MakeFifos(box);
      const std::string what = std::string(rounds < 0 ? "chat" : "chat_lockstep") + ", where the " +
                               (earlier == 1 ? "first" : "second") + " side started earlier";
      const std::string lines[2] = {RandomLines(1), RandomLines(1)};

      Helper one =
          box.Start("Talks", {{"first", earlier}, {"rounds", rounds}}, {.input = lines[0]});
      if (!one.WaitUntilBlockedIn({Family::kOpen, Family::kPoll, Family::kRead, Family::kFutex,
                                   Family::kWait, Family::kSleep})) {
        FAIL() << what << ": " << box.failure();
      }
      Helper two =
          box.Start("Talks", {{"first", 1 - earlier}, {"rounds", rounds}}, {.input = lines[1]});

      EXPECT_THAT(OutcomeOf(one), Succeeds()) << what;
      EXPECT_THAT(OutcomeOf(two), Succeeds()) << what;
      EXPECT_THAT(one.output(), SameBytesAs(lines[1])) << what;
      EXPECT_THAT(two.output(), SameBytesAs(lines[0])) << what;
    }
  }
}

TEST_F(Chat, TalksBothWaysAtOnce) {
  Sandbox box;
  MakeFifos(box);
  const std::string one = RandomLines(2000, 50), two = RandomLines(3000, 50);

  Helper first = box.Start("Talks", {{"first", 1}}, {.input = one});
  Helper second = box.Start("Talks", {{"first", 0}}, {.input = two});

  EXPECT_THAT(OutcomeOf(first), Succeeds());
  EXPECT_THAT(OutcomeOf(second), Succeeds());
  EXPECT_THAT(first.call(), Returned(0)) << "the first side";
  EXPECT_THAT(second.call(), Returned(0)) << "the second side";
  EXPECT_THAT(first.output(), SameBytesAs(two)) << "what the first side heard";
  EXPECT_THAT(second.output(), SameBytesAs(one)) << "what the second side heard";
}

TEST_F(Chat, ListensWhileItsInputIsSilent) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MakeFifos(box);
  const int gate = HoldAtGate(box);
  const std::string lines = RandomLines(100);

  Helper side = box.Start("TalksWithSilentInput");
  box.Start("OtherSide", {{"steps", "send gate"}, {"text", lines}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));

  EXPECT_TRUE(Shows(box, side, lines)) << "a hundred lines came while nothing came from in_fd";
}

TEST_F(Chat, NeitherDirectionWaitsForTheOther) {
  const std::string much = RandomLines(3000, 50);
  {
    Sandbox box({.watch = {Family::kSignalSend}});
    MakeFifos(box);
    HoldAtGate(box);
    box.Start("TalksWithASlowReader", {}, {.input = much});
    Helper other = box.Start(
        "OtherSide",
        {{"steps", "send hear_all gate"}, {"text", RandomLines(1000, 50)}, {"bytes", much.size()}});
    ASSERT_TRUE(ComesToRest(box));
    EXPECT_THAT(other.ReportedBytes("heard"), SameBytesAs(much))
        << "what the other side heard while nobody read out_fd";
  }
  Sandbox box({.watch = {Family::kSignalSend}});
  MakeFifos(box);
  const int gate = HoldAtGate(box);
  const std::string lines = RandomLines(100);
  Helper side = box.Start("Talks", {}, {.input = much});
  box.Start("OtherSide", {{"steps", "gate send gate"}, {"text", lines}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(ComesToRest(box));
  const int later = HoldAtGate(box);
  box.Release(gate);
  ASSERT_TRUE(SomebodyComesTo(box, later));
  EXPECT_TRUE(Shows(box, side, lines)) << "what came while the FIFO to the other side was full";
}

TEST_F(Chat, PassesTheEndOn) {
  Sandbox box;
  MakeFifos(box);
  const std::string one = RandomLines(3), two = RandomLines(3);

  Helper side = box.Start("Talks", {}, {.input = one});
  // Which talks on when it has heard the end.
  Helper other = box.Start("OtherSide", {{"steps", "hear_end send"}, {"text", two}});

  EXPECT_THAT(OutcomeOf(other), ComesToItsEnd()) << "the other side never heard the end";
  EXPECT_THAT(other.ReportedBytes("heard"), SameBytesAs(one)) << "what the other side heard";
  EXPECT_THAT(OutcomeOf(side), Succeeds());
  EXPECT_THAT(side.call(), Returned(0)) << "both directions came to their end";
  EXPECT_THAT(side.output(), SameBytesAs(two)) << "what came after the end of in_fd";
}

TEST_F(Chat, NoticesThatTheOtherSideHasGone) {
  const auto notices = [](const char* what, const char* steps, bool killed) {
    Sandbox box({.watch = {Family::kSignalSend}});
    MakeFifos(box);
    const int gate = HoldAtGate(box);
    Helper side = box.Start("TalksWithSilentInput");
    Helper other = box.Start("OtherSide", {{"steps", steps}, {"text", "hello\n"}});
    ASSERT_TRUE(SomebodyComesTo(box, gate)) << what;
    ASSERT_TRUE(ComesToRest(box)) << what;
    const int later = HoldAtGate(box);
    if (killed) other.Signal(SIGKILL);
    box.Release(gate);
    ASSERT_TRUE(
        Comes(box, [&] { return !other.process().alive || !box.observer().Held(later).empty(); }));
    EXPECT_TRUE(Comes(box, [&] { return !side.process().alive || AtRest(box); })) << what;
    EXPECT_FALSE(side.process().alive)
        << what << ", nothing comes from in_fd, and chat() goes on waiting";
    if (side.process().alive) return;
    EXPECT_THAT(OutcomeOf(side), ComesToItsEnd()) << what;
    EXPECT_THAT(side.call(), FailedWith(EPIPE)) << what;
    EXPECT_THAT(LeftBehind(box, side.call()), NothingLeftBehind()) << what;
  };
  notices("the other side was killed", "send gate gate", true);
  notices("the other side stopped reading", "send gate deaf gate", false);
}

TEST_F(Chat, SaysThatItsReaderHasLeft) {
  for (const int rounds : {5, -1}) {
    const char* const what = rounds < 0 ? "chat" : "chat_lockstep";
    Sandbox box({.watch = {Family::kSignalSend}});
    MakeFifos(box);
    HoldAtGate(box);
    Helper side =
        box.Start("TalksWithoutAReader", {{"rounds", rounds}, {"silent", rounds < 0 ? 1 : 0}},
                  {.input = "hi\n"});
    box.Start("OtherSide", {{"steps", "send gate"}, {"text", "hello\n"}});

    EXPECT_TRUE(Comes(box, [&] { return !side.process().alive || AtRest(box); })) << what;
    EXPECT_FALSE(side.process().alive)
        << what << "() goes on, though nobody can read its output any more";
    if (side.process().alive) continue;
    EXPECT_THAT(OutcomeOf(side), ComesToItsEnd()) << what;
    EXPECT_THAT(side.call(), FailedWith(EPIPE)) << what;
    EXPECT_TRUE(side.Reported("sigpipes") == 0) << "the caller's handler of SIGPIPE ran";
    EXPECT_THAT(LeftBehind(box, side.call()), NothingLeftBehind()) << what;
  }
}

TEST_F(Chat, GoesOnAfterShortCountsAndSignals) {
  for (const int rounds : {1, -1}) {
    const char* const what = rounds < 0 ? "chat" : "chat_lockstep";
    Sandbox box({.watch = {Family::kWrite, Family::kSignalSend}});
    MakeFifos(box);
    box.Shorten(Family::kWrite, 7);
    const std::string one = RandomLines(1), two = RandomLines(1);

    Helper side = box.Start("Talks", {{"rounds", rounds}}, {.input = one});
    if (side.WaitUntilBlockedIn({Family::kOpen})) {
      ASSERT_TRUE(Interrupt(box, side, SIGUSR1)) << what << ", in open()";
    }
    const int gate = HoldAtGate(box);
    Helper other =
        box.Start("OtherSide", {{"steps", "hear gate send dumb hear_end"}, {"text", two}});
    ASSERT_TRUE(SomebodyComesTo(box, gate)) << what;
    ASSERT_TRUE(Waits(box, side, "for the other side")) << what;
    ASSERT_TRUE(Interrupt(box, side, SIGUSR1)) << what << ", while it waited for the other side";
    box.Release(gate);

    EXPECT_THAT(OutcomeOf(side), Succeeds()) << what;
    EXPECT_THAT(side.call(), Returned(rounds < 0 ? 0 : 1)) << what;
    EXPECT_THAT(side.output(), SameBytesAs(two)) << what;
    EXPECT_THAT(OutcomeOf(other), ComesToItsEnd()) << what;
    EXPECT_TRUE(other.ReportedBytes("heard").size() + 1 == one.size())
        << what << ": not all of the line was sent, where each write is cut short";
  }
}

TEST_F(Chat, ReportsWhatFailed) {
  for (const int rounds : {1, -1}) {
    const char* const what = rounds < 0 ? "chat" : "chat_lockstep";
    Sandbox box;
    for (const char* path : {"missing", "file"}) {
      Helper side = box.Start("TalksOver", {{"path", path}, {"rounds", rounds}});
      EXPECT_THAT(OutcomeOf(side), ComesToItsEnd()) << what << " over a path: " << path;
      const int error = path == std::string("file") ? EINVAL : ENOENT;
      EXPECT_THAT(side.call(), FailedWith(error)) << what << " over a path: " << path;
      EXPECT_THAT(LeftBehind(box, side.call()), NothingLeftBehind());
      if (error == EINVAL) {
        EXPECT_THAT(side.ReportedBytes("holds"), IsText("text"));
      }
    }
    MakeFifos(box);
    Helper side = box.Start("TalksOn", {{"in", kClosedFd}, {"rounds", rounds}});
    box.Start("OtherSide", {{"steps", "hear_end"}});
    EXPECT_THAT(OutcomeOf(side), ComesToItsEnd()) << what << ", in_fd is not open";
    EXPECT_THAT(side.call(), FailedWith(EBADF)) << what << ", in_fd is not open";
  }
  Sandbox box;
  MakeFifos(box);
  Helper side = box.Start("Talks", {}, {.input = "hello\n"});
  box.Start("OtherSide", {{"steps", "hear_end"}});
  FailFrom(box, side, {Family::kFork}, 1, EAGAIN);
  EXPECT_THAT(OutcomeOf(side), ComesToItsEnd()) << "fork() fails";
  if (box.Calls(Family::kFork).empty()) return;  // It does without.
  EXPECT_THAT(side.call(), FailedWith(EAGAIN)) << "fork() fails";
  EXPECT_THAT(LeftBehind(box, side.call()), NothingLeftBehind()) << "fork() fails";
}

TEST_F(Chat, LeavesNothingBehind) {
  for (const int rounds : {2, -1}) {
    Sandbox box;
    MakeFifos(box);
    Helper first =
        box.Start("Talks", {{"first", 1}, {"rounds", rounds}}, {.input = RandomLines(2)});
    Helper second =
        box.Start("Talks", {{"first", 0}, {"rounds", rounds}}, {.input = RandomLines(2)});
    for (Helper* const side : {&first, &second}) {
      EXPECT_THAT(OutcomeOf(*side), Succeeds());
      EXPECT_THAT(side->Leftovers(), NothingLeftBehind());
    }
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/back", "FIFO /tmp/there"})));
  }
}

}  // namespace
}  // namespace ipclab
