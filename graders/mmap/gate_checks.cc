// Exercise mmap.8, second part: the gate of the monitor.

#include "graders/mmap/monitor.h"

namespace ipclab {
namespace {

TEST_F(Monitor, OpensTheGateForAll) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  std::vector<Helper> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(Act(box, "gatewait"));
    ASSERT_TRUE(SleepsIn(box, waiters.back(), "gate_wait"));
  }
  Helper opener = Act(box, "gateopen");
  EXPECT_THAT(OutcomeOf(opener), Succeeds());
  EXPECT_THAT(opener.call("gate_open"), Returned(0));
  for (Helper& waiter : waiters) {
    EXPECT_THAT(OutcomeOf(waiter), Succeeds()) << "three wait, and the gate was opened";
    EXPECT_THAT(waiter.call("gate_wait"), Returned(0)) << "three wait, and the gate was opened";
  }
  Helper late = Act(box, "gatewait gatewait gateopen gatewait");
  EXPECT_THAT(OutcomeOf(late), Succeeds()) << "the gate was opened before it came";
  EXPECT_THAT(late.call("gate_wait"), Returned(0)) << "the gate was opened before it came";
  Helper hasty = Act(box, "gatewait", 0);
  EXPECT_THAT(OutcomeOf(hasty), Succeeds());
  EXPECT_THAT(hasty.call("gate_wait"), Returned(0)) << "the gate is open, and timeout_ms is 0";
}

TEST_F(Monitor, LosesNoOpening) {
  MonitorBox made({Family::kFutex});
  if (!made.ready()) return;
  Sandbox& box = made.box();
  // A gate stays open, so each opening takes a new one.
  Looping waiter = ActAgainAndAgain(box, "destroy init gatewait");
  Looping opener = ActAgainAndAgain(box, "gateopen");
  ASSERT_TRUE(waiter.Returns() && opener.Returns());
  AtEachStore(box, waiter, "gate_wait", opener, [&](const std::string& when) {
    EXPECT_THAT(waiter.call("gate_wait"), Returned(0)) << when;
    EXPECT_THAT(opener.call("gate_open"), Returned(0)) << when;
  });
}

TEST_F(Monitor, TakesNoOtherWakeUpForTheGate) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Helper waiter = Act(box, "gatewait");
  ASSERT_TRUE(SleepsIn(box, waiter, "gate_wait"));
  const auto goes_on = [&](const char* why) {
    EXPECT_TRUE(SleepsIn(box, waiter, "gate_wait")) << why;
  };
  Helper notifier = Act(box, "notifyall lock notify notifyall unlock");
  EXPECT_THAT(OutcomeOf(notifier), Succeeds());
  goes_on("the gate is shut, and monitor_notify() was called");
  const auto blocked = BlockedCall(waiter.pid());
  const auto mappings = MappingsOf(waiter.pid());
  for (const ipclab::Mapping& mapping : mappings) {
    if (!blocked || blocked->args[0] < mapping.start || blocked->args[0] >= mapping.end) continue;
    if (!mapping.object.ends_with(kMemory)) continue;
    Helper stray =
        box.Start("WakesForNoReason", {{"word", mapping.OffsetOf(blocked->args[0])}, {"aside", 0}});
    EXPECT_THAT(stray.Wait(), Exited(0));
    goes_on("the gate is shut, and a futex wake-up came for no reason");
  }
  Helper opener = Act(box, "gateopen");
  EXPECT_THAT(OutcomeOf(opener), Succeeds());
  EXPECT_THAT(OutcomeOf(waiter), Succeeds());
  EXPECT_THAT(waiter.call("gate_wait"), Returned(0));
}

TEST_F(Monitor, OpensTheGateInSpiteOfADeath) {
  MonitorBox made;
  if (!made.ready()) return;
  Sandbox& box = made.box();
  Helper early = Act(box, "gatewait");
  ASSERT_TRUE(SleepsIn(box, early, "gate_wait"));
  ASSERT_TRUE(DiesWithTheLock(box));
  Helper hasty = Act(box, "gatewait", 0);
  EXPECT_THAT(OutcomeOf(hasty), ComesToItsEnd()) << "a process died with the lock";
  EXPECT_THAT(hasty.call("gate_wait"), FailedWith(ETIMEDOUT)) << "a process died with the lock";
  Helper opener = Act(box, "gateopen gatewait");
  EXPECT_THAT(OutcomeOf(opener), Succeeds()) << "a process died with the lock";
  EXPECT_THAT(opener.call("gate_open"), Returned(0)) << "a process died with the lock";
  EXPECT_THAT(opener.call("gate_wait"), Returned(0)) << "a process died with the lock";
  EXPECT_THAT(OutcomeOf(early), Succeeds()) << "it waited when a process died with the lock";
  EXPECT_THAT(early.call("gate_wait"), Returned(0))
      << "it waited when a process died with the lock";
}

}  // namespace
}  // namespace ipclab
