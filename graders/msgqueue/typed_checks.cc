// Exercise msgqueue.2: typed send and receive.

#include <limits.h>
#include <signal.h>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::q_recv;
using msgqueue::q_send;

EXERCISE(Typed);

// One call of q_recv() into a buffer of `cap` bytes inside a larger one. What it wrote is reported
// as KEY, what it did behind that as KEY_behind.
ssize_t Take(const std::string& key, int qid, long want, std::size_t cap, long* type, int wait) {
  std::string buffer(cap + 16, '#');
  const ssize_t got = STUDENT(q_recv)(qid, want, buffer.data(), cap, type, wait);
  const std::size_t size = got < 0 ? 0 : std::min(static_cast<std::size_t>(got), cap);
  Report(key, buffer.substr(0, size));
  Report(key + "_behind", buffer.substr(size) == std::string(buffer.size() - size, '#') ? 0 : 1);
  return got;
}

int Give(int qid, long type, const std::string& data, int wait) {
  return STUDENT(q_send)(qid, type, data.data(), data.size(), wait);
}

int QueueOf(const Args& args) { return static_cast<int>(args.Int("qid")); }

// ---- What is sent is what arrives ---------------------------------------------------------------

HELPER(SendsLengths) {
  const OwnQueue queue;
  const std::string data = args.Bytes("data");
  for (const auto& [length, type] :
       {std::pair<std::size_t, long>(0, 1), {1, args.Int("type")}, {data.size(), LONG_MAX}}) {
    const std::string key = std::to_string(length);
    STUDENT(q_send)(queue.id(), type, length == 0 ? nullptr : data.data(), length, 1);
    Report(key + "_bytes", static_cast<std::int64_t>(BytesInQueue(queue.id())));
    long arrived = 0;
    Report(key, TakeRaw(queue.id(), 0, &arrived).value_or("(no message)"));
    Report(key + "_type", arrived - type);
  }
  return 0;
}

TEST_F(Typed, SendsTheDataAndNothingElse) {
  Sandbox box;
  const std::string data = RandomBytes(static_cast<std::size_t>(RandomInt(7000, 8192)));

  Helper sender =
      box.Start("SendsLengths", {{"data", Binary(data)}, {"type", RandomInt(2, INT32_MAX)}});

  EXPECT_THAT(OutcomeOf(sender), ComesToItsEnd());
  std::size_t nth = 0;
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, data.size()}) {
    const std::string key = std::to_string(length);
    EXPECT_THAT(sender.call(nth++), Returned(0)) << Count(length, "byte") << " of data";
    EXPECT_TRUE(sender.Reported(key + "_bytes") == static_cast<std::int64_t>(length))
        << "data of " << Count(length, "byte") << " were sent, and the queue holds "
        << Count(sender.Reported(key + "_bytes"), "byte");
    EXPECT_THAT(sender.ReportedBytes(key), SameBytesAs(data.substr(0, length)));
    EXPECT_TRUE(sender.Reported(key + "_type") == 0)
        << "the message has another type than it was sent under";
  }
}

HELPER(ReceivesLengths) {
  const OwnQueue queue;
  const std::string data = args.Bytes("data");
  for (const std::size_t length : {data.size(), std::size_t{0}, std::size_t{5}}) {
    PutRaw(queue.id(), args.Int("type"), data.substr(0, length));
    long type = 0;
    // The long one just fits. The short ones come after it: does something of it still show?
    Take(std::to_string(length), queue.id(), 0, data.size(), length == 5 ? nullptr : &type, 1);
    if (length != 5) Report(std::to_string(length) + "_type", type);
  }
  return 0;
}

TEST_F(Typed, ReceivesTheDataAndNothingElse) {
  Sandbox box;
  const std::string data = RandomBytes(static_cast<std::size_t>(RandomInt(600, 3000)));
  const std::int64_t type = RandomInt(1, INT32_MAX);

  Helper receiver = box.Start("ReceivesLengths", {{"data", Binary(data)}, {"type", type}});

  EXPECT_THAT(OutcomeOf(receiver), ComesToItsEnd());
  std::size_t nth = 0;
  for (const std::size_t length : {data.size(), std::size_t{0}, std::size_t{5}}) {
    const std::string key = std::to_string(length);
    EXPECT_THAT(receiver.call(nth++), Returned(length)) << Count(length, "byte") << " were sent";
    EXPECT_THAT(receiver.ReportedBytes(key), SameBytesAs(data.substr(0, length)));
    EXPECT_TRUE(receiver.Reported(key + "_behind") == 0)
        << "q_recv() has written behind the " << Count(length, "byte") << " of data";
    if (length == 5) continue;  // There, `type` was null.
    EXPECT_TRUE(receiver.Reported(key + "_type") == type)
        << "the message has type " << type << ", and *type is " << receiver.Reported(key + "_type");
  }
}

// ---- Which message ------------------------------------------------------------------------------

HELPER(TakesInOrder) {
  const OwnQueue queue;
  const long low = args.Int("low"), high = args.Int("high");
  for (const auto& [type, data] : {std::pair(high, "high1"),
                                   {low, "low1"},
                                   {high, "high2"},
                                   {low, "low2"},
                                   {high + 1, "higher"},
                                   {high, "high3"}}) {
    PutRaw(queue.id(), type, data);
  }
  int nth = 0;
  for (const long want : {low, 0L, high, -high, -high, 0L}) {
    Take(std::to_string(++nth), queue.id(), want, 100, nullptr, 0);
  }
  Report("left", static_cast<std::int64_t>(MessagesIn(queue.id())));
  return 0;
}

TEST_F(Typed, TakesTheMessageThatIsWanted) {
  Sandbox box;
  const std::int64_t low = RandomInt(1, 1000), high = low + RandomInt(1, 1000);

  Helper receiver = box.Start("TakesInOrder", {{"low", low}, {"high", high}});

  EXPECT_THAT(OutcomeOf(receiver), ComesToItsEnd());
  EXPECT_THAT(receiver.ReportedBytes("1"), IsText("low1")) << "the first of one type";
  EXPECT_THAT(receiver.ReportedBytes("2"), IsText("high1")) << "want is 0: the first of all";
  EXPECT_THAT(receiver.ReportedBytes("3"), IsText("high2")) << "the first of another type";
  EXPECT_THAT(receiver.ReportedBytes("4"), IsText("low2")) << "negative: the lowest type";
  EXPECT_THAT(receiver.ReportedBytes("5"), IsText("high3"))
      << "negative: -want itself is included, and there is nothing lower";
  EXPECT_THAT(receiver.ReportedBytes("6"), IsText("higher")) << "want is 0: the first of all";
  EXPECT_TRUE(receiver.Reported("left") == 0)
      << "six messages, six times one was taken, and the queue holds "
      << Count(receiver.Reported("left"), "message");
}

// ---- Waiting ------------------------------------------------------------------------------------

HELPER(Receives) {
  const Action handler(SIGUSR1, DoNothing);
  return Take("data", QueueOf(args), args.Int("want"), 100, nullptr, 1) >= 0 ? 0 : 1;
}

HELPER(Sends) {
  const Action handler(SIGUSR1, DoNothing);
  return Give(QueueOf(args), args.Int("type"), args.Bytes("data"), 1) == 0 ? 0 : 1;
}

TEST_F(Typed, SleepsUntilItsMessageComes) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  const std::string data = RandomBytes(40);

  Helper receiver = box.Start("Receives", {{"qid", qid}, {"want", 5}});
  ASSERT_TRUE(SleepsInQueueCall(box, receiver, "for a message"));
  ASSERT_TRUE(IsDisturbed(box, receiver, SIGUSR1));
  ASSERT_TRUE(SleepsInQueueCall(box, receiver, "any more after a signal"));
  Put(box, qid, 6, "of another type");
  ASSERT_TRUE(SleepsInQueueCall(box, receiver, "when a message of another type came"));
  Put(box, qid, 5, data);

  EXPECT_THAT(OutcomeOf(receiver), Succeeds());
  EXPECT_THAT(receiver.ReportedBytes("data"), SameBytesAs(data));
}

TEST_F(Typed, SleepsUntilThereIsRoom) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box, /*capacity=*/100);
  const std::string data = RandomBytes(60);
  Put(box, qid, 1, std::string(80, 'f'));

  Helper sender = box.Start("Sends", {{"qid", qid}, {"type", 2}, {"data", Binary(data)}});
  ASSERT_TRUE(SleepsInQueueCall(box, sender, "for room"));
  ASSERT_TRUE(IsDisturbed(box, sender, SIGUSR1));
  ASSERT_TRUE(SleepsInQueueCall(box, sender, "any more after a signal"));
  Helper taker = box.Start("TakesAMessage", {{"qid", qid}, {"type", 1}});
  EXPECT_THAT(taker.Wait(), Exited(0));

  EXPECT_THAT(OutcomeOf(sender), Succeeds());
  Helper other = box.Start("TakesAMessage", {{"qid", qid}, {"type", 2}});
  EXPECT_THAT(other.Wait(), Exited(0));
  EXPECT_THAT(other.ReportedBytes("data"), SameBytesAs(data));
}

TEST_F(Typed, SaysThatTheQueueWasRemoved) {
  Sandbox box({.watch = {Family::kMessages}});

  const int empty = NewQueue(box);
  Helper receiver = box.Start("Receives", {{"qid", empty}, {"want", 0}});
  ASSERT_TRUE(SleepsInQueueCall(box, receiver, "for a message"));
  RemoveQueue(box, empty);
  EXPECT_THAT(OutcomeOf(receiver), ComesToItsEnd());
  EXPECT_THAT(receiver.call(), FailedWith(EIDRM)) << "the queue was removed meanwhile";

  const int full = NewQueue(box, /*capacity=*/10);
  Put(box, full, 1, "0123456789");
  Helper sender = box.Start("Sends", {{"qid", full}, {"type", 1}, {"data", "x"}});
  ASSERT_TRUE(SleepsInQueueCall(box, sender, "for room"));
  RemoveQueue(box, full);
  EXPECT_THAT(OutcomeOf(sender), ComesToItsEnd());
  EXPECT_THAT(sender.call(), FailedWith(EIDRM)) << "the queue was removed meanwhile";
}

HELPER(DoesNotWait) {
  const OwnQueue queue;
  SetCapacity(queue.id(), 100);
  Take("nothing", queue.id(), 0, 100, nullptr, 0);
  PutRaw(queue.id(), 3, std::string(80, 'f'));
  Take("other", queue.id(), 4, 100, nullptr, 0);
  Take("lower", queue.id(), -2, 100, nullptr, 0);
  Give(queue.id(), 4, std::string(21, 'x'), 0);
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  Give(queue.id(), 4, std::string(20, 'x'), 0);
  Take("data", queue.id(), 4, 100, nullptr, 0);
  return 0;
}

TEST_F(Typed, DoesNotWaitUnlessItIsTold) {
  Sandbox box;

  Helper caller = box.Start("DoesNotWait");

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(ENOMSG)) << "the queue is empty";
  EXPECT_THAT(caller.call(1), FailedWith(ENOMSG)) << "there is only a message of another type";
  EXPECT_THAT(caller.call(2), FailedWith(ENOMSG)) << "there is only a message of a higher type";
  EXPECT_THAT(caller.call(3), FailedWith(EAGAIN)) << "there is room for 20 bytes, not for 21";
  EXPECT_TRUE(caller.Reported("messages") == 1)
      << "one message is in the queue, the calls failed, and now the queue holds "
      << Count(caller.Reported("messages"), "message");
  EXPECT_THAT(caller.call(4), Returned(0)) << "there is room for 20 bytes";
  EXPECT_THAT(caller.call(5), Returned(20)) << "the message is there";
}

// ---- Errors -------------------------------------------------------------------------------------

HELPER(SendsWrongly) {
  const OwnQueue queue;
  OwnQueue gone;
  gone.Remove();
  const OwnQueue read_only(IPC_PRIVATE, 0400);
  const OwnQueue write_only(IPC_PRIVATE, 0200);
  msginfo limits{};
  Check(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)), "msgctl(IPC_INFO)");
  const std::string longest(static_cast<std::size_t>(limits.msgmax), 'x');
  Give(queue.id(), 0, "x", 0);
  Give(queue.id(), -5, "x", 0);
  Give(queue.id(), 1, longest + "x", 0);
  STUDENT(q_send)(queue.id(), 1, "x", SIZE_MAX - 3, 0);
  Give(gone.id(), 1, "x", 0);
  Give(read_only.id(), 1, "x", 0);
  Take("gone", gone.id(), 0, 100, nullptr, 0);
  Take("unreadable", write_only.id(), 0, 100, nullptr, 0);
  Give(write_only.id(), 1, longest, 0);
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  return 0;
}

TEST_F(Typed, SaysWhyAMessageCannotBeSent) {
  Sandbox box;

  Helper caller = box.Start("SendsWrongly");

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "type 0";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "type -5";
  EXPECT_THAT(caller.call(2), FailedWith(EMSGSIZE)) << "one byte more than the system allows";
  EXPECT_THAT(caller.call(3), FailedWith(EMSGSIZE)) << "n is nearly the largest number there is";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "the queue has been removed; n is 1";
  EXPECT_THAT(caller.call(5), FailedWith(EACCES)) << "the queue may only be read";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "the queue has been removed";
  EXPECT_THAT(caller.call(7), FailedWith(EACCES)) << "the queue may not be read";
  EXPECT_THAT(caller.call(8), Returned(0)) << "the longest message, to a queue one may not read";
  EXPECT_TRUE(caller.Reported("messages") == 0) << "something was sent all the same";
}

HELPER(ReceivesTooLittle) {
  const OwnQueue queue;
  const std::string data = args.Bytes("data");
  PutRaw(queue.id(), 3, data);
  PutRaw(queue.id(), 3, "the next");
  long type = 77;
  for (const std::size_t cap : {data.size() - 1, std::size_t{0}}) {
    Take("short", queue.id(), 3, cap, &type, 1);
    Report("behind" + std::to_string(cap), type == 77 ? 0 : 1);
  }
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  Take("whole", queue.id(), 3, data.size(), &type, 1);
  return 0;
}

TEST_F(Typed, LeavesATooLongMessageWhereItIs) {
  Sandbox box({.watch = {Family::kMessages}});
  const std::string data = RandomBytes(static_cast<std::size_t>(RandomInt(20, 500)));

  Helper caller = box.Start("ReceivesTooLittle", {{"data", Binary(data)}});

  ASSERT_TRUE(EndsWithoutRepeating(box, caller, 30)) << "the message is longer than `cap`";
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(E2BIG)) << "the message is one byte longer than `cap`";
  EXPECT_THAT(caller.call(1), FailedWith(E2BIG)) << "`cap` is 0, the message is longer";
  EXPECT_TRUE(caller.Reported("short_behind") == 0) << "`buf` was written to all the same";
  EXPECT_TRUE(caller.Reported("behind0") == 0) << "*type was written to all the same";
  EXPECT_TRUE(caller.Reported("messages") == 2)
      << "two messages, none could be taken, and the queue holds "
      << Count(caller.Reported("messages"), "message");
  EXPECT_THAT(caller.call(2), Returned(data.size())) << "`cap` is large enough now";
  EXPECT_THAT(caller.ReportedBytes("whole"), SameBytesAs(data));
}

// ---- Clean-up -----------------------------------------------------------------------------------

HELPER(CallsOften) {
  const OwnQueue queue;
  SetCapacity(queue.id(), 4000);
  // Not through STUDENT: a census before and after each of so many calls would take long.
  const auto send = reinterpret_cast<decltype(&q_send)>(SubmissionSymbol("q_send"));
  const auto receive = reinterpret_cast<decltype(&q_recv)>(SubmissionSymbol("q_recv"));
  std::string buffer(4000, '#');
  std::int64_t before = 0;
  bool good = true;
  for (int round = 0; round < 110; ++round) {
    if (round == 10) before = MemoryInUse();  // By now, all that is kept for good is there.
    good &= send(queue.id(), 1, buffer.data(), 3000, 1) == 0;
    good &= send(queue.id(), 1, buffer.data(), 3000, 0) == -1;
    good &= send(queue.id(), 0, buffer.data(), 3000, 0) == -1;
    good &= receive(queue.id(), 1, buffer.data(), 2900, nullptr, 1) == -1;
    good &= receive(queue.id(), 2, buffer.data(), 4000, nullptr, 0) == -1;
    good &= receive(queue.id(), 1, buffer.data(), 4000, nullptr, 1) == 3000;
  }
  Report("grown", MemoryInUse() - before);
  return STUDENT(q_send)(queue.id(), 1, "x", 1, 0) == 0 && good ? 0 : 1;
}

TEST_F(Typed, KeepsNoMemory) {
  Sandbox box;

  Helper caller = box.Start("CallsOften");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("grown") < 50'000)
      << "100 times each: sent, EAGAIN, EINVAL, E2BIG, ENOMSG, received. Now "
      << Count(caller.Reported("grown"), "byte") << " more are allocated than before";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
