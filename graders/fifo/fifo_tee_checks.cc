// Exercise fifo.5, first half: fifo_tee.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "graders/fifo/peers.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::fifo_tee;

EXERCISE(FifoTee);

// The FIFO, in the empty directory where helpers start. Its reader shows what it got on standard
// error.
constexpr char kFifo[] = "branch";

constexpr int kOutLeft = 1;
constexpr int kFifoLeft = 2;

// ---- Helpers ------------------------------------------------------------------------------------

void ShowFifo() { CopyHere(OpenHere(kFifo, O_RDONLY).get(), STDERR_FILENO); }

// Calls fifo_tee, and does not wait in vain for a peer that it did not meet.
int Tee(int in, int out, Peer* reader) {
  const int result = STUDENT(fifo_tee)(in, out, kFifo);
  if (result == -1) reader->End();
  return result == -1 ? 1 : 0;
}

HELPER(Tees) {
  MakeFifoHere(kFifo);
  Peer reader(ShowFifo);
  return Tee(STDIN_FILENO, STDOUT_FILENO, &reader);
}

// Where one reader does not begin before the check lets it.
HELPER(TeesForASlowReader) {
  const bool slow_fifo = args.Int("slow_fifo") != 0;
  MakeFifoHere(kFifo);
  PipeEnds out = MakePipe();
  Beside other([&] {
    out.write.Reset();
    if (!slow_fifo) Gate();
    CopyHere(out.read.get(), STDOUT_FILENO);
  });
  out.read.Reset();
  Peer reader([&] {
    out.write.Reset();
    const Fd fifo = OpenHere(kFifo, O_RDONLY);
    if (slow_fifo) Gate();
    CopyHere(fifo.get(), STDERR_FILENO);
  });
  const int result = Tee(STDIN_FILENO, out.write.get(), &reader);
  out.write.Reset();
  return result;
}

HELPER(TeesWithoutAReaderOfOut) {
  MakeFifoHere(kFifo);
  PipeEnds out = MakePipe();
  out.read.Reset();
  Peer reader(ShowFifo);
  return Tee(STDIN_FILENO, out.write.get(), &reader);
}

// Where the reader of the FIFO takes `takes` bytes and leaves.
HELPER(TeesForALeavingReader) {
  MakeFifoHere(kFifo);
  PipeEnds in = MakePipe();
  Peer reader([&] {
    in.read.Reset();
    Fd fifo = OpenHere(kFifo, O_RDONLY);
    const auto takes = static_cast<std::size_t>(args.Int("takes"));
    if (takes == 0) fifo.Reset();  // Before there is anything to copy.
    Beside feeder([&] {
      fifo.Reset();
      CopyHere(STDIN_FILENO, in.write.get());
    });
    in.write.Reset();
    if (takes != 0) WriteHere(STDERR_FILENO, ReadHere(fifo.get(), takes));
    fifo.Reset();
  });
  in.write.Reset();
  return Tee(in.read.get(), STDOUT_FILENO, &reader);
}

// Where both readers leave before there is anything to copy, and the input never ends.
HELPER(TeesForNobody) {
  const Action handler(SIGPIPE, CountSignal);
  MakeFifoHere(kFifo);
  PipeEnds in = MakePipe();
  PipeEnds out = MakePipe();
  PipeEnds over = MakePipe();
  out.read.Reset();
  Peer reader([&] {
    over.write.Reset();
    out.write.Reset();
    OpenHere(kFifo, O_RDONLY).Reset();
    CopyHere(STDIN_FILENO, in.write.get());
    ReadHere(over.read.get());
  });
  in.write.Reset();
  const int result = Tee(in.read.get(), out.write.get(), &reader);
  Report("handled", handled);
  Report("pending", IsPendingHere(SIGPIPE) ? 1 : 0);
  over.write.Reset();
  return result;
}

HELPER(TeesWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  MakeFifoHere(kFifo);
  PipeEnds in = MakePipe();
  Peer reader([&] {
    in.read.Reset();
    Gate();
    const Fd fifo = OpenHere(kFifo, O_RDONLY);
    Gate();
    CopyHere(STDIN_FILENO, in.write.get());
    in.write.Reset();
    CopyHere(fifo.get(), STDERR_FILENO);
  });
  in.write.Reset();
  return Tee(in.read.get(), STDOUT_FILENO, &reader);
}

// Something at the path that nobody reads.
HELPER(TeesInto) {
  const std::string path = args.Bytes("path");
  if (path == "file") MakeFileHere(path, args.Bytes("text"));
  if (path == "directory") Check(mkdir(path.c_str(), 0700), "mkdir");
  STUDENT(fifo_tee)(STDIN_FILENO, STDOUT_FILENO, path.c_str());
  if (path == "file") Report("text", ReadFileHere(path));
  return 0;
}

HELPER(TeesOn) {
  MakeFifoHere(kFifo);
  Peer reader(ShowFifo);
  Tee(static_cast<int>(args.Int("in")), static_cast<int>(args.Int("out")), &reader);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(FifoTee, CopiesTheInputToBoth) {
  Sandbox box;
  const std::string bytes = RandomBytes(200'001);

  Helper caller = box.Start("Tees", {}, {.input = bytes});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(caller.output(), SameBytesAs(bytes)) << "in out_fd";
  EXPECT_THAT(caller.errors(), SameBytesAs(bytes)) << "in the FIFO";

  Sandbox empty;
  Helper nothing = empty.Start("Tees");
  EXPECT_THAT(OutcomeOf(nothing), Succeeds()) << "without a byte of input";
  EXPECT_THAT(nothing.call(), Returned(0)) << "without a byte of input";
}

TEST_F(FifoTee, LosesNothingForASlowReader) {
  const std::string bytes = RandomBytes(200'001);
  for (const int slow_fifo : {0, 1}) {
    Sandbox box({.watch = {Family::kSignalSend}});
    const int gate = HoldAtGate(box);

    Helper caller = box.Start("TeesForASlowReader", {{"slow_fifo", slow_fifo}}, {.input = bytes});
    ASSERT_TRUE(SomebodyComesTo(box, gate)) << "the slow reader never came to read";
    ASSERT_TRUE(ComesToRest(box));
    box.Release(gate);

    const char* const who =
        slow_fifo != 0 ? "with a slow reader of the FIFO" : "with a slow reader of out_fd";
    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << who;
    EXPECT_THAT(caller.call(), Returned(0)) << who;
    EXPECT_THAT(caller.output(), SameBytesAs(bytes)) << "in out_fd, " << who;
    EXPECT_THAT(caller.errors(), SameBytesAs(bytes)) << "in the FIFO, " << who;
  }
}

TEST_F(FifoTee, GoesOnWhenTheReaderOfOneLeaves) {
  const std::string bytes = RandomBytes(200'001);
  for (const int takes : {0, 1000}) {
    Sandbox box;
    Helper caller = box.Start("TeesForALeavingReader", {{"takes", takes}}, {.input = bytes});
    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.call(), Returned(kFifoLeft))
        << "the reader of the FIFO left after " << takes << " bytes";
    EXPECT_THAT(caller.output(), SameBytesAs(bytes)) << "in out_fd";
  }
  Sandbox box;
  Helper caller = box.Start("TeesWithoutAReaderOfOut", {}, {.input = bytes});
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(kOutLeft)) << "nobody reads out_fd";
  EXPECT_THAT(caller.errors(), SameBytesAs(bytes)) << "in the FIFO";
}

TEST_F(FifoTee, StopsReadingWhenBothHaveLeft) {
  Sandbox box;

  Helper caller = box.Start("TeesForNobody", {}, {.input = RandomBytes(50'000)});

  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "the input has not ended";
  EXPECT_THAT(caller.call(), Returned(kOutLeft | kFifoLeft));
}

TEST_F(FifoTee, KeepsSigpipeFromTheCaller) {
  Sandbox box;

  Helper caller = box.Start("TeesForNobody", {}, {.input = RandomBytes(50'000)});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("handled") == 0)
      << "the caller's handler of SIGPIPE ran " << caller.Reported("handled") << " times";
  EXPECT_TRUE(caller.Reported("pending") == 0) << "a SIGPIPE is still pending after the call";
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
}

TEST_F(FifoTee, GoesOnAfterShortCountsAndSignals) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kWrite}});
  box.Shorten(Family::kWrite, 700);
  const std::string bytes = RandomBytes(20'001);
  const int opens = HoldAtGate(box);  // Takes the first that comes, and leaves the next to ...
  const int feeds = HoldAtGate(box);

  Helper caller = box.Start("TeesWithHandler", {}, {.input = bytes});
  ASSERT_TRUE(SomebodyComesTo(box, opens));
  if (caller.WaitUntilBlockedIn({Family::kOpen})) {
    ASSERT_TRUE(Interrupt(box, caller, SIGUSR1)) << "in open()";
  }
  box.Release(opens);
  ASSERT_TRUE(SomebodyComesTo(box, feeds)) << "the FIFO was never opened for writing";
  ASSERT_TRUE(Waits(box, caller, "for the input"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1)) << "while it waited for the input";
  box.Release(feeds);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(caller.output(), SameBytesAs(bytes)) << "in out_fd, where each write is cut short";
  EXPECT_THAT(caller.errors(), SameBytesAs(bytes)) << "in the FIFO, where each write is cut short";
}

TEST_F(FifoTee, ReportsWhatFailed) {
  Sandbox box;
  const std::string text = RandomWord(20);
  const auto into = [&](const char* path) {
    Helper caller = box.Start("TeesInto", {{"path", path}, {"text", text}}, {.input = "input"});
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "into " << path;
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "into " << path;
    return caller;
  };
  EXPECT_THAT(into("missing").call(), FailedWith(ENOENT)) << "nothing is at the path";
  EXPECT_THAT(into("directory").call(), FailedWith(EINVAL)) << "a directory is at the path";
  const Helper file = into("file");
  EXPECT_THAT(file.call(), FailedWith(EINVAL)) << "a regular file is at the path";
  EXPECT_THAT(file.ReportedBytes("text"), IsText(text)) << "what the file holds afterwards";

  const auto on = [](int in, int out) {
    Sandbox another;
    Helper caller = another.Start("TeesOn", {{"in", in}, {"out", out}}, {.input = "input"});
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(LeftBehind(another, caller.call()), NothingLeftBehind());
    return caller.call();
  };
  EXPECT_THAT(on(kClosedFd, STDOUT_FILENO), FailedWith(EBADF)) << "in_fd is not open";
  EXPECT_THAT(on(STDIN_FILENO, kClosedFd), FailedWith(EBADF)) << "out_fd is not open";
}

TEST_F(FifoTee, LeavesNothingButTheFifo) {
  Sandbox box;

  Helper caller = box.Start("Tees", {}, {.input = "input"});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/branch"})))
      << "the FIFO is the caller's, and stays";
}

}  // namespace
}  // namespace ipclab
