// Exercise pipe.6: write_nosigpipe.

#include <signal.h>

#include "common/grading/around.h"
#include "common/grading/exercise.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::write_nosigpipe;

EXERCISE(WriteNosigpipe);

constexpr std::size_t kPage = 4096;

ssize_t WriteStudent(int fd, const std::string& bytes) {
  return STUDENT(write_nosigpipe)(fd, bytes.data(), bytes.size());
}

// Blocks signals for as long as this lives; those of them that pend at its end are taken away.
class Blocking {
 public:
  explicit Blocking(std::initializer_list<int> signals) {
    sigemptyset(&set_);
    for (const int signal : signals) sigaddset(&set_, signal);
    Check(sigprocmask(SIG_BLOCK, &set_, &old_), "sigprocmask");
  }
  ~Blocking() {
    const timespec now = {0, 0};
    while (sigtimedwait(&set_, nullptr, &now) > 0) {
    }
    sigprocmask(SIG_SETMASK, &old_, nullptr);
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

 private:
  sigset_t set_;
  sigset_t old_;
};

// How often a signal reached a process.
int Deliveries(const Sandbox& box, int signal) {
  int count = 0;
  for (const Event& event : box.events()) {
    count += event.kind == Event::Kind::kSignal && event.status == signal ? 1 : 0;
  }
  return count;
}

MATCHER(NoSigpipeDelivered, "no SIGPIPE reaches the process") {
  const int count = Deliveries(arg, SIGPIPE);
  *result_listener << "SIGPIPE was delivered " << count << " times";
  return count == 0;
}

// ---- As write(2) -------------------------------------------------------------------------------

// In the end the pipe has room for one page, and two are offered.
HELPER(WritesToAReader) {
  PipeEnds line = MakePipe();
  const std::string bytes = args.Bytes("bytes");
  Check(fcntl(line.write.get(), F_SETPIPE_SZ, 2 * kPage), "fcntl(F_SETPIPE_SZ)");
  SetFlags(line.write.get(), O_NONBLOCK);
  WriteStudent(line.write.get(), bytes.substr(0, kPage));
  WriteStudent(line.write.get(), "");
  WriteStudent(line.write.get(), bytes.substr(kPage));
  line.write.Reset();
  Report("arrived", ReadHere(line.read.get()));
  return 0;
}

TEST_F(WriteNosigpipe, WritesOnceAsWriteDoes) {
  Sandbox box;
  const std::string bytes = RandomBytes(3 * kPage);

  Helper writer = box.Start("WritesToAReader", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(writer.call(0), Returned(kPage));
  EXPECT_THAT(writer.call(1), Returned(0)) << "of no bytes";
  EXPECT_THAT(writer.call(2), Returned(kPage))
      << "8192 bytes for an O_NONBLOCK pipe with room for 4096";
  EXPECT_THAT(writer.ReportedBytes("arrived"), SameBytesAs(bytes.substr(0, 2 * kPage)));
}

// ---- Without a reader --------------------------------------------------------------------------

HELPER(WritesToNobody) {
  PipeEnds line = MakePipe();
  line.read.Reset();
  WriteStudent(line.write.get(), "x");
  WriteStudent(line.write.get(), "y");
  return 0;
}

TEST_F(WriteNosigpipe, ReturnsEpipeAndLivesOn) {
  Sandbox box;

  Helper writer = box.Start("WritesToNobody");

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(writer.call(0), FailedWith(EPIPE));
  EXPECT_THAT(writer.call(1), FailedWith(EPIPE)) << "the second time";
}

HELPER(WritesToNobodyWithAHandler) {
  const Action on_sigpipe(SIGPIPE, &DoNothing);
  PipeEnds line = MakePipe();
  line.read.Reset();
  WriteStudent(line.write.get(), "x");
  return 0;
}

// Calls that set the action of SIGPIPE, inside a student's function.
std::vector<std::string> ActionChanges(Sandbox& box) {
  std::vector<std::string> changes;
  for (const Event& event : box.Calls(Family::kSignalAction)) {
    const bool sets = event.args[0] == SIGPIPE && event.args[1] != 0;
    if (sets) changes.push_back(Describe(event, box.names()));
  }
  return changes;
}

MATCHER(NoActionChanges, "the action of SIGPIPE is not touched, not even for a moment") {
  for (const std::string& change : arg) *result_listener << "\n  " << change;
  return arg.empty();
}

TEST_F(WriteNosigpipe, NeverTouchesTheActionOfSigpipe) {
  Sandbox box({.watch = {Family::kSignalAction}});

  Helper writer = box.Start("WritesToNobodyWithAHandler");

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(ActionChanges(box), NoActionChanges());
  EXPECT_THAT(box, NoSigpipeDelivered()) << "the caller's handler ran";
  EXPECT_THAT(writer.call(), FailedWith(EPIPE));
}

HELPER(WritesWithSigpipePending) {
  const Blocking blocking({SIGPIPE});
  PipeEnds line = MakePipe();
  line.read.Reset();
  // raise(3) sends to the thread, kill(2) to the process.
  Check(args.Int("to_thread") != 0 ? raise(SIGPIPE) : kill(getpid(), SIGPIPE), "kill");
  WriteStudent(line.write.get(), "x");
  return 0;
}

TEST_F(WriteNosigpipe, KeepsASigpipeThatWasPending) {
  Sandbox box;
  for (const int to_thread : {1, 0}) {
    Helper writer = box.Start("WritesWithSigpipePending", {{"to_thread", to_thread}});

    EXPECT_THAT(writer.Wait(), Exited(0));
    EXPECT_THAT(writer.call(), FailedWith(EPIPE));
    EXPECT_TRUE(writer.call().after.signals.pending.Has(SIGPIPE))
        << "A SIGPIPE was pending for the " << (to_thread == 1 ? "thread" : "process")
        << " before the call, and is gone after it.";
  }
}

// ---- A full pipe -------------------------------------------------------------------------------

// The pipe has room for nothing (`fill`: 1) or a page (0), and two are offered. When the gate
// opens, the reader takes everything, or else leaves without a word.
HELPER(WritesMoreThanThereIsRoom) {
  PipeEnds line = MakeSmallPipe();
  const auto page = static_cast<std::size_t>(CapacityOf(line.write.get()));
  if (args.Int("fill") != 0) WriteHere(line.write.get(), std::string(page, 'f'));
  const bool takes = args.Int("takes") != 0;
  Beside reader([&] {
    line.write.Reset();
    Gate();
    if (takes) ReadHere(line.read.get());
  });
  line.read.Reset();
  WriteStudent(line.write.get(), std::string(2 * page, 'x'));
  line.write.Reset();
  return 0;
}

// Opens the gate once the student's call waits for room.
Ending WriteIntoAFullPipe(Sandbox& box, Helper& writer, int gate) {
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  EXPECT_TRUE(writer.WaitUntilBlockedIn({Family::kWrite, Family::kPoll, Family::kWait}))
      << box.failure();
  EXPECT_FALSE(writer.call().returned)
      << "The pipe was full, and " << DescribeCall(writer.call()) << " instead of waiting.";
  box.Release(gate);
  return writer.Wait();
}

TEST_F(WriteNosigpipe, WaitsForRoom) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int gate = HoldAtGate(box);

  Helper writer = box.Start("WritesMoreThanThereIsRoom", {{"fill", 1}, {"takes", 1}});

  EXPECT_THAT(WriteIntoAFullPipe(box, writer, gate), Exited(0));
  EXPECT_THAT(writer.call(), Returned(2 * kPage));
}

TEST_F(WriteNosigpipe, CountsWhatWentBeforeTheReaderLeft) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int gate = HoldAtGate(box);

  Helper writer = box.Start("WritesMoreThanThereIsRoom", {{"fill", 0}, {"takes", 0}});

  EXPECT_THAT(WriteIntoAFullPipe(box, writer, gate), Exited(0));
  EXPECT_THAT(writer.call(), Returned(kPage)) << "one page went in before the reader left";
  EXPECT_THAT(LeftBehind(box, writer.call()), NothingLeftBehind());
}

// ---- Errors and clean-up -----------------------------------------------------------------------

HELPER(WritesInVain) {
  WriteStudent(kClosedFd, "x");
  PipeEnds full = MakeSmallPipe();
  SetFlags(full.write.get(), O_NONBLOCK);
  WriteHere(full.write.get(),
            std::string(static_cast<std::size_t>(CapacityOf(full.write.get())), 'f'));
  WriteStudent(full.write.get(), "x");
  return 0;
}

HELPER(WritesOneByte) {
  PipeEnds line = MakePipe();
  WriteStudent(line.write.get(), "x");
  return 0;
}

TEST_F(WriteNosigpipe, ReportsWhatWriteReports) {
  Sandbox box({.watch = {Family::kWrite}});

  Helper vain = box.Start("WritesInVain");
  EXPECT_THAT(vain.Wait(), Exited(0));
  EXPECT_THAT(vain.call(0), FailedWith(EBADF)) << "the descriptor is closed";
  EXPECT_THAT(vain.call(1), FailedWith(EAGAIN)) << "an O_NONBLOCK pipe is full";

  box.Fail(Family::kWrite, EINTR);
  Helper interrupted = box.Start("WritesOneByte");
  EXPECT_THAT(interrupted.Wait(), Exited(0));
  EXPECT_THAT(interrupted.call(), FailedWith(EINTR)) << "a signal came between";
}

// A caller with an action and a mask of its own, for whom every way out is tried.
HELPER(WritesWithAMask) {
  const Action on_sigpipe(SIGPIPE, args.Int("ignores") != 0 ? SIG_IGN : SIG_DFL);
  const Blocking blocking({args.Int("blocks") != 0 ? SIGPIPE : SIGUSR1, SIGUSR2});
  PipeEnds line = MakePipe();
  WriteStudent(line.write.get(), "x");
  WriteStudent(kClosedFd, "x");
  line.read.Reset();
  WriteStudent(line.write.get(), "x");
  return 0;
}

TEST_F(WriteNosigpipe, LeavesMaskAndPendingAsFound) {
  Sandbox box;
  for (const int blocks : {0, 1}) {
    for (const int ignores : {0, 1}) {
      Helper writer = box.Start("WritesWithAMask", {{"blocks", blocks}, {"ignores", ignores}});

      EXPECT_THAT(writer.Wait(), Exited(0));
      for (const StudentCall& call : writer.process().calls) {
        EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
      }
    }
  }
}

}  // namespace
}  // namespace ipclab
