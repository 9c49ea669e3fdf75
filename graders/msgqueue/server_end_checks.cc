// Exercise msgqueue.5: what ends the server, and what does not wake it. "Serves" is in
// server_checks.cc.

#include <chrono>
#include <csignal>

#include "common/grading/exercise.h"
#include "common/observe/blocked.h"
#include "graders/msgqueue/traffic.h"

namespace ipclab {
namespace {

EXERCISE(ServerEnd);

// ---- Helpers ------------------------------------------------------------------------------------

HELPER(AsksAndIsGone) {
  const int qid = MeetingQueue(args);
  const auto count = args.Int("count", 1);
  for (int i = 0; i < count; ++i) {
    PutRaw(qid, kRequestType, RequestBytes(getpid(), 1, kOpSilent, "first"));
  }
  if (args.Int("stop", 0) != 0) StopServerRaw(qid);
  if (args.Int("more", 0) != 0) {
    PutRaw(qid, kRequestType, RequestBytes(getpid(), 2, 5, "behind the end"));
  }
  return 0;
}

HELPER(RemovesTheMeetingQueue) {
  const int qid = MeetingQueue(args);
  Gate();
  msgctl(qid, IPC_RMID, nullptr);
  return 0;
}

HELPER(WaitsAtItsGate) {
  const int qid = MeetingQueue(args);
  Gate();
  StopServerRaw(qid);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

// In a call that nothing but a message or a signal ends, and no thread beside it.
bool SoundAsleep(const Helper& helper) {
  const auto call = BlockedCall(helper.pid());
  return call && call->call == SYS_msgrcv && ThreadsOf(helper.pid()).size() == 1;
}

TEST_F(ServerEnd, EndsOnSigterm) {
  const auto ends_well = [](Sandbox& box, Helper& server, int count, const char* when) {
    EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << when;
    EXPECT_THAT(server.call(), Returned(count)) << when;
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << when;
    EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind()) << when;
  };
  Sandbox box(kWithGates);
  const Scene idle, scene;
  Helper waiting = idle.Server(box);
  ASSERT_TRUE(waiting.WaitUntilBlockedIn(kAnyWait)) << box.failure();
  waiting.Signal(SIGTERM);
  ends_well(box, waiting, 0, "SIGTERM came while it waited for requests");

  box.Start("AsksAndIsGone", {{"key", scene.key}, {"count", 3}});
  Helper server = scene.Server(box);
  const int handling = HoldInHandler(box, server);
  ASSERT_TRUE(IsReached(box, handling)) << "the server never handed on the request";
  server.Signal(SIGTERM);
  box.Release(handling);
  ends_well(box, server, 1, "SIGTERM came while the first of three requests was being handled");
  EXPECT_THAT(server.ReportedBytes("asked"), IsText("first/77 "));
}

TEST_F(ServerEnd, EndsOnSigtermJustBeforeItWaits) {
  Sandbox box({.watch = {Family::kMessages}});
  const Scene scene;

  Helper server = scene.Server(box);
  const auto waits = [](const Event& event) {
    return event.number == SYS_msgrcv && event.function == "server_run";
  };
  const int wait =
      box.AddRule({.family = Family::kMessages, .where = waits, .hold = true, .before = true});
  EXPECT_TRUE(Comes(box, [&] { return !box.observer().Held(wait).empty() || AtRest(box); }));
  server.Signal(SIGTERM);
  box.Release(wait);

  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd())
      << "SIGTERM came just before the server's first msgrcv() began";
  EXPECT_THAT(server.call(), Returned(0));
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

TEST_F(ServerEnd, SleepsWhileThereIsNothingToDo) {
  // A server that wakes up ten times a second does so at most once in this time.
  constexpr auto kIdle = std::chrono::milliseconds(60);
  constexpr std::size_t kMost = 8;  // Calls, more than one or two rounds need.
  Sandbox box({.watch = {Family::kMessages, Family::kPoll, Family::kSignalWait, Family::kFutex,
                         Family::kSignalSend}});
  const Scene scene;

  Helper other = box.Start("WaitsAtItsGate", {{"key", scene.key}});
  Helper server = scene.Server(box);
  const int gate = HoldAtGateOf(box, other);
  ASSERT_TRUE(IsReached(box, gate));
  ASSERT_TRUE(ComesToRest(box));
  const std::size_t before = box.events().size();
  const auto calls = [&] { return box.events().size() - before; };
  const auto start = Clock::now();
  // Nobody needs to look long at a process that nothing but a message can wake.
  const auto sound_asleep = [&] {
    return box.observer().armed().empty() && box.observer().LivingProcesses().size() == 2 &&
           SoundAsleep(server);
  };
  EXPECT_TRUE(Comes(
      box, [&] { return calls() > kMost || Clock::now() - start >= kIdle || sound_asleep(); }));
  EXPECT_TRUE(calls() <= kMost)
      << "with nothing to do, the server made " << calls() << " calls in "
      << std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count()
      << " ms";
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd());
  EXPECT_THAT(server.call(), Returned(0));
}

TEST_F(ServerEnd, RemovesTheQueueHoweverItEnds) {
  struct Row {
    const char* what;
    nlohmann::json client;
    int most;
    int fails;  // Every msgrcv, with this errno.
    int returns;
  };
  const Row rows[] = {{"a request kOpStop came", {{"count", 2}, {"stop", 1}, {"more", 1}}, 0, 0, 2},
                      {"it had handed on as many requests as it should", {{"count", 3}}, 2, 0, 2},
                      {"msgrcv() failed with EACCES", {{"count", 1}}, 0, EACCES, -1}};
  Sandbox box({.watch = {Family::kMessages}});
  for (const Row& row : rows) {
    const Scene scene;
    nlohmann::json args = row.client;
    args.update(scene.Args());
    Helper client = box.Start("AsksAndIsGone", args);
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
    Helper server = scene.Server(box, row.most);
    if (row.fails != 0) FailCall(box, server, SYS_msgrcv, row.fails, 0);
    ASSERT_TRUE(EndsWithoutRepeating(box, server, kManyRepeats)) << row.what;
    EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << row.what;
    EXPECT_THAT(server.call(), Returned(row.returns)) << row.what;
    if (row.fails != 0) {
      EXPECT_THAT(server.call(), FailedWith(row.fails)) << row.what;
    }
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << row.what;
    EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind()) << row.what;
  }
}

TEST_F(ServerEnd, NoticesThatItsQueueIsRemoved) {
  Sandbox box({.watch = {Family::kMessages, Family::kSignalSend}});
  for (const bool waiting : {true, false}) {
    const char* const when = waiting ? "the queue was removed while the server waited"
                                     : "the queue was removed while a request was being handled";
    const Scene scene;
    Helper other = box.Start("RemovesTheMeetingQueue", {{"key", scene.key}});
    const int gate = HoldAtGateOf(box, other);
    ASSERT_TRUE(IsReached(box, gate));
    Helper server = scene.Server(box);
    const int handling = HoldInHandler(box, server);
    if (waiting) {
      ASSERT_TRUE(server.WaitUntilBlockedIn(kAnyWait)) << box.failure();
    } else {
      box.Start("AsksAndIsGone", {{"key", scene.key}});
      ASSERT_TRUE(IsReached(box, handling)) << "the server never handed on the request";
    }
    box.Release(gate);
    ASSERT_TRUE(Ends(box, other.pid()));
    box.Release(handling);

    ASSERT_TRUE(EndsWithoutRepeating(box, server, kManyRepeats)) << when;
    EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << when;
    EXPECT_THAT(server.call(), FailedWith(EIDRM)) << when;
    EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind()) << when;
  }
}

}  // namespace
}  // namespace ipclab
