// Exercise msgqueue.6: signals. Its callers and others, "GoesInto" and "Meddles", are in
// until_checks.cc.

#include <sys/time.h>

#include "graders/msgqueue/until.h"

namespace ipclab {
namespace {

EXERCISE(UntilSignal);

// The caller's own timer, which is far from its end, and its own handlers.
HELPER(HasATimerAndHandlers) {
  const int qid = MeetingQueue(args);
  const Handling alarms(SIGALRM), users(SIGUSR1), others(SIGUSR2);
  const itimerval hour{{0, 0}, {3600, 0}};
  Check(setitimer(ITIMER_REAL, &hour, nullptr), "setitimer");
  ReceiveUntil(qid, 7, 10, 0);
  SendUntil(qid, 7, "room", 10);
  ReceiveUntil(qid, 7, kLong, SIGUSR1);
  SetCapacity(qid, 10);
  FillUp(qid);
  SendUntil(qid, 7, "none", 10);
  itimerval left{};
  Check(getitimer(ITIMER_REAL, &left), "getitimer");
  Report("timer_runs", left.it_value.tv_sec > 3000 ? 1 : 0);
  const itimerval none{};
  Check(setitimer(ITIMER_REAL, &none, nullptr), "setitimer");
  Report("handled", handled);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(UntilSignal, StopsOnASignal) {
  Sandbox box(kWithLooks);
  for (const int timeout : {kNoLimit, kLong}) {
    Meeting meeting(box, {{"timeout", timeout}, {"stop", 1}});
    if (!meeting.CallerWaits()) return;
    Helper& caller = meeting.caller();
    caller.Signal(SIGUSR1);

    ASSERT_TRUE(EndsSoon(box, caller, kFewLooks)) << "a signal of `stop_on` came";
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(caller.call(), FailedWith(EINTR)) << "a signal of `stop_on` came";
    EXPECT_THAT(WhyOf(caller), Says(End::kSignal));
    EXPECT_TRUE(caller.Reported("pending") == 0) << "the signal is still pending";
    EXPECT_TRUE(caller.Reported("handled") == 0) << "a handler of the caller ran";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  }
}

TEST_F(UntilSignal, StopsOnASignalThatCameBefore) {
  // At the entry of whatever it looks or waits with first, and of the next such call.
  for (const int nth : {1, 2}) {
    Sandbox box(kWithLooks);
    // Without a limit of time, a wait that misses the signal lasts for ever.
    Helper caller =
        box.Start("GoesInto", {{"key", RandomKey()}, {"timeout", kNoLimit}, {"stop", 1}});
    int calls = 0;
    const auto nth_call = [&](const Event& event) {
      return event.function == "q_recv_until" && ++calls == nth;
    };
    const auto is_held = [&] { return box.observer().AllHeld().count(caller.pid()) != 0; };
    std::vector<int> rules;
    for (const Family family : {Family::kMessages, Family::kSignalWait, Family::kSleep}) {
      rules.push_back(box.AddRule(
          {.family = family, .nth = 0, .where = nth_call, .hold = true, .before = true}));
    }
    EXPECT_TRUE(Comes(box, [&] { return is_held() || !caller.process().alive || AtRest(box); }));
    caller.Signal(SIGUSR1);
    for (const int rule : rules) box.Release(rule);

    const std::string when =
        "a signal of `stop_on` came just before call " + std::to_string(nth) + " of the function";
    ASSERT_TRUE(EndsSoon(box, caller, kFewLooks)) << when;
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << when;
    EXPECT_THAT(caller.call(), FailedWith(EINTR));
    EXPECT_THAT(WhyOf(caller), Says(End::kSignal));
    EXPECT_TRUE(caller.Reported("pending") == 0) << "the signal is still pending";
    EXPECT_TRUE(caller.Reported("handled") == 0) << "a handler of the caller ran";
  }
}

TEST_F(UntilSignal, GoesOnWhenOtherSignalsCome) {
  Sandbox box(kWithLooks);
  const nlohmann::json rows[] = {{{"send", 0}, {"timeout", kNoLimit}},
                                 {{"send", 0}, {"timeout", kLong}, {"stop", 1}},
                                 {{"send", 1}, {"drain", 1}, {"timeout", kNoLimit}},
                                 {{"send", 1}, {"drain", 1}, {"timeout", kLong}}};
  for (const nlohmann::json& row : rows) {
    Meeting meeting(box, row);
    if (!meeting.CallerWaits()) return;
    Helper& caller = meeting.caller();
    ASSERT_TRUE(IsDisturbed(box, caller, SIGUSR2));
    ASSERT_TRUE(meeting.Sleeps()) << "a signal that is not in `stop_on` came, with a handler";
    meeting.LetOtherGo();

    const bool send = row.value("send", 0) != 0;
    ASSERT_TRUE(EndsSoon(box, caller, kManyLooks));
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(caller.call(), Returned(send ? 0 : meeting.text().size()))
        << "a signal that is not in `stop_on` came, with a handler";
    EXPECT_THAT(WhyOf(caller), Says(End::kMessage));
  }
}

TEST_F(UntilSignal, LosesNoMessage) {
  // The message has come, the call that takes it has begun, and then comes the signal.
  Sandbox box(kWithLooks);
  Meeting meeting(box, {{"timeout", kNoLimit}, {"stop", 1}});
  if (!meeting.OtherComes()) return;
  meeting.Start();
  Helper& caller = meeting.caller();
  const auto takes = [](const Event& event) {
    return event.number == SYS_msgrcv && event.function == "q_recv_until";
  };
  const int taking = box.AddRule({.family = Family::kMessages, .where = takes, .hold = true});
  EXPECT_TRUE(Comes(box, [&] { return !box.observer().Held(taking).empty() || AtRest(box); }));
  meeting.LetOtherGo();
  ASSERT_TRUE(Ends(box, meeting.other().pid()));
  caller.Signal(SIGUSR1);
  box.Release(taking);

  ASSERT_TRUE(EndsSoon(box, caller, kFewLooks));
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  const auto size = static_cast<std::int64_t>(meeting.text().size());
  const bool got = caller.call().value == size;
  // Beside it, there is a message of another type.
  const auto queues = QueuesOf(box);
  EXPECT_TRUE(got || (!queues.empty() && queues[0].messages == 2))
      << "the call has not returned the message, and it is not in the queue any more";
  EXPECT_THAT(WhyOf(caller), Says(got ? End::kMessage : End::kSignal));
  EXPECT_TRUE(caller.Reported("handled") == 0) << "a handler of the caller ran";
}

TEST_F(UntilSignal, LeavesTimersAndHandlersAlone) {
  Sandbox box(kWithLooks);

  Helper caller = box.Start("HasATimerAndHandlers", {{"key", RandomKey()}});

  ASSERT_TRUE(EndsSoon(box, caller, kManyLooks));
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(ETIMEDOUT));
  EXPECT_THAT(caller.call(3), FailedWith(ETIMEDOUT));
  EXPECT_TRUE(caller.Reported("timer_runs") == 1) << "the caller's own ITIMER_REAL was lost";
  EXPECT_TRUE(caller.Reported("handled") == 0) << "a handler of the caller ran";
  for (std::size_t nth = 0; nth < 4; ++nth) {
    EXPECT_THAT(LeftBehind(box, caller.call(nth)), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
