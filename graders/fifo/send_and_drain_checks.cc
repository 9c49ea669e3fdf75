// Exercise fifo.2: sender and drainer.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "common/grading/around.h"
#include "graders/fifo/expectations.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::fifo_drain;
using fifo::fifo_send_file;

EXERCISE(SendAndDrain);

// ---- Helpers ------------------------------------------------------------------------------------

volatile std::sig_atomic_t sigpipes = 0;
void CountSigpipe(int) { sigpipes = sigpipes + 1; }

// With a handler for SIGUSR1, and one for SIGPIPE if wanted.
HELPER(Sends) {
  const Action on_signal(SIGUSR1, &DoNothing);
  const Action on_sigpipe(SIGPIPE, args.Int("handler", 0) != 0 ? &CountSigpipe : SIG_DFL);
  STUDENT(fifo_send_file)
  (args.Bytes("path").c_str(), static_cast<int>(args.Int("in", STDIN_FILENO)));
  Report("sigpipes", sigpipes);
  return 0;
}

HELPER(Drains) {
  const Action on_signal(SIGUSR1, &DoNothing);
  STUDENT(fifo_drain)
  (args.Bytes("path").c_str(), static_cast<int>(args.Int("out", STDOUT_FILENO)));
  return 0;
}

HELPER(DrainsToNobody) {
  const Action on_sigpipe(SIGPIPE, args.Int("handler", 0) != 0 ? &CountSigpipe : SIG_DFL);
  PipeEnds line = MakePipe();
  line.read.Reset();
  STUDENT(fifo_drain)(args.Bytes("path").c_str(), line.write.get());
  Report("sigpipes", sigpipes);
  return 0;
}

HELPER(DrainsToAFullDevice) {
  const Fd full(Check(open("/dev/full", O_WRONLY), "open"));
  STUDENT(fifo_drain)(args.Bytes("path").c_str(), full.get());
  return 0;
}

// A writer that makes a pause.
HELPER(WritesWithAPause) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_WRONLY), "open"));
  WriteHere(fifo.get(), args.Bytes("before"));
  Gate();
  WriteHere(fifo.get(), args.Bytes("after"));
  return 0;
}

// A reader that leaves when the gate opens.
HELPER(ReadsALittle) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDONLY), "open"));
  ReadHere(fifo.get(), static_cast<std::size_t>(args.Int("bytes")));
  Gate();
  return 0;
}

// Stays on both sides of the FIFO, so that nobody waits to open it, with some bytes in it.
HELPER(HoldsBothEnds) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDWR), "open"));
  WriteHere(fifo.get(), "some bytes");
  Gate();
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(SendAndDrain, CarriesEveryByte) {
  Sandbox box({.watch = {Family::kOpen, Family::kWrite, Family::kSplice}});
  for (const std::size_t size : {70'001, 1, 0}) {
    const std::string path = PutFifo(box);
    const std::string bytes = RandomBytes(size);
    // The drainer comes when the sender has knocked.
    const auto by_drainer = [](const Event& event) { return event.function == "fifo_drain"; };
    const int opening = box.AddRule({.family = Family::kOpen, .where = by_drainer, .hold = true});
    Helper sender = box.Start("Sends", {{"path", path}}, {.input = bytes, .limits = {}});
    Helper drainer = box.Start("Drains", {{"path", path}});
    const auto has_opened = [&](const Event& event) {
      return event.pid == sender.pid() && event.family == Family::kOpen && event.result;
    };
    EXPECT_TRUE(
        Comes(box, [&] { return std::ranges::any_of(box.events(), has_opened) || AtRest(box); }));
    box.Release(opening);

    EXPECT_THAT(sender.Wait(), Exited(0));
    EXPECT_THAT(drainer.Wait(), Exited(0));
    EXPECT_THAT(sender.call(), Returned(0));
    EXPECT_THAT(drainer.call(), Returned(size));
    EXPECT_THAT(drainer.output(), SameBytesAs(bytes));
    EXPECT_TRUE(BytesInto(box, path) >= size)
        << BytesInto(box, path) << " bytes were written into the FIFO, and " << size << " sent";
  }
}

TEST_F(SendAndDrain, WaitsForTheOtherSide) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::string path = PutFifo(box);
  Bystander bystander(box);
  const std::string bytes = RandomBytes(100);
  const Sandbox::StartOptions input = {.input = bytes, .limits = {}};

  Helper early_sender = box.Start("Sends", {{"path", path}}, input);
  EXPECT_TRUE(StillWaits(box, early_sender)) << "and no reader had come yet";
  bystander.Leave();
  Helper drainer = box.Start("Drains", {{"path", path}});
  EXPECT_THAT(drainer.Wait(), Exited(0));
  EXPECT_THAT(early_sender.Wait(), Exited(0));
  EXPECT_THAT(drainer.output(), SameBytesAs(bytes)) << "the sender was first";

  Bystander other(box);
  Helper early_drainer = box.Start("Drains", {{"path", path}});
  EXPECT_TRUE(StillWaits(box, early_drainer)) << "and no writer had come yet";
  other.Leave();
  Helper sender = box.Start("Sends", {{"path", path}}, input);
  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(early_drainer.Wait(), Exited(0));
  EXPECT_THAT(early_drainer.output(), SameBytesAs(bytes)) << "the drainer was first";
}

TEST_F(SendAndDrain, DrainsUntilTheLastWriterLeft) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kPoll}, .skip_sleeps = true});
  LetTimePass(box);
  const std::string path = PutFifo(box);
  const std::string bytes = RandomBytes(40);
  const auto writer = [&](std::size_t from) {
    return box.Start("WritesWithAPause", {{"path", path},
                                          {"before", Binary(bytes.substr(from, 10))},
                                          {"after", Binary(bytes.substr(from + 20, 10))}});
  };
  const int first_gate = HoldAtGate(box);
  const int second_gate = HoldAtGate(box);

  Helper drainer = box.Start("Drains", {{"path", path}});
  Helper first = writer(0);
  ASSERT_TRUE(SomebodyComesTo(box, first_gate)) << "nobody opened the FIFO for reading";
  Helper second = writer(10);
  ASSERT_TRUE(SomebodyComesTo(box, second_gate)) << "nobody opened the FIFO for reading";
  EXPECT_TRUE(StillWaits(box, drainer)) << "and two writers had only made a pause";
  box.Release(first_gate);
  EXPECT_THAT(first.Wait(), Exited(0));
  EXPECT_TRUE(StillWaits(box, drainer)) << "and one of two writers was still there";
  box.Release(second_gate);
  EXPECT_THAT(second.Wait(), Exited(0));

  EXPECT_THAT(drainer.Wait(), Exited(0));
  EXPECT_THAT(drainer.call(), Returned(bytes.size()));
  EXPECT_THAT(drainer.output(), SameBytesAs(bytes));
}

TEST_F(SendAndDrain, GoesOnAfterShortCountsAndSignals) {
  Sandbox box({.watch = {Family::kRead, Family::kWrite, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomBytes(3000);
  for (const Family family : {Family::kRead, Family::kWrite}) {
    for (const char* function : {"fifo_send_file", "fifo_drain"}) {
      const auto where = [function](const Event& event) { return event.function == function; };
      box.AddRule({.family = family, .where = where, .answer = -EINTR});
    }
  }
  box.Shorten(Family::kWrite, 700);
  box.Shorten(Family::kRead, 1000);
  const auto interrupted = [&](Helper helper) {
    Bystander bystander(box);
    ASSERT_TRUE(StillWaits(box, helper)) << "and nobody was on the other side";
    ASSERT_TRUE(Interrupt(box, helper, SIGUSR1));
    EXPECT_TRUE(StillWaits(box, helper)) << "when a signal came and nobody on the other side";
    bystander.Leave();
  };
  const auto meet = [&](Helper sender, Helper drainer) {
    EXPECT_THAT(sender.Wait(), Exited(0));
    EXPECT_THAT(drainer.Wait(), Exited(0));
    EXPECT_THAT(sender.call(), Returned(0));
    EXPECT_THAT(drainer.call(), Returned(bytes.size()));
    EXPECT_THAT(drainer.output(), SameBytesAs(bytes));
  };

  Helper sender = box.Start("Sends", {{"path", path}}, {.input = bytes, .limits = {}});
  interrupted(sender);
  meet(sender, box.Start("Drains", {{"path", path}}));

  Helper drainer = box.Start("Drains", {{"path", path}});
  interrupted(drainer);
  meet(box.Start("Sends", {{"path", path}}, {.input = bytes, .limits = {}}), drainer);
}

TEST_F(SendAndDrain, SurvivesAReaderThatLeaves) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomBytes(200'000);
  for (const int handler : {0, 1}) {
    const int gate = HoldAtGate(box);
    Helper sender =
        box.Start("Sends", {{"path", path}, {"handler", handler}}, {.input = bytes, .limits = {}});
    box.Start("ReadsALittle", {{"path", path}, {"bytes", 1000}});
    EXPECT_TRUE(SomebodyComesTo(box, gate));
    EXPECT_TRUE(StillWaits(box, sender)) << "and there was no room in the FIFO";
    box.Release(gate);

    EXPECT_THAT(sender.Wait(), Exited(0)) << "the reader left before it had everything";
    EXPECT_THAT(sender.call(), FailedWith(EPIPE)) << "the reader left before it had everything";
    EXPECT_TRUE(sender.Reported("sigpipes", 0) == 0) << "the caller's handler of SIGPIPE ran";
    EXPECT_THAT(LeftBehind(box, sender.call()), NothingLeftBehind());
  }
  for (const int handler : {0, 1}) {
    Helper drainer = box.Start("DrainsToNobody", {{"path", path}, {"handler", handler}});
    Helper sender = box.Start("Sends", {{"path", path}}, {.input = "some bytes", .limits = {}});

    EXPECT_THAT(drainer.Wait(), Exited(0)) << "out_fd is a pipe that nobody reads";
    EXPECT_THAT(drainer.call(), FailedWith(EPIPE)) << "out_fd is a pipe that nobody reads";
    EXPECT_TRUE(drainer.Reported("sigpipes", 0) == 0) << "the caller's handler of SIGPIPE ran";
    EXPECT_THAT(LeftBehind(box, drainer.call()), NothingLeftBehind());
    EXPECT_THAT(sender.Wait(), Exited(0));
  }
}

TEST_F(SendAndDrain, RefusesWhatIsNoFifo) {
  Sandbox box;
  const std::string name = PutOneOfEach(box);
  const std::string file = name + ".file";
  struct Row {
    const char* helper;
    std::string path;
    int error;
    const char* what;
  };
  const Row rows[] = {{"Sends", file, EINVAL, "a file"},
                      {"Drains", file, EINVAL, "a file"},
                      {"Sends", "/dev/null", EINVAL, "a device"},
                      {"Drains", "/dev/null", EINVAL, "a device"},
                      {"Drains", name + ".directory", EINVAL, "a directory"},
                      {"Sends", name + ".not", ENOENT, "a path that is not there"},
                      {"Drains", name + ".not", ENOENT, "a path that is not there"}};
  for (const Row& row : rows) {
    Helper caller =
        box.Start(row.helper, {{"path", row.path}}, {.input = RandomWord(50), .limits = {}});

    EXPECT_THAT(caller.Wait(), Exited(0)) << "of " << row.what;
    EXPECT_THAT(caller.call(), FailedWith(row.error)) << "of " << row.what;
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "of " << row.what;
  }
  EXPECT_THAT(WhatIsAt(box, file), IsText("a file of 10 bytes")) << "which was no FIFO";
  EXPECT_THAT(WhatIsAt(box, name + ".not"), IsText("nothing")) << "where there was nothing";
}

TEST_F(SendAndDrain, ReportsWhatFailed) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const int gate = HoldAtGate(box);
  box.Start("HoldsBothEnds", {{"path", path}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  const auto call = [&](const char* helper, const nlohmann::json& args) {
    Helper caller = box.Start(helper, args);
    EXPECT_TRUE(Leaves(box, caller));
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    return caller.call();
  };

  EXPECT_THAT(call("Sends", {{"path", path}, {"in", kClosedFd}}), FailedWith(EBADF))
      << "in_fd is not open";
  EXPECT_THAT(call("DrainsToAFullDevice", {{"path", path}}), FailedWith(ENOSPC))
      << "out_fd is a full device";
  for (const char* helper : {"Sends", "Drains"}) {
    box.Fail(Family::kOpen, EMFILE);
    EXPECT_THAT(call(helper, {{"path", path}}), FailedWith(EMFILE)) << "open() failed";
    if (!ModesCount()) continue;
    EXPECT_THAT(call(helper, {{"path", PutOneOfEach(box, 0) + ".fifo"}}), FailedWith(EACCES))
        << "the FIFO has mode 0000";
  }
}

TEST_F(SendAndDrain, LeavesNothingBehind) {
  Sandbox box;
  const std::string path = PutFifo(box);
  const ino_t before = EntryAt(box, path).inode;

  Helper sender = box.Start("Sends", {{"path", path}}, {.input = RandomBytes(9), .limits = {}});
  Helper drainer = box.Start("Drains", {{"path", path}});
  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(drainer.Wait(), Exited(0));

  EXPECT_THAT(LeftBehind(box, sender.call()), NothingLeftBehind());
  EXPECT_THAT(LeftBehind(box, drainer.call()), NothingLeftBehind());
  EXPECT_TRUE(EntryAt(box, path).inode == before)
      << "The FIFO that was there before is gone: " << WhatIsAt(box, path);
  EXPECT_THAT(NamesLeft(box), testing::ElementsAre("FIFO /tmp/" + path));
}

}  // namespace
}  // namespace ipclab
