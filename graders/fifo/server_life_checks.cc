// Exercise fifo.6: how a server waits, ends and tidies up. It stands in server_checks.cc.

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include <chrono>
#include <optional>

#include "common/observe/trace.h"
#include "graders/fifo/client_server.h"

namespace ipclab {
namespace {

// The call in which the server waits first, with how many of its family came up to it.
struct Wait {
  Family family = Family::kNone;
  int nth = 0;
};

Wait WaitOf(const Sandbox& box, const Helper& server) {
  std::vector<Event> calls;
  for (const Event& event : box.events()) {
    const bool by_server = event.pid == server.pid() && !event.function.empty();
    if (by_server && event.kind == Event::Kind::kCall) calls.push_back(event);
  }
  Wait wait;
  for (const Event& call : calls) {
    if (!call.result) wait.family = call.family;
  }
  // A wait with a limit may have come to its end before we looked, and begun anew.
  for (const Event& call : calls) {
    if (call.family != wait.family) continue;
    ++wait.nth;
    if (!call.result || IsIdleRound(call, server)) break;
  }
  return wait;
}

// How long the last wait may take at most, where a number says so.
std::int64_t LimitOf(const Sandbox& box) {
  const Event* last = nullptr;
  for (const Event& event : box.events()) {
    if (event.family == Family::kPoll) last = &event;
  }
  if (last == nullptr) return 0;
  if (last->number == SYS_poll) return static_cast<int>(last->args[2]);
  const bool epoll = last->number == SYS_epoll_wait || last->number == SYS_epoll_pwait;
  return epoll ? static_cast<int>(last->args[3]) : 0;
}

TEST_F(ClientServer, EndsWhenItIsStopped) {
  const SandboxOptions waits = {
      .watch = {Family::kPoll, Family::kRead, Family::kOpen, Family::kSignalWait}};
  Wait wait;
  {
    Sandbox box(waits);
    Helper server = StartServer(box);
    ASSERT_TRUE(WaitsForRequests(server));
    wait = WaitOf(box, server);
    EXPECT_THAT(Stopped(server), Succeeds()) << "the signal came while the server waited";
    EXPECT_THAT(server.call(), Returned(0)) << "there was no request";

    Helper stopped = box.Start("ServesWhenStopped");
    EXPECT_THAT(OutcomeOf(stopped), Succeeds()) << "*stop was set before";
  }
  if (wait.family == Family::kNone) return;  // In a call that was not watched, by a thread ...
  Sandbox box(waits);
  const int just_before = box.HoldBefore(wait.family, wait.nth);
  Helper server = StartServer(box);
  ASSERT_TRUE(SomebodyComesTo(box, just_before));
  EXPECT_TRUE(LimitOf(box) <= 1000)
      << "the server waits for up to " << LimitOf(box) << " ms before it looks at *stop again";
  server.Signal(SIGUSR1);
  box.Release(just_before);
  EXPECT_THAT(OutcomeOf(server), Succeeds())
      << "the signal came just before the server began to wait";
}

TEST_F(ClientServer, SleepsWhileThereIsNothingToDo) {
  Sandbox box({.watch = {Family::kPoll, Family::kRead}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));
  EXPECT_TRUE(Answers(box, server, RandomWord(10)));
  Helper pause = box.Start("LetsTimePass", {{"ms", 50}});
  EXPECT_THAT(OutcomeOf(pause), ComesToItsEnd());

  // A wait takes at least its time, on any machine: only those that are too short come so close
  // together.
  using std::chrono::milliseconds;
  std::optional<Clock::time_point> before;
  int too_soon = 0;
  for (const Event& event : box.events()) {
    if (!IsIdleRound(event, server)) continue;
    if (before && event.at - *before < milliseconds(90)) ++too_soon;
    before = event.at;
  }
  EXPECT_TRUE(too_soon < 3) << "within " << 50 << " ms the server woke up " << too_soon
                            << " times, though there was nothing to do";
  EXPECT_THAT(Stopped(server), Succeeds());
}

TEST_F(ClientServer, RemovesNoFifoButItsOwn) {
  const auto names_after = [](const std::string& there) {
    Sandbox box;
    Helper server = StartServer(box, there);
    EXPECT_TRUE(WaitsForRequests(server));
    for (const TreeEntry& entry : box.Names()) {
      const bool as_agreed = S_ISFIFO(entry.type) && entry.permissions == 0600;
      EXPECT_TRUE(as_agreed) << "while it serves, there is a " << entry.Name() << " with the mode 0"
                             << std::oct << entry.permissions;
    }
    EXPECT_THAT(Stopped(server), Succeeds()) << "there was " << there;
    EXPECT_THAT(server.Leftovers(), NothingLeftBehind()) << "there was " << there;
    return NamesLeft(box);
  };
  EXPECT_THAT(names_after("nothing"), IsNamed(Names({}))) << "the server made the FIFO";
  EXPECT_THAT(names_after("a FIFO"), IsNamed(Names({"FIFO /tmp/requests"})))
      << "the FIFO had been there before";

  Sandbox box;
  Helper server = StartServer(box, "a file");
  EXPECT_THAT(OutcomeOf(server), ComesToItsEnd()) << "a regular file was there";
  EXPECT_THAT(server.call(), FailedWith(EINVAL)) << "a regular file was there";
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({"file /tmp/requests"})));
  EXPECT_THAT(LeftBehind(box, server.call()), NothingLeftBehind());

  for (const int nth : {2, 3}) {
    Sandbox full({.watch = {Family::kOpen}});
    full.Fail(Family::kOpen, EMFILE, nth);
    Helper failing = StartServer(full);
    EXPECT_TRUE(Comes(full, [&] { return !failing.process().alive || AtRest(full); }));
    if (failing.process().alive) break;  // It opens nothing more.
    EXPECT_THAT(OutcomeOf(failing), ComesToItsEnd());
    EXPECT_THAT(failing.call(), FailedWith(EMFILE)) << "open() fails";
    EXPECT_THAT(NamesLeft(full), IsNamed(Names({}))) << "open() fails";
    EXPECT_THAT(LeftBehind(full, failing.call()), NothingLeftBehind()) << "open() fails";
  }
}

}  // namespace
}  // namespace ipclab
