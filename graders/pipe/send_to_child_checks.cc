// Exercise pipe.1: send_to_child.

#include <sys/resource.h>

#include "common/grading/exercise.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::send_to_child;

EXERCISE(SendToChild);

HELPER(SendsBytes) {
  const std::string bytes = args.Bytes("bytes");
  return STUDENT(send_to_child)(bytes.data(), bytes.size(), STDOUT_FILENO);
}

TEST_F(SendToChild, DeliversBytesInOrder) {
  Sandbox box({.watch = {Family::kPipe, Family::kWrite, Family::kRead}});
  const std::string bytes = RandomBytes(3000);

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.output(), SameBytesAs(bytes));
  EXPECT_THAT(box, CarriedByPipe(bytes.size()));
}

TEST_F(SendToChild, DeliversMoreThanThePipeHolds) {
  Sandbox box;
  const std::string bytes = RandomBytes(300'001);

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.output(), SameBytesAs(bytes));
}

TEST_F(SendToChild, LeavesNothingBehind) {
  Sandbox box;

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary(RandomBytes(100))}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.Leftovers(), NothingLeftBehind());
}

TEST_F(SendToChild, ReportsThatThePipeCannotBeMade) {
  Sandbox box({.watch = {Family::kPipe}});
  box.Fail(Family::kPipe, EMFILE);

  Helper sender = box.Start("SendsBytes", {{"bytes", Binary("x")}});

  sender.Wait();
  EXPECT_THAT(sender.call(), FailedWith(EMFILE));
}

}  // namespace
}  // namespace ipclab
