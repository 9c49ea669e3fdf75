// Exercise msgqueue.7: looking inside, filling and emptying, limits.

#include <climits>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/inside.h"

namespace ipclab {
namespace {

using msgqueue::Limits;
using msgqueue::q_drain;
using msgqueue::q_fill;
using msgqueue::q_limits;

EXERCISE(Inside);

// ---- Helpers ------------------------------------------------------------------------------------

HELPER(LooksInside) {
  const OwnQueue queue(IPC_PRIVATE, static_cast<int>(args.Int("mode")));
  SetCapacity(queue.id(), static_cast<unsigned long>(args.Int("max")));
  ReportInfo(queue.id(), "new");
  PutRaw(queue.id(), 3, "taken by another");
  Beside sender([&] {
    Report("sender", getpid());
    PutRaw(queue.id(), 5, std::string(static_cast<std::size_t>(args.Int("bytes")), 'x'));
    PutRaw(queue.id(), 6, "");
  });
  sender.Join();
  Beside receiver([&] {
    Report("receiver", getpid());
    TakeRaw(queue.id(), 3);
  });
  receiver.Join();
  ReportInfo(queue.id(), "used");
  Report("uid", geteuid());
  return 0;
}

HELPER(Fills) {
  const OwnQueue queue;
  SetCapacity(queue.id(), static_cast<unsigned long>(args.Int("max")));
  PutRaw(queue.id(), 9, std::string(static_cast<std::size_t>(args.Int("used")), 'x'));
  int sent = 99;
  STUDENT(q_fill)(queue.id(), static_cast<std::size_t>(args.Int("n")), &sent);
  Report("sent", sent);
  long type = 0;
  std::int64_t good = 0, others = 0;
  while (const auto message = TakeRaw(queue.id(), 0, &type)) {
    const bool zero = *message == std::string(static_cast<std::size_t>(args.Int("n")), '\0');
    (type == 1 && zero ? good : others) += 1;
  }
  Report("good", good);
  Report("others", others);
  return 0;
}

HELPER(FillsTooLong) {
  const OwnQueue queue;
  int sent = 0;
  STUDENT(q_fill)(queue.id(), 9000, &sent);
  Report("messages", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qnum));
  return 0;
}

HELPER(ReadsLimits) {
  for (const char* key : {"real", "other"}) {
    Limits limits{};
    STUDENT(q_limits)(&limits);
    Report(std::string(key) + "_msgmax", limits.msgmax);
    Report(std::string(key) + "_msgmnb", limits.msgmnb);
    Report(std::string(key) + "_msgmni", limits.msgmni);
  }
  msginfo limits{};
  Check(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)), "msgctl(IPC_INFO)");
  Report("msgmax", limits.msgmax);
  Report("msgmnb", limits.msgmnb);
  Report("msgmni", limits.msgmni);
  return 0;
}

HELPER(Drains) {
  const OwnQueue queue;
  PutRaw(queue.id(), LONG_MAX, std::string(8192, 'x'));
  PutRaw(queue.id(), 1, "");
  for (std::int64_t n = 0; n < args.Int("count"); ++n) PutRaw(queue.id(), 2 + n, "some");
  STUDENT(q_drain)(queue.id());
  Report("left", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qnum));
  STUDENT(q_drain)(queue.id());
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Inside, InfoSaysWhatIsInTheQueue) {
  Sandbox box;
  const std::int64_t mode = RandomMode(), max = RandomInt(2000, 9000), bytes = RandomInt(10, 900);

  Helper caller = box.Start("LooksInside", {{"mode", mode}, {"max", max}, {"bytes", bytes}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t uid = caller.Reported("uid");
  EXPECT_THAT(caller.call(0), Returned(0));
  ExpectFields(caller, "new",
               {{"messages", 0}, {"bytes", 0}, {"sender", 0}, {"receiver", 0}, {"max", max}},
               "a new queue");
  ExpectFields(caller, "used",
               {{"messages", 2},
                {"bytes", bytes},
                {"max", max},
                {"sender", caller.Reported("sender")},
                {"receiver", caller.Reported("receiver")},
                {"mode", mode},
                {"uid", uid},
                {"cuid", uid}},
               "three messages came from one process, one was taken by another");
}

TEST_F(Inside, FillsUntilFull) {
  struct Row {
    const char* what;
    std::int64_t max, used, n;
  };
  const Row rows[] = {{"some messages", RandomInt(500, 900), RandomInt(1, 60), RandomInt(20, 50)},
                      {"empty messages: there are never more messages than the limit has bytes",
                       RandomInt(200, 300), 1, 0},
                      {"a message longer than the queue's room", 300, 5, 296}};
  Sandbox box;
  for (const Row& row : rows) {
    Helper caller = box.Start("Fills", {{"max", row.max}, {"used", row.used}, {"n", row.n}});
    const std::int64_t fit = row.n == 0 ? row.max - 1 : (row.max - row.used) / row.n;
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    EXPECT_THAT(caller.call(), Returned(0)) << row.what;
    EXPECT_TRUE(caller.Reported("sent") == fit)
        << row.what << ": *sent is " << caller.Reported("sent") << ", and " << fit << " fit";
    EXPECT_TRUE(caller.Reported("good") == fit)
        << row.what << ": " << caller.Reported("good") << " messages of type 1 with " << row.n
        << " zero bytes are in the queue, and " << fit << " fit";
    EXPECT_TRUE(caller.Reported("others") == 1) << row.what << ": others came or went";
  }
  Helper caller = box.Start("FillsTooLong");
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(), FailedWith(EMSGSIZE)) << "9000 bytes";
  EXPECT_TRUE(caller.Reported("messages") == 0);
}

TEST_F(Inside, ReadsTheLimitsAsTheyAre) {
  Sandbox box({.watch = {Family::kMessages}});
  msginfo other{};
  other.msgmax = static_cast<int>(RandomInt(1000, 100'000));
  other.msgmnb = static_cast<int>(RandomInt(1000, 100'000));
  other.msgmni = static_cast<int>(RandomInt(1000, 100'000));

  Helper caller = box.Start("ReadsLimits");
  // The second call meets a system with other limits: we answer for the kernel.
  const auto asks = [&](const Event& event) {
    const bool info = IsCommand(event, IPC_INFO) || IsCommand(event, MSG_INFO);
    return info && box.observer().process(event.pid).calls.size() == 2 &&
           WriteArgument(event, other);
  };
  box.AddRule({.family = Family::kMessages, .nth = 0, .where = asks, .answer = 0});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(0));
  ExpectFields(caller, "real",
               {{"msgmax", caller.Reported("msgmax")},
                {"msgmnb", caller.Reported("msgmnb")},
                {"msgmni", caller.Reported("msgmni")}},
               "on this system");
  EXPECT_THAT(caller.call(1), Returned(0));
  ExpectFields(caller, "other",
               {{"msgmax", other.msgmax}, {"msgmnb", other.msgmnb}, {"msgmni", other.msgmni}},
               "on a system with other limits");
}

TEST_F(Inside, DrainsWhateverIsThere) {
  Sandbox box({.watch = {Family::kMessages}});
  const std::int64_t count = RandomInt(3, 40);

  Helper caller = box.Start("Drains", {{"count", count}});

  ASSERT_TRUE(EndsWithoutRepeating(box, caller, kManyRepeats));
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(count + 2))
      << "messages of many types, one empty, one of 8192 bytes";
  EXPECT_TRUE(caller.Reported("left") == 0)
      << Count(caller.Reported("left"), "message") << " still in the queue";
  EXPECT_THAT(caller.call(1), Returned(0)) << "an empty queue";
}

}  // namespace
}  // namespace ipclab
