// Exercise msgqueue.5, the server.

#include <chrono>

#include "common/grading/exercise.h"
#include "graders/msgqueue/traffic.h"

namespace ipclab {
namespace {

using msgqueue::kOpStop;
using msgqueue::Req;
using msgqueue::server_run;

EXERCISE(Server);

// ---- Helpers ------------------------------------------------------------------------------------

// Answers a text with a greeting in front, and notes what it was asked.
struct Desk {
  std::string greeting;
  std::string asked;

  static int Handle(const Req* req, char* reply, std::size_t cap, void* arg) {
    Gate();
    Desk& desk = *static_cast<Desk*>(arg);
    const std::string text = TextOf(*req);
    desk.asked += text + '/' + std::to_string(req->op) + ' ';
    if (req->op == kOpSilent) return 1;
    const std::string answer = desk.greeting + text;
    reply[answer.copy(reply, cap - 1)] = '\0';
    return 0;
  }
};

HELPER(Serves) {
  const int qid = MeetingQueue(args);
  Desk desk{args.Bytes("greeting"), ""};
  STUDENT(server_run)(qid, &Desk::Handle, &desk, static_cast<int>(args.Int("most", 0)));
  Report("asked", desk.asked);
  return 0;
}

// A client by hand.
class Asker {
 public:
  Asker(const Args& args, int qid)
      : qid_(qid), serial_(static_cast<std::uint32_t>(args.Int("serial"))) {}

  void Ask(const std::string& text, std::uint32_t op = 5) {
    PutRaw(qid_, kRequestType, RequestBytes(getpid(), serial_++, op, text));
  }
  // False if the queue goes away.
  bool Fetch(const std::string& key) const {
    const auto reply = AwaitRaw(qid_, long{getpid()} + 1);
    ReportRaw(key, reply);
    return reply.has_value();
  }

 private:
  const int qid_;
  std::uint32_t serial_;
};

HELPER(AsksThreeTimes) {
  const int qid = MeetingQueue(args);
  Asker asker(args, qid);
  asker.Ask(args.Bytes("one"), 4);
  asker.Ask(args.Bytes("two"), kOpSilent);
  asker.Ask(args.Bytes("three"), 6);
  if (asker.Fetch("reply1") && asker.Fetch("reply3")) StopServerRaw(qid);
  return 0;
}

// In front of a good request, what looks like one and is none.
HELPER(PutsJunk) {
  const int qid = MeetingQueue(args);
  const std::string good = RequestBytes(getpid(), 1, 5, "junk");
  PutRaw(qid, kRequestType, "");
  PutRaw(qid, kRequestType, good.substr(0, good.size() - 1));
  PutRaw(qid, kRequestType, good + '\0');
  PutRaw(qid, kRequestType, good + std::string(3000, 'j'));
  PutRaw(qid, kRequestType, good.substr(0, 12) + std::string(good.size() - 12, 'j'));
  PutRaw(qid, kRequestType, RequestBytes(0, 1, kOpStop, "junk"));
  PutRaw(qid, kRequestType, RequestBytes(-1, 1, 5, "junk"));
  Asker asker(args, qid);
  asker.Ask(args.Bytes("text"));
  if (asker.Fetch("reply")) StopServerRaw(qid);
  return 0;
}

// The queue has room for two requests; a third client waits for room.
HELPER(FillsTheQueueWithRequests) {
  const int qid = MeetingQueue(args);
  SetCapacity(qid, 2 * sizeof(Req));
  Asker asker(args, qid);
  asker.Ask(args.Bytes("one"));
  asker.Ask(args.Bytes("two"));
  {
    Beside third([&] {
      SendRaw(qid, kRequestType, RequestBytes(getpid(), 3, 5, "third"));
      ReportRaw("reply3", AwaitRaw(qid, long{getpid()} + 1));
    });
    if (!asker.Fetch("reply1") || !asker.Fetch("reply2")) return 0;
  }
  StopServerRaw(qid);
  return 0;
}

// While the first request is being handled, others fill the queue.
HELPER(LeavesNoRoomForTheReply) {
  const int qid = MeetingQueue(args);
  SetCapacity(qid, sizeof(Req));
  Asker asker(args, qid);
  asker.Ask(args.Bytes("text"));
  Gate();
  FillUp(qid);
  Gate();
  TakeRaw(qid, kForeignType);
  if (asker.Fetch("reply")) StopServerRaw(qid);
  return 0;
}

// A client that dies while its request is being handled, or (`kept`) while its reply waits for
// room.
HELPER(HasAClientThatDies) {
  const int qid = MeetingQueue(args);
  SetCapacity(qid, 2 * sizeof(Req));
  const bool kept = args.Int("kept") != 0;
  Mortal client(
      [&] { SendRaw(qid, kRequestType, RequestBytes(getpid(), 1, 5, "of one that dies")); });
  Gate();
  if (kept) FillUp(qid);
  Gate();
  client.Kill();
  Gate();
  TakeRaw(qid, kForeignType);
  Asker asker(args, qid);
  asker.Ask(args.Bytes("text"));
  if (!asker.Fetch("reply")) return 0;
  Report("left", static_cast<std::int64_t>(StatusOf(qid).msg_qnum));
  StopServerRaw(qid);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

// Serves the box until nobody moves, as one who keeps a reply may for a moment, if not for good.
testing::AssertionResult SleepsWithAReplyInHand(Sandbox& box) {
  constexpr std::size_t kMost = 2000;
  const std::size_t before = box.events().size();
  const auto calls = [&] { return box.events().size() - before; };
  const auto result = Comes(box, [&] { return AtRest(box) || calls() > kMost; });
  if (!result || calls() <= kMost) return result;
  return testing::AssertionFailure() << "it tried again " << kMost << " times without a sleep";
}

TEST_F(Server, AnswersInTheOrderOfArrival) {
  Sandbox box;
  const Scene scene;
  const std::string one = RandomWord(12), two = RandomWord(3), three = RandomWord(230);

  Helper server = scene.Server(box);
  Helper client = box.Start(
      "AsksThreeTimes",
      {{"key", scene.key}, {"serial", scene.serial}, {"one", one}, {"two", two}, {"three", three}});

  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd());
  EXPECT_THAT(server.call(), Returned(3)) << "three requests, and one to stop";
  EXPECT_THAT(server.ReportedBytes("asked"), IsText(one + "/4 " + two + "/77 " + three + "/6 "))
      << "what the handler was asked, in this order: text, op";
  EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
  EXPECT_THAT(client.ReportedBytes("reply1"), IsReply(scene.serial, scene.greeting + one));
  EXPECT_THAT(client.ReportedBytes("reply3"), IsReply(scene.serial + 2, scene.greeting + three))
      << "the second one had no answer; this one is as long as can be";
  EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind());
}

TEST_F(Server, ThrowsAwayWhatIsNoRequest) {
  Sandbox box({.watch = {Family::kMessages}});
  const Scene scene;

  Helper client = box.Start("PutsJunk", scene.Args());
  Helper server = scene.Server(box);

  ASSERT_TRUE(EndsWithoutRepeating(box, server, kManyRepeats));
  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd());
  EXPECT_THAT(server.call(), Returned(1))
      << "there is one request; the other messages of type 1 are too short, too long, have a text "
         "without NUL or a client below 1";
  EXPECT_THAT(server.ReportedBytes("asked"), IsText(scene.text + "/5 "));
  EXPECT_THAT(client.ReportedBytes("reply"), IsReply(scene.serial, scene.greeting + scene.text));
}

TEST_F(Server, NeverJustWaitsForRoom) {
  Sandbox box(kWithGates);
  const Scene scene;
  const std::string one = RandomWord(100), two = RandomWord(90);

  Helper clients =
      box.Start("FillsTheQueueWithRequests",
                {{"key", scene.key}, {"serial", scene.serial}, {"one", one}, {"two", two}});
  Helper server = scene.Server(box);
  const int first = HoldInHandler(box, server);
  ASSERT_TRUE(IsReached(box, first)) << "the server never handed on the first request";
  // Meanwhile the third client takes the room that this request has left.
  EXPECT_TRUE(ComesToRest(box));
  box.Release(first);

  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << "with a queue full of requests";
  EXPECT_THAT(server.call(), Returned(3));
  EXPECT_THAT(OutcomeOf(clients), ComesToItsEnd());
  EXPECT_THAT(clients.ReportedBytes("reply1"), IsReply(scene.serial, scene.greeting + one));
  EXPECT_THAT(clients.ReportedBytes("reply2"), IsReply(scene.serial + 1, scene.greeting + two));
  EXPECT_THAT(clients.ReportedBytes("reply3"), IsReply(3u, scene.greeting + "third"));
}

TEST_F(Server, SendsAKeptReplyWhenThereIsRoom) {
  Sandbox box(kWithGates);
  const Scene scene;

  Helper client = box.Start("LeavesNoRoomForTheReply", scene.Args());
  Helper server = scene.Server(box);
  const int handling = HoldInHandler(box, server);
  const int filling = HoldAtGateOf(box, client);
  const int draining = HoldAtGateOf(box, client);
  ASSERT_TRUE(IsReached(box, handling)) << "the server never handed on the request";
  ASSERT_TRUE(IsReached(box, filling));
  box.Release(filling);
  ASSERT_TRUE(IsReached(box, draining));
  box.Release(handling);
  ASSERT_TRUE(SleepsWithAReplyInHand(box)) << "while there is no room for the reply";
  box.Release(draining);

  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd())
      << "there was no room for the reply at first; then there was, and no request came";
  EXPECT_THAT(client.ReportedBytes("reply"), IsReply(scene.serial, scene.greeting + scene.text));
  EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind());
}

// Serves the box until the server has looked again whether there is room for a kept reply. It may
// have asked just before its client died, and would send the reply to nobody then.
testing::AssertionResult LooksAgain(Sandbox& box, const Helper& server) {
  constexpr auto kSurely = std::chrono::milliseconds(150);  // It may look without such a call.
  std::size_t next = box.events().size();
  const auto start = Clock::now();
  return Comes(box, [&] {
    for (; next < box.events().size(); ++next) {
      const Event& event = box.events()[next];
      if (event.pid == server.pid() && event.FailedWith(ESRCH)) return true;
    }
    return RestsForGood(box) || Clock::now() - start > kSurely;
  });
}

TEST_F(Server, DropsRepliesForTheDead) {
  Sandbox box(kWithGates);
  for (const bool kept : {false, true}) {
    const char* const when = kept ? "a client died while its reply waited for room"
                                  : "a client died while its request was being handled";
    const Scene scene;
    nlohmann::json args = scene.Args();
    args["kept"] = kept ? 1 : 0;

    Helper clients = box.Start("HasAClientThatDies", args);
    Helper server = scene.Server(box);
    const int handling = HoldInHandler(box, server);
    const int filling = HoldAtGateOf(box, clients);
    const int dying = HoldAtGateOf(box, clients);
    const int asking = HoldAtGateOf(box, clients);
    ASSERT_TRUE(IsReached(box, handling)) << "the server never handed on the request";
    ASSERT_TRUE(IsReached(box, filling));
    box.Release(filling);
    ASSERT_TRUE(IsReached(box, dying));
    if (kept) {
      box.Release(handling);
      ASSERT_TRUE(SleepsWithAReplyInHand(box));
    }
    box.Release(dying);
    ASSERT_TRUE(IsReached(box, asking));
    if (kept) {
      ASSERT_TRUE(LooksAgain(box, server));
    }
    box.Release(handling);
    box.Release(asking);

    EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << when;
    EXPECT_THAT(server.call(), Returned(2)) << when;
    EXPECT_THAT(OutcomeOf(clients), ComesToItsEnd()) << when;
    EXPECT_TRUE(clients.Reported("left") == 0)
        << when << ", and " << clients.Reported("left")
        << " message is in the queue that nobody will ever fetch";
  }
}

}  // namespace
}  // namespace ipclab
