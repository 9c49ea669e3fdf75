// Exercise msgqueue.6: what ends a wait.

#include <linux/futex.h>

#include <chrono>
#include <memory>

#include "graders/msgqueue/until.h"

namespace ipclab {
namespace {

EXERCISE(Until);

// ---- Helpers ------------------------------------------------------------------------------------

// A sender that has to wait, or a receiver. It blocks SIGUSR1 and may be stopped by it; SIGUSR2 has
// a handler.
HELPER(GoesInto) {
  const int qid = MeetingQueue(args);
  const auto timeout = static_cast<int>(args.Int("timeout", kLong));
  const Blocking blocking(SIGUSR1);
  const Handling stopping(SIGUSR1), other(SIGUSR2);
  if (args.Int("send", 0) != 0) {
    SetCapacity(qid, 200);
    FillUp(qid);
    SendUntil(qid, 7, args.Bytes("text"), timeout);
  } else {
    ReceiveUntil(qid, 7, timeout, args.Int("stop", 0) != 0 ? SIGUSR1 : 0);
  }
  Report("pending", IsPending(SIGUSR1) ? 1 : 0);
  Report("handled", handled);
  if (IsPending(SIGUSR1)) {
    const sigset_t set = SetOf(SIGUSR1);
    sigwaitinfo(&set, nullptr);
  }
  return 0;
}

// What others do to the queue, when the check lets them.
HELPER(Meddles) {
  const int qid = MeetingQueue(args);
  Gate();
  if (args.Int("remove", 0) != 0) {
    msgctl(qid, IPC_RMID, nullptr);
  } else if (args.Int("drain", 0) != 0) {
    TakeRaw(qid, kForeignType);
    ReportRaw("came", AwaitRaw(qid, 7));
  } else {
    PutRaw(qid, 8, "of another type");
    PutRaw(qid, 7, args.Bytes("text"));
  }
  return 0;
}

HELPER(ReceivesWhatIsThere) {
  const OwnQueue queue;
  const Blocking blocking(SIGUSR1);
  const Handling stopping(SIGUSR1);
  raise(SIGUSR1);
  PutRaw(queue.id(), 9, "nine");
  PutRaw(queue.id(), 7, args.Bytes("text"));
  PutRaw(queue.id(), 3, "");
  ReceiveUntil(queue.id(), 7, 0, 0, "no_time");
  ReceiveUntil(queue.id(), -5, kNoLimit, SIGUSR1, "pending");
  ReceiveUntil(queue.id(), 0, kLong, SIGUSR1, "any");
  Report("still_pending", IsPending(SIGUSR1) ? 1 : 0);
  Report("handled", handled);
  SendUntil(queue.id(), 4, "four", 0, "sent");
  ReportRaw("came", TakeRaw(queue.id(), 4));
  const sigset_t set = SetOf(SIGUSR1);
  if (IsPending(SIGUSR1)) sigwaitinfo(&set, nullptr);
  return 0;
}

HELPER(HasTwentyMilliseconds) {
  const OwnQueue queue;
  const auto start = std::chrono::steady_clock::now();
  if (args.Int("send") != 0) {
    SetCapacity(queue.id(), 10);
    FillUp(queue.id());
    SendUntil(queue.id(), 7, "seven", 20);
  } else {
    ReceiveUntil(queue.id(), 7, 20, 0);
  }
  const auto took = std::chrono::steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(20) ? 1 : 0);
  return 0;
}

HELPER(UsesARemovedQueue) {
  int qid = 0;
  {
    const OwnQueue queue;
    qid = queue.id();
  }
  for (const int timeout : {0, kNoLimit, kLong}) {
    const std::string key = std::to_string(timeout);
    ReceiveUntil(qid, 0, timeout, SIGUSR1, "receive" + key);
    SendUntil(qid, 1, "x", timeout, "send" + key);
  }
  return 0;
}

HELPER(MakesOtherErrors) {
  const OwnQueue queue;
  const OwnQueue forbidden(IPC_PRIVATE, 0);
  PutRaw(queue.id(), 7, std::string(100, 'x'));
  ReceiveUntil(queue.id(), 7, kLong, 0, "long", 99);
  Report("left", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qnum));
  SendUntil(queue.id(), 0, "x", kLong, "type");
  SendUntil(queue.id(), 7, std::string(9000, 'x'), kLong, "size");
  ReceiveUntil(forbidden.id(), 7, kLong, 0, "read");
  SendUntil(forbidden.id(), 7, "x", kLong, "write");
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Until, ReceivesAndSendsAtOnceWhatItCan) {
  Sandbox box;
  const std::string text = RandomBytes(30);

  Helper caller = box.Start("ReceivesWhatIsThere", {{"text", Binary(text)}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(text.size())) << "a timeout of 0, and a message was there";
  EXPECT_THAT(WhyOf(caller, "no_time"), Says(End::kMessage));
  EXPECT_THAT(caller.ReportedBytes("no_time"), SameBytesAs(text));
  EXPECT_THAT(caller.call(1), Returned(0)) << "want is -5, an empty message of type 3 was there, "
                                              "and a signal of `stop_on` was pending";
  EXPECT_THAT(caller.call(2), Returned(4)) << "want is 0, and a message of type 9 was there";
  EXPECT_THAT(caller.ReportedBytes("any"), IsText("nine"));
  EXPECT_TRUE(caller.Reported("still_pending") == 1 && caller.Reported("handled") == 0)
      << "the pending signal has gone, though no call ended because of it";
  EXPECT_THAT(caller.call(3), Returned(0)) << "a timeout of 0, and there was room";
  EXPECT_THAT(WhyOf(caller, "sent"), Says(End::kMessage));
  EXPECT_THAT(caller.ReportedBytes("came"), IsText("four"));
}

TEST_F(Until, WaitsForAMessage) {
  Sandbox box(kWithLooks);
  for (const int timeout : {kNoLimit, kLong}) {
    Meeting meeting(box, {{"timeout", timeout}, {"stop", timeout == kLong ? 1 : 0}});
    if (!meeting.CallerWaits()) return;
    meeting.LetOtherGo();

    ASSERT_TRUE(EndsSoon(box, meeting.caller(), kManyLooks));
    EXPECT_THAT(OutcomeOf(meeting.caller()), ComesToItsEnd());
    EXPECT_THAT(meeting.caller().call(), Returned(meeting.text().size()));
    EXPECT_THAT(meeting.caller().ReportedBytes("got"), IsText(meeting.text()));
    EXPECT_THAT(WhyOf(meeting.caller()), Says(End::kMessage));
  }
}

TEST_F(Until, SendsWhenThereIsRoom) {
  Sandbox box(kWithLooks);
  for (const int timeout : {kNoLimit, kLong}) {
    Meeting meeting(box, {{"send", 1}, {"drain", 1}, {"timeout", timeout}});
    if (!meeting.CallerWaits()) return;
    meeting.LetOtherGo();

    ASSERT_TRUE(EndsSoon(box, meeting.caller(), kManyLooks));
    EXPECT_THAT(OutcomeOf(meeting.caller()), ComesToItsEnd());
    EXPECT_THAT(meeting.caller().call(), Returned(0));
    EXPECT_THAT(WhyOf(meeting.caller()), Says(End::kMessage));
    EXPECT_THAT(OutcomeOf(meeting.other()), ComesToItsEnd());
    EXPECT_THAT(meeting.other().ReportedBytes("came"), IsText(meeting.text()));
  }
}

// Signals break off the sleeps of the helper in the student's functions, all but every 16th. Says
// how many.
std::shared_ptr<int> BreakOffSleeps(Sandbox& box, const Helper& helper, int most) {
  const auto sleeps = std::make_shared<int>(0);
  const auto broken = std::make_shared<int>(0);
  const auto is_no_sleep = [](const Event& event) {
    const auto operation = event.args[1] & FUTEX_CMD_MASK;
    return event.number == SYS_futex && operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET;
  };
  const auto breaks = [=, pid = helper.pid()](const Event& event) {
    if (event.pid != pid || event.function.empty() || is_no_sleep(event)) return false;
    if (++*sleeps % 16 == 0 || *broken == most) return false;
    ++*broken;
    return true;
  };
  for (const Family family : {Family::kSleep, Family::kPoll, Family::kSignalWait, Family::kFutex}) {
    box.AddRule({.family = family, .nth = 0, .where = breaks, .answer = -EINTR});
  }
  return broken;
}

TEST_F(Until, EndsWhenItsTimeIsOver) {
  // Who sleeps for 1 ms at least sleeps no more than 20 times, and is broken off 300 times then.
  constexpr int kMost = 400;
  Sandbox box(kWithLooks);
  for (const int send : {0, 1}) {
    const char* const what = send != 0 ? "the queue was full" : "no message came";
    Helper caller = box.Start("HasTwentyMilliseconds", {{"send", send}});
    const auto broken = BreakOffSleeps(box, caller, kMost);
    ASSERT_TRUE(EndsSoon(box, caller, kManyLooks)) << what;
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << what;
    EXPECT_THAT(caller.call(), FailedWith(ETIMEDOUT)) << what;
    EXPECT_THAT(WhyOf(caller), Says(End::kTimeout)) << what;
    EXPECT_TRUE(caller.Reported("too_early") == 0)
        << "it gave up before its 20 ms were over, after " << *broken
        << " sleeps that a signal had broken off";
    EXPECT_TRUE(*broken < kMost) << "its 20 ms begin anew with each signal that comes";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << what;
  }
}

TEST_F(Until, NoticesRemoval) {
  Sandbox box(kWithLooks);
  const nlohmann::json rows[] = {{{"send", 0}, {"timeout", kNoLimit}},
                                 {{"send", 0}, {"timeout", kLong}, {"stop", 1}},
                                 {{"send", 1}, {"timeout", kNoLimit}},
                                 {{"send", 1}, {"timeout", kLong}}};
  for (nlohmann::json row : rows) {
    row["remove"] = 1;
    Meeting meeting(box, row);
    if (!meeting.CallerWaits()) return;
    meeting.LetOtherGo();
    const char* const what = row["send"] == 1 ? "removed while a sender waited for room"
                                              : "removed while a receiver waited";
    ASSERT_TRUE(EndsSoon(box, meeting.caller(), kManyLooks)) << what;
    EXPECT_THAT(OutcomeOf(meeting.caller()), ComesToItsEnd()) << what;
    EXPECT_THAT(meeting.caller().call(), FailedWith(EIDRM)) << what;
    EXPECT_THAT(WhyOf(meeting.caller()), Says(End::kRemoved)) << what;
  }
  Helper caller = box.Start("UsesARemovedQueue");
  ASSERT_TRUE(EndsSoon(box, caller, kManyLooks)) << "removed before the call";
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  std::size_t nth = 0;
  for (const int timeout : {0, kNoLimit, kLong}) {
    for (const char* what : {"receive", "send"}) {
      const std::string key = what + std::to_string(timeout);
      EXPECT_THAT(caller.call(nth++), FailedWith(EIDRM)) << "removed before the call: " << what;
      EXPECT_THAT(WhyOf(caller, key), Says(End::kRemoved)) << "removed before the call: " << what;
    }
  }
}

TEST_F(Until, PassesOnOtherErrors) {
  Sandbox box(kWithLooks);

  Helper caller = box.Start("MakesOtherErrors");

  ASSERT_TRUE(EndsSoon(box, caller, kManyLooks));
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(E2BIG)) << "100 bytes into 99";
  EXPECT_TRUE(caller.Reported("left") == 1) << "the message that did not fit is lost";
  EXPECT_THAT(caller.ReportedBytes("long_behind"), IsText(std::string(16, '#')))
      << "bytes behind the `cap` bytes of the buffer were written";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "type 0";
  EXPECT_THAT(caller.call(2), FailedWith(EMSGSIZE)) << "9000 bytes";
  EXPECT_THAT(caller.call(3), FailedWith(EACCES)) << "a queue that one may not read";
  EXPECT_THAT(caller.call(4), FailedWith(EACCES)) << "a queue that one may not write";
  for (const std::string key : {"long", "type", "size", "read", "write"}) {
    EXPECT_THAT(WhyOf(caller, key), SaysNothing()) << key;
  }
}

}  // namespace
}  // namespace ipclab
