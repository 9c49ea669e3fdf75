// Exercise pipe.1: send_to_child.

#include <signal.h>
#include <sys/resource.h>

#include "common/grading/around.h"
#include "common/grading/exercise.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::send_to_child;

EXERCISE(SendToChild);

HELPER(SendsBytes) {
  const std::string bytes = args.Bytes("bytes");
  const auto out = static_cast<int>(args.Int("out", STDOUT_FILENO));
  STUDENT(send_to_child)(bytes.data(), bytes.size(), out);
  return 0;
}

HELPER(SendsToNobody) {
  PipeEnds out = MakePipe();
  out.read.Reset();
  STUDENT(send_to_child)("x", 1, out.write.get());
  return 0;
}

HELPER(SendsAndIsInterrupted) {
  const Action on_usr1(SIGUSR1, &DoNothing);
  const std::string bytes = args.Bytes("bytes");
  STUDENT(send_to_child)(bytes.data(), bytes.size(), STDOUT_FILENO);
  return 0;
}

// Its standard output is a pipe, so stdio keeps the word until the flush.
HELPER(SendsWithTextInItsBuffer) {
  std::fputs(args.Bytes("unflushed").c_str(), stdout);
  const std::string bytes = args.Bytes("bytes");
  STUDENT(send_to_child)(bytes.data(), bytes.size(), STDOUT_FILENO);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

// Bytes that processes born in the student's function wrote to a helper's standard output.
std::int64_t BytesCopiedByChildren(const Sandbox& box) {
  std::int64_t bytes = 0;
  for (const Event& event : box.events()) {
    const bool moves = event.family == Family::kWrite || event.family == Family::kSplice;
    const bool child = !box.observer().process(event.pid).helper;
    if (moves && child && event.Succeeded() && box.IsOurs(event.target)) bytes += *event.result;
  }
  return bytes;
}

MATCHER_P(CopiedByAChild, bytes, "a child writes the bytes to out_fd, not the caller") {
  const std::int64_t seen = BytesCopiedByChildren(arg);
  *result_listener << "children wrote " << seen << " bytes to out_fd";
  return seen >= static_cast<std::int64_t>(bytes);
}

// Runs out of descriptors with its first pipe: 0, 1 and 2 are taken, one is left.
Helper StartWithoutRoomForAPipe(Sandbox& box) {
  return box.Start("SendsBytes", {{"bytes", Binary("x")}},
                   {.input = "", .limits = {{RLIMIT_NOFILE, 4}}});
}

int FailWritesOfTheCaller(Sandbox& box) {
  return box.AddRule({.family = Family::kWrite, .nth = 0, .where = InCaller(box), .answer = -EIO});
}

TEST_F(SendToChild, DeliversBytesInOrder) {
  Sandbox box({.watch = {Family::kPipe, Family::kWrite, Family::kSplice}});
  const std::string bytes = RandomBytes(3000) + std::string(1, '\0') + RandomBytes(3000);

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.output(), SameBytesAs(bytes));
  EXPECT_THAT(sender.call(), Returned(0));
  EXPECT_THAT(box, CarriedByPipe(bytes.size()));
  EXPECT_THAT(box, CopiedByAChild(bytes.size()));
}

TEST_F(SendToChild, DeliversMoreThanThePipeHolds) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{300'001}}) {
    Sandbox box;
    const std::string bytes = RandomBytes(size);

    Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});

    EXPECT_THAT(sender.Wait(), Exited(0));
    EXPECT_THAT(sender.output(), SameBytesAs(bytes));
    EXPECT_THAT(sender.call(), Returned(0));
  }
}

TEST_F(SendToChild, GoesOnAfterShortCountsAndSignals) {
  Sandbox box({.watch = {Family::kWrite, Family::kRead}});
  const std::string bytes = RandomBytes(3000);
  box.AddRule({.family = Family::kWrite, .where = InCaller(box), .answer = -EINTR});
  box.AddRule({.family = Family::kRead, .where = InChildren(box), .answer = -EINTR});
  box.AddRule({.family = Family::kWrite, .where = InChildren(box), .answer = -EINTR});
  box.Shorten(Family::kWrite, 700);
  box.Shorten(Family::kRead, 1000);
  const int exit = box.AddRule({.family = Family::kExit, .where = InChildren(box), .hold = true});

  Helper sender = box.Start("SendsAndIsInterrupted", {{"bytes", Binary(bytes)}});

  EXPECT_TRUE(box.WaitUntilHeld(exit))
      << "The child should have come to its end, but: " << box.failure();
  EXPECT_TRUE(Waits(box, sender, "for its child"));
  EXPECT_TRUE(Interrupt(box, sender, SIGUSR1));
  box.Release(exit);
  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.output(), SameBytesAs(bytes));
  EXPECT_THAT(sender.call(), Returned(0));
}

TEST_F(SendToChild, ReturnsHowTheChildEnded) {
  Sandbox box;

  Helper closed = box.Start("SendsBytes", {{"bytes", Binary("x")}, {"out", kClosedFd}});
  EXPECT_THAT(closed.Wait(), Exited(0));
  EXPECT_THAT(closed.call(), Returned(1)) << "out_fd is not open";

  Helper unread = box.Start("SendsToNobody");
  EXPECT_THAT(unread.Wait(), Exited(0));
  EXPECT_THAT(unread.call(), Returned(1)) << "out_fd is a pipe that nobody reads";

  const int exit = box.AddRule({.family = Family::kExit, .where = InChildren(box), .hold = true});
  Helper sender = box.Start("SendsBytes", {{"bytes", Binary("x")}});
  EXPECT_TRUE(box.WaitUntilHeld(exit))
      << "The child should have come to its end, but: " << box.failure();
  for (const pid_t child : box.observer().Held(exit)) kill(child, SIGKILL);
  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.call(), FailedWith(ECANCELED)) << "the child was killed by SIGKILL";
}

TEST_F(SendToChild, SurvivesAChildThatLeavesEarly) {
  Sandbox box;
  const std::string bytes = RandomBytes(300'001);

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}, {"out", kClosedFd}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.call(), Returned(1));
}

TEST_F(SendToChild, EndsTheChildInsideTheCall) {
  Sandbox box;
  const std::string bytes = RandomBytes(100);
  const std::string unflushed = RandomWord(20);

  Helper sender =
      box.Start("SendsWithTextInItsBuffer", {{"bytes", Binary(bytes)}, {"unflushed", unflushed}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_FALSE(AnyChildStrayed(box)) << "A child came back from send_to_child() and ran on in the "
                                        "caller's code.";
  EXPECT_TRUE(WrittenOnce(unflushed, sender.output()));
}

TEST_F(SendToChild, ReportsWhatFailed) {
  Sandbox box({.watch = {Family::kWrite}});

  Helper pipeless = StartWithoutRoomForAPipe(box);
  pipeless.Wait();
  EXPECT_THAT(pipeless.call(), FailedWith(EMFILE));
  EXPECT_TRUE(box.Children().empty()) << "There was no pipe, and yet a child was started.";

  const int write = FailWritesOfTheCaller(box);
  Helper mute = box.Start("SendsBytes", {{"bytes", Binary("x")}});
  EXPECT_THAT(mute.Wait(), Exited(0));
  if (box.observer().Matches(write) > 0) {
    EXPECT_THAT(mute.call(), FailedWith(EIO));
  }

  box.Fail(Family::kFork, EAGAIN);
  Helper childless = box.Start("SendsBytes", {{"bytes", Binary("x")}});
  EXPECT_THAT(childless.Wait(), Exited(0));
  EXPECT_THAT(childless.call(), FailedWith(EAGAIN));
}

TEST_F(SendToChild, LeavesNothingBehind) {
  Sandbox box({.watch = {Family::kWrite}});
  const auto check = [&](Helper helper) {
    EXPECT_THAT(helper.Wait(), Exited(0));
    EXPECT_THAT(LeftBehind(box, helper.call()), NothingLeftBehind());
  };

  check(box.Start("SendsBytes", {{"bytes", Binary(RandomBytes(100))}}));
  check(box.Start("SendsBytes", {{"bytes", Binary("x")}, {"out", kClosedFd}}));
  check(StartWithoutRoomForAPipe(box));
  FailWritesOfTheCaller(box);
  check(box.Start("SendsBytes", {{"bytes", Binary("x")}}));
  box.Fail(Family::kFork, EAGAIN);
  check(box.Start("SendsBytes", {{"bytes", Binary("x")}}));
}

}  // namespace
}  // namespace ipclab
