// Exercise msgqueue.5, the clients.

#include <chrono>

#include "common/grading/exercise.h"
#include "graders/msgqueue/traffic.h"

namespace ipclab {
namespace {

using msgqueue::client_stop_server;
using msgqueue::kOpStop;
using msgqueue::Req;

EXERCISE(Client);

// ---- Helpers ------------------------------------------------------------------------------------

HELPER(CallsOnce) {
  const int qid = MeetingQueue(args);
  Report("pid", getpid());
  CallServer(qid, args.Bytes("text"), "reply", static_cast<int>(args.Int("timeout", kNoLimit)));
  return 0;
}

// A server by hand that answers its clients in the reverse order.
HELPER(AnswersTheLastOneFirst) {
  const int qid = MeetingQueue(args);
  Gate();
  const auto one = AwaitRaw(qid, kRequestType);
  const auto two = AwaitRaw(qid, kRequestType);
  ReportRaw("request1", one);
  ReportRaw("request2", two);
  for (const auto& bytes : {two, one}) {
    const auto req = ReadRequest(bytes.value_or(""));
    if (!req || req->client < 1) return 0;
    PutRaw(qid, long{req->client} + 1,
           ReplyBytes(req->serial, args.Bytes("greeting") + TextOf(*req)));
  }
  return 0;
}

HELPER(CallsAgain) {
  const int qid = MeetingQueue(args);
  CallServer(qid, "first", "reply1", 20);
  Gate();
  CallServer(qid, args.Bytes("text"), "reply2");
  Report("left", static_cast<std::int64_t>(StatusOf(qid).msg_qnum));
  return 0;
}

// Answers the first request late: when its call has ended, and once more during the second call.
HELPER(AnswersLate) {
  const int qid = MeetingQueue(args);
  const auto first = ReadRequest(AwaitRaw(qid, kRequestType).value_or(""));
  if (!first) return 0;
  Gate();
  const auto reply = [&](std::uint32_t serial, const std::string& text) {
    PutRaw(qid, long{first->client} + 1, ReplyBytes(serial, text));
  };
  reply(first->serial, "too late");
  Gate();
  const auto second = ReadRequest(AwaitRaw(qid, kRequestType).value_or(""));
  if (!second) return 0;
  reply(first->serial, "far too late");
  reply(second->serial, args.Bytes("answer"));
  return 0;
}

// Reports whether a call of `timeout_ms` that found no time to succeed gave up before it was over.
template <typename Function>
void ReportTooEarly(int timeout_ms, Function call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  const auto took = std::chrono::steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(timeout_ms) ? 1 : 0);
}

HELPER(CallsInVain) {
  const int qid = MeetingQueue(args);
  const bool full = args.Int("full") != 0;
  if (full) {
    // Room for a reply, but never for a request.
    SetCapacity(qid, sizeof(Req) + 40);
    PutRaw(qid, kForeignType, std::string(100, 'f'));
    PutRaw(qid, long{getpid()} + 1, ReplyBytes(1, "of a call before"));
  }
  ReportTooEarly(20, [&] { CallServer(qid, "in vain", "reply", 20); });
  Report("for_it", TakeRaw(qid, long{getpid()} + 1).has_value() ? 1 : 0);
  return 0;
}

HELPER(CallsWhatDoesNotFit) {
  const int qid = MeetingQueue(args);
  const auto count = [&] { return static_cast<std::int64_t>(StatusOf(qid).msg_qnum); };
  CallServer(qid, "stop", "stop", 0, 240, kOpStop);
  CallServer(qid, std::string(240, 't'), "text", 0);
  Report("sent", count());
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  {
    const pid_t client = getpid();
    Beside server([&] {
      for (int i = 0; i < 2; ++i) {
        const auto req = ReadRequest(AwaitRaw(qid, kRequestType).value_or(""));
        if (req) PutRaw(qid, long{client} + 1, ReplyBytes(req->serial, std::string(cap, 'r')));
      }
    });
    CallServer(qid, std::string(239, 't'), "too_long", kNoLimit, cap);
    CallServer(qid, "", "fits", kNoLimit, cap + 1);
  }
  Report("left", count());
  return 0;
}

HELPER(CallsARemovedQueue) {
  int qid = 0;
  {
    const OwnQueue queue;
    qid = queue.id();
  }
  CallServer(qid, "hello", "reply", static_cast<int>(args.Int("timeout")));
  STUDENT(client_stop_server)(qid);
  return 0;
}

// Waits for a reply, or, in a full queue, for room.
HELPER(CallsUntilTheQueueGoes) {
  const int qid = MeetingQueue(args);
  if (args.Int("full") != 0) {
    SetCapacity(qid, sizeof(Req));
    FillUp(qid);
  }
  if (args.Int("stop") != 0) {
    STUDENT(client_stop_server)(qid);
  } else {
    CallServer(qid, "hello", "reply", static_cast<int>(args.Int("timeout")));
  }
  return 0;
}

HELPER(RemovesOrEmpties) {
  const int qid = MeetingQueue(args);
  Gate();
  if (args.Int("remove") != 0) {
    msgctl(qid, IPC_RMID, nullptr);
    return 0;
  }
  TakeRaw(qid, kForeignType);
  ReportRaw("request", AwaitRaw(qid, kRequestType));
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

MATCHER_P2(IsRequestOf, pid, text,
           "a request of type 1 with the caller's process id, op and text") {
  const auto req = ReadRequest(arg);
  if (!req) {
    *result_listener << "a message of " << arg.size() << " bytes, and a Req has " << sizeof(Req);
    return false;
  }
  if (req->client != pid) *result_listener << "client is " << req->client;
  if (req->op != 5) *result_listener << "op is " << req->op << " instead of 5";
  if (TextOf(*req) != text) *result_listener << "another text";
  return req->client == pid && req->op == 5 && TextOf(*req) == text;
}

TEST_F(Client, GetsItsOwnReply) {
  Sandbox box({.watch = {Family::kMessages, Family::kSignalSend}});
  const std::int64_t key = RandomKey();
  const std::string greeting = RandomWord(9);
  const std::string text1 = RandomWord(10), text2 = RandomWord(225);

  // Both requests lie in the queue, as replies will, before anybody takes one.
  Helper server = box.Start("AnswersTheLastOneFirst", {{"key", key}, {"greeting", greeting}});
  const int gate = HoldAtGateOf(box, server);
  Helper one = box.Start("CallsOnce", {{"key", key}, {"text", text1}});
  Helper two = box.Start("CallsOnce", {{"key", key}, {"text", text2}, {"timeout", kPlenty}});
  for (Helper* const client : {&one, &two}) {
    ASSERT_TRUE(client->WaitUntilBlockedIn(kAnyWait)) << "for its reply. " << box.failure();
  }
  box.Release(gate);

  ASSERT_TRUE(EndsWithoutRepeating(box, two, 500))
      << "it waits for a reply that it does not know, or that nobody sends";
  EXPECT_THAT(OutcomeOf(one), ComesToItsEnd());
  EXPECT_THAT(OutcomeOf(two), ComesToItsEnd());
  EXPECT_THAT(one.call(), Returned(0));
  EXPECT_THAT(two.call(), Returned(0));
  EXPECT_THAT(one.ReportedBytes("reply"), IsText(greeting + text1));
  EXPECT_THAT(two.ReportedBytes("reply"), IsText(greeting + text2));
  const auto first = ReadRequest(server.ReportedBytes("request1"));
  const bool in_order = first && TextOf(*first) == text1;
  EXPECT_THAT(server.ReportedBytes(in_order ? "request1" : "request2"),
              IsRequestOf(one.Reported("pid"), text1));
  EXPECT_THAT(server.ReportedBytes(in_order ? "request2" : "request1"),
              IsRequestOf(two.Reported("pid"), text2));
  EXPECT_THAT(LeftBehind(box, one.call()), NothingLeftBehind());
  EXPECT_THAT(LeftBehind(box, two.call()), NothingLeftBehind());
}

TEST_F(Client, ThrowsAwayLateReplies) {
  Sandbox box(kWithGates);
  const std::int64_t key = RandomKey();
  const std::string text = RandomWord(10), answer = RandomWord(12);

  Helper server = box.Start("AnswersLate", {{"key", key}, {"answer", answer}});
  Helper client = box.Start("CallsAgain", {{"key", key}, {"text", text}});
  const int between_calls = HoldAtGateOf(box, client);
  const int late = HoldAtGateOf(box, server);
  const int sent = HoldAtGateOf(box, server);
  ASSERT_TRUE(IsReached(box, between_calls)) << "the first call, which nobody answers, never ended";
  ASSERT_TRUE(IsReached(box, late)) << "no request has come";
  box.Release(late);
  ASSERT_TRUE(IsReached(box, sent));
  box.Release(between_calls);
  box.Release(sent);

  EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
  EXPECT_THAT(client.call(0), FailedWith(ETIMEDOUT)) << "nobody has answered in time";
  EXPECT_THAT(client.call(1), Returned(0));
  EXPECT_THAT(client.ReportedBytes("reply2"), IsText(answer))
      << "replies to the first call came before the second one and during it";
  EXPECT_TRUE(client.Reported("left") == 0) << "late replies are still in the queue";
}

TEST_F(Client, LeavesNothingForItWhenItTimesOut) {
  Sandbox box;
  // Their times run side by side.
  Helper clients[] = {box.Start("CallsInVain", {{"key", RandomKey()}, {"full", 0}}),
                      box.Start("CallsInVain", {{"key", RandomKey()}, {"full", 1}})};
  for (Helper& client : clients) {
    const char* const when =
        &client == clients ? "nobody answers" : "the queue has no room for the request";
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd()) << when;
    EXPECT_THAT(client.call(), FailedWith(ETIMEDOUT)) << when;
    EXPECT_TRUE(client.Reported("too_early") == 0) << "it gave up before its time was over";
    EXPECT_TRUE(client.Reported("for_it") == 0)
        << when << "; a late reply to an earlier call is still in the queue";
    EXPECT_THAT(LeftBehind(box, client.call()), NothingLeftBehind()) << when;
  }
}

TEST_F(Client, RefusesWhatDoesNotFit) {
  Sandbox box;

  Helper client =
      box.Start("CallsWhatDoesNotFit", {{"key", RandomKey()}, {"cap", RandomInt(20, 100)}});

  EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
  EXPECT_THAT(client.call(0), FailedWith(EINVAL)) << "op is kOpStop";
  EXPECT_THAT(client.call(1), FailedWith(EMSGSIZE)) << "240 letters, and no room for their NUL";
  EXPECT_TRUE(client.Reported("sent") == 0) << "something was sent all the same";
  EXPECT_THAT(client.call(2), FailedWith(EMSGSIZE)) << "a reply that is a byte too long";
  EXPECT_THAT(client.ReportedBytes("too_long_behind"), IsText(std::string(kBehind, '#')))
      << "bytes behind the `cap` bytes of the buffer were written";
  EXPECT_THAT(client.call(3), Returned(0)) << "a reply that just fits, after one that did not";
  EXPECT_TRUE(client.Reported("left") == 0) << "replies are still in the queue";
}

TEST_F(Client, NoticesThatTheQueueIsRemoved) {
  struct Row {
    const char* what;
    nlohmann::json args;
  };
  const Row rows[] = {
      {"while it waited for the reply", {{"full", 0}, {"stop", 0}, {"timeout", kNoLimit}}},
      {"while it waited for the reply, with a limit",
       {{"full", 0}, {"stop", 0}, {"timeout", kPlenty}}},
      {"while it waited for room", {{"full", 1}, {"stop", 0}, {"timeout", kNoLimit}}},
      {"while it waited for room to stop the server", {{"full", 1}, {"stop", 1}}}};
  Sandbox box({.watch = {Family::kMessages, Family::kSignalSend}});
  for (const Row& row : rows) {
    nlohmann::json args = row.args;
    args["key"] = RandomKey();
    args["remove"] = 1;
    Helper other = box.Start("RemovesOrEmpties", args);
    const int gate = HoldAtGateOf(box, other);
    ASSERT_TRUE(IsReached(box, gate));
    Helper client = box.Start("CallsUntilTheQueueGoes", args);
    ASSERT_TRUE(client.WaitUntilBlockedIn(kAnyWait)) << box.failure();
    box.Release(gate);
    ASSERT_TRUE(Ends(box, other.pid()));
    ASSERT_TRUE(EndsWithoutRepeating(box, client, kManyRepeats))
        << "the queue was removed " << row.what;
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd()) << "the queue was removed " << row.what;
    EXPECT_THAT(client.call(), FailedWith(EIDRM)) << "the queue was removed " << row.what;
  }
  for (const int timeout : {kNoLimit, kPlenty}) {
    Helper late = box.Start("CallsARemovedQueue", {{"timeout", timeout}});
    ASSERT_TRUE(EndsWithoutRepeating(box, late, kManyRepeats)) << "the queue was removed before";
    EXPECT_THAT(OutcomeOf(late), ComesToItsEnd());
    EXPECT_THAT(late.call(0), FailedWith(EIDRM)) << "the queue was removed before";
    EXPECT_THAT(late.call(1), FailedWith(EIDRM)) << "the queue was removed before";
  }
}

TEST_F(Client, StopsTheServerWhenThereIsRoom) {
  Sandbox box(kWithGates);
  const nlohmann::json args = {{"key", RandomKey()}, {"full", 1}, {"stop", 1}, {"remove", 0}};

  Helper other = box.Start("RemovesOrEmpties", args);
  const int gate = HoldAtGateOf(box, other);
  ASSERT_TRUE(IsReached(box, gate));
  Helper client = box.Start("CallsUntilTheQueueGoes", args);
  ASSERT_TRUE(client.WaitUntilBlockedIn(kAnyWait)) << "the queue is full. " << box.failure();
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
  EXPECT_THAT(client.call(), Returned(0));
  EXPECT_THAT(OutcomeOf(other), ComesToItsEnd());
  const auto req = ReadRequest(other.ReportedBytes("request"));
  ASSERT_TRUE(req) << "what came is no Req";
  EXPECT_TRUE(req->op == kOpStop && req->client >= 1) << "what came is no request kOpStop";
}

}  // namespace
}  // namespace ipclab
