// Exercise msgqueue.5, the clients and the server of one submission together.

#include <signal.h>

#include "common/grading/exercise.h"
#include "graders/msgqueue/traffic.h"

namespace ipclab {
namespace {

using msgqueue::client_stop_server;
using msgqueue::Req;
using msgqueue::server_run;

EXERCISE(Service);

// ---- Helpers ------------------------------------------------------------------------------------

int Answer(const Req* req, char* reply, std::size_t cap, void* arg) {
  Gate();
  const std::string answer = *static_cast<std::string*>(arg) + TextOf(*req);
  reply[answer.copy(reply, cap - 1)] = '\0';
  return 0;
}

HELPER(ServesClients) {
  const int qid = MeetingQueue(args);
  const Action handler(SIGUSR1, DoNothing);
  std::string greeting = args.Bytes("greeting");
  STUDENT(server_run)(qid, &Answer, &greeting, 0);
  return 0;
}

HELPER(CallsAsTwenty) {
  const int qid = MeetingQueue(args);
  SetCapacity(qid, 8 * sizeof(Req));
  const std::string greeting = args.Bytes("greeting");
  // Twenty processes: they are no helpers, so that nobody counts their calls.
  const Imported<decltype(client_call)> call("client_call");
  constexpr int kClients = 20;
  constexpr int kCalls = 5;
  for (int client = 0; client < kClients; ++client) {
    if (Check(fork(), "fork") != 0) continue;
    int wrong = 0;
    for (int n = 0; n < kCalls; ++n) {
      const std::string text = std::to_string(client) + "/" + std::to_string(n);
      char reply[240] = "";
      if (call(qid, 9, text.c_str(), reply, sizeof reply, kNoLimit) != 0) ++wrong;
      if (reply != greeting + text) ++wrong;
    }
    _exit(wrong);
  }
  int good = 0;
  for (int status = 0; waitpid(-1, &status, 0) > 0;) {
    if (status == 0) ++good;
  }
  Report("good", good);
  STUDENT(client_stop_server)(qid);
  return 0;
}

HELPER(CallsTwiceWithHandler) {
  const int qid = MeetingQueue(args);
  struct sigaction restarting {};
  restarting.sa_handler = DoNothing;
  restarting.sa_flags = SA_RESTART;
  struct sigaction former {};
  Check(sigaction(SIGUSR1, &restarting, &former), "sigaction");
  const auto timeout = static_cast<int>(args.Int("timeout"));
  if (CallServer(qid, "one", "reply1", timeout) == 0) {
    Gate();
    CallServer(qid, "two", "reply2", timeout);
  }
  STUDENT(client_stop_server)(qid);
  Check(sigaction(SIGUSR1, &former, nullptr), "sigaction");
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Service, GoesOnWhenASignalComes) {
  Sandbox box(kWithGates);
  for (const int timeout : {kNoLimit, kPlenty}) {
    const std::int64_t key = RandomKey();
    const std::string greeting = RandomWord(9);

    Helper server = box.Start("ServesClients", {{"key", key}, {"greeting", greeting}});
    Helper client = box.Start("CallsTwiceWithHandler", {{"key", key}, {"timeout", timeout}});
    const int answering = HoldInHandler(box, server);
    const int between_calls = HoldAtGateOf(box, client);
    ASSERT_TRUE(IsReached(box, answering)) << "no request has come to the handler";
    ASSERT_TRUE(client.WaitUntilBlockedIn(kAnyWait)) << box.failure();
    ASSERT_TRUE(IsDisturbed(box, client, SIGUSR1));
    box.Release(answering);
    ASSERT_TRUE(IsReached(box, between_calls));
    ASSERT_TRUE(server.WaitUntilBlockedIn(kAnyWait)) << box.failure();
    ASSERT_TRUE(IsDisturbed(box, server, SIGUSR1));
    box.Release(between_calls);

    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
    EXPECT_THAT(client.call(0), Returned(0)) << "a signal with a handler came during the call";
    EXPECT_THAT(client.ReportedBytes("reply1"), IsText(greeting + "one"));
    EXPECT_THAT(client.ReportedBytes("reply2"), IsText(greeting + "two"));
    EXPECT_THAT(OutcomeOf(server), ComesToItsEnd());
    EXPECT_THAT(server.call(), Returned(2)) << "a signal with a handler came to the server";
  }
}

TEST_F(Service, GetsAnswersAmongTwenty) {
  Sandbox box;
  const std::int64_t key = RandomKey();
  const std::string greeting = RandomWord(9);

  Helper clients = box.Start("CallsAsTwenty", {{"key", key}, {"greeting", greeting}});
  Helper server = box.Start("ServesClients", {{"key", key}, {"greeting", greeting}});

  EXPECT_THAT(OutcomeOf(clients), ComesToItsEnd());
  EXPECT_TRUE(clients.Reported("good") == 20)
      << clients.Reported("good") << " of 20 clients got their five answers";
  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd());
  EXPECT_THAT(server.call(), Returned(100));
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
