// Exercise shm.5, continued: a producer and a consumer.

#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "common/grading/looks.h"
#include "graders/shm/pages.h"
#include "graders/shm/posix.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::consume;
using shm::produce;

EXERCISE(Produce);

HELPER(Produces) {
  const std::string msg = args.Bytes("msg");
  const std::size_t room = (msg.size() + 2 * kPage) / kPage * kPage;
  void* const mem = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mem == MAP_FAILED) throw SystemError(errno, "mmap");
  std::memcpy(mem, msg.data(), msg.size());
  {
    std::optional<GuardedPages> guard;
    if (args.Int("guard", 0) == 1) guard.emplace(mem, room, PROT_NONE);
    const auto begin = std::chrono::steady_clock::now();
    STUDENT(produce)
    (args.Bytes("name").c_str(), mem, msg.size(), static_cast<int>(args.Int("timeout", -1)));
    const auto took = std::chrono::steady_clock::now() - begin;
    Report("ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  }
  munmap(mem, room);
  return 0;
}

HELPER(Consumes) {
  const Displacement elsewhere;
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string buffer(cap, '?');
  const auto begin = std::chrono::steady_clock::now();
  const ssize_t got = STUDENT(consume)(args.Bytes("name").c_str(), buffer.data(), cap,
                                       static_cast<int>(args.Int("timeout", -1)));
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  Report("buffer", buffer);
  if (got >= 0) Report("got", buffer.substr(0, static_cast<std::size_t>(got)));
  return 0;
}

Helper StartProducer(Sandbox& box, const std::string& name, const std::string& msg,
                     int timeout = -1, int guard = 0) {
  return box.Start("Produces",
                   {{"name", name}, {"msg", Binary(msg)}, {"timeout", timeout}, {"guard", guard}});
}

Helper StartConsumer(Sandbox& box, const std::string& name, std::size_t cap, int timeout = -1) {
  return box.Start("Consumes", {{"name", name}, {"cap", cap}, {"timeout", timeout}});
}

void ExpectPassed(Sandbox& box, Helper& producer, Helper& consumer, const std::string& msg) {
  ASSERT_TRUE(Notices(box, consumer)) << "a producer has come";
  EXPECT_THAT(consumer.Wait(), Exited(0));
  EXPECT_THAT(consumer.call(), Returned(msg.size()));
  EXPECT_THAT(consumer.ReportedBytes("got"), SameBytesAs(msg));
  EXPECT_THAT(producer.Wait(), Exited(0));
  EXPECT_THAT(producer.call(), Returned(0)) << "the consumer has taken it";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "the message has been taken";
}

SandboxOptions WatchesWakers() {
  SandboxOptions options{.watch = kWakers};
  options.watch.push_back(Family::kOpen);
  return options;
}

TEST_F(Produce, ProducerSleepsUntilItsMessageIsTaken) {
  Sandbox box(WatchesWakers());
  const std::string name = RandomName();
  const std::string msg = "%s%n" + RandomBytes(static_cast<std::size_t>(RandomInt(1, 9000)));
  Helper producer = StartProducer(box, name, msg);
  ASSERT_TRUE(SleepsUntilWoken(box, producer)) << "nobody has come to take the message";
  EXPECT_THAT(Object(box, name), AllowsWhat(0600u));
  Helper consumer = StartConsumer(box, name, msg.size());
  ExpectPassed(box, producer, consumer, msg);

  Helper empty = StartProducer(box, name, "");
  ASSERT_TRUE(SleepsUntilWoken(box, empty)) << "nobody has come to take the message of 0 bytes";
  Helper taker = StartConsumer(box, name, 10);
  ExpectPassed(box, empty, taker, "");
}

// At once after the name has come into being, the object has no size and no message.
TEST_F(Produce, ConsumerWaitsForTheObjectAndForItsSize) {
  Sandbox box(WatchesLooks({Family::kOpen, Family::kSignalSend}));
  const std::string name = RandomName();
  const std::string msg = RandomBytes(static_cast<std::size_t>(RandomInt(1, 9000)));
  Helper consumer = StartConsumer(box, name, msg.size() + 5);
  ASSERT_TRUE(WaitsPatiently(box, consumer)) << "no producer has come";

  const auto by_producer = [](const Event& event) { return event.function == "produce"; };
  const int made =
      box.AddRule({.family = Family::kOpen, .where = by_producer, .hold = true, .after = true});
  Helper producer = StartProducer(box, name, msg);
  ASSERT_TRUE(SomebodyComesTo(box, made)) << "the producer opens something";
  ASSERT_TRUE(WaitsPatiently(box, consumer)) << "the producer has made the name and no more";
  box.Release(made);
  ExpectPassed(box, producer, consumer, msg);
}

// The producer stands at its first look at the message that it is given.
TEST_F(Produce, ConsumerSleepsUntilTheMessageIsWhole) {
  SandboxOptions options = WatchesWakers();
  options.watch.push_back(Family::kSignalSend);
  Sandbox box(options);
  const std::string name = RandomName();
  const std::string msg = RandomBytes(2 * kPage);
  const int copies = HoldAtAnyGate(box);
  Helper producer = StartProducer(box, name, msg, -1, 1);
  const testing::AssertionResult comes = ComesTo(box, producer, copies);
  // Who has the kernel copy it, with write(2), is not held there.
  if (!comes && producer.call().error == EFAULT) return;
  ASSERT_TRUE(comes) << "the producer copies the message";

  if (const std::optional<TreeEntry> object = Object(box, name); object && object->size > 0) {
    Helper consumer = StartConsumer(box, name, msg.size());
    ASSERT_TRUE(SleepsUntilWoken(box, consumer))
        << "the object has its size, and the message is just being copied into it";
    box.Release(copies);
    ExpectPassed(box, producer, consumer, msg);
  } else {
    box.Release(copies);
  }
}

TEST_F(Produce, GivesUpWhenNobodyComes) {
  Sandbox box(WatchesLooks({Family::kOpen}));
  const std::string name = RandomName();
  const int timeout = RandomInt(10, 30);
  Helper consumer = StartConsumer(box, name, 100, timeout);
  EXPECT_THAT(consumer.Wait(), Exited(0));
  EXPECT_THAT(consumer.call(), FailedWith(ETIMEDOUT)) << "no producer came";
  EXPECT_THAT(consumer.Reported("ms"), IsAtLeast(timeout)) << "milliseconds, the timeout";
  Helper producer = StartProducer(box, name, "hello", timeout);
  EXPECT_THAT(producer.Wait(), Exited(0));
  EXPECT_THAT(producer.call(), FailedWith(ETIMEDOUT)) << "no consumer came";
  EXPECT_THAT(producer.Reported("ms"), IsAtLeast(timeout)) << "milliseconds, the timeout";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "the producer has given up";

  // Not before its time, however slow the machine may be.
  Helper patient = StartConsumer(box, name, 100, 60'000);
  ASSERT_TRUE(WaitsPatiently(box, patient)) << "no producer came, and there is a minute";
  Helper late = StartProducer(box, name, "hello", 60'000);
  ExpectPassed(box, late, patient, "hello");
}

TEST_F(Produce, TouchesNothingOfADeadProducer) {
  SandboxOptions options = WatchesWakers();
  options.watch.push_back(Family::kSignalSend);
  Sandbox box(options);
  const std::string name = RandomName();
  const int copies = HoldAtAnyGate(box);
  Helper dead = StartProducer(box, name, RandomBytes(2 * kPage), -1, 1);
  const testing::AssertionResult comes = ComesTo(box, dead, copies);
  if (!comes && dead.call().error == EFAULT) return;
  ASSERT_TRUE(comes) << "the producer copies the message";
  dead.Signal(SIGKILL);
  ASSERT_TRUE(Ends(box, dead.pid()));
  const std::optional<TreeEntry> before = Object(box, name);
  if (!before) return;

  const int timeout = RandomInt(10, 30);
  Helper consumer = StartConsumer(box, name, 3 * kPage, timeout);
  EXPECT_THAT(consumer.Wait(), Exited(0));
  ASSERT_THAT(consumer.call(), FailedWith(ETIMEDOUT))
      << "the producer was killed before its message was there";
  EXPECT_THAT(consumer.Reported("ms"), IsAtLeast(timeout)) << "milliseconds, the timeout";
  EXPECT_THAT(consumer.ReportedBytes("buffer"), SameBytesAs(std::string(3 * kPage, '?')))
      << "buf, as it was before";
  EXPECT_THAT(Object(box, name), IsThere()) << "the consumer leaves all as it is";
  Helper next = StartProducer(box, name, "hello", 0);
  EXPECT_THAT(next.Wait(), Exited(0));
  EXPECT_THAT(next.call(), FailedWith(EEXIST)) << "the name of the dead producer is there";
  EXPECT_THAT(Object(box, name), HasBytes(before->size)) << "as the dead producer left it";
}

TEST_F(Produce, SaysWhenAMessageDoesNotFit) {
  Sandbox box(WatchesWakers());
  const std::string name = RandomName();
  const std::string msg = RandomBytes(static_cast<std::size_t>(RandomInt(2, 9000)));
  Helper producer = StartProducer(box, name, msg);
  ASSERT_TRUE(SleepsUntilWoken(box, producer)) << "nobody has come to take the message";
  Helper consumer = StartConsumer(box, name, msg.size() - 1);
  EXPECT_THAT(consumer.Wait(), Exited(0));
  EXPECT_THAT(consumer.call(), FailedWith(EMSGSIZE))
      << "the message has " << msg.size() << " bytes, and there is room for one less";
  EXPECT_THAT(consumer.ReportedBytes("buffer"), SameBytesAs(std::string(msg.size() - 1, '?')))
      << "buf, as it was before";
  EXPECT_THAT(producer.Wait(), Exited(0));
  EXPECT_THAT(producer.call(), Returned(0)) << "for the producer the message is taken";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
}

TEST_F(Produce, LeavesNothingBehind) {
  Sandbox box(WatchesWakers());
  const std::string name = RandomName();
  Helper producer = StartProducer(box, name, "hello");
  ASSERT_TRUE(SleepsUntilWoken(box, producer)) << "nobody has come to take the message";
  Helper consumer = StartConsumer(box, name, 10);
  EXPECT_THAT(consumer.Wait(), Exited(0));
  EXPECT_THAT(producer.Wait(), Exited(0));
  EXPECT_THAT(consumer.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(producer.Leftovers(), NothingLeftBehind());
  for (const char* helper : {"Produces", "Consumes"}) {
    Helper late =
        box.Start(helper, {{"name", name}, {"msg", Binary("x")}, {"cap", 5}, {"timeout", 0}});
    EXPECT_THAT(late.Wait(), Exited(0));
    EXPECT_THAT(late.Leftovers(), NothingLeftBehind()) << "after " << DescribeCall(late.call());
  }
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
