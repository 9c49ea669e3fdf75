#include "common/grading/steering.h"

#include <linux/futex.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "common/observe/blocked.h"
#include "common/observe/trace.h"

namespace ipclab {

void FailFrom(Sandbox& box, const Helper& caller, const std::vector<Family>& families, int nth,
              int error) {
  const auto seen = std::make_shared<int>(0);
  for (const Family family : families) {
    const auto where = [seen, nth, pid = caller.pid()](const Event& event) {
      return event.pid == pid && !event.function.empty() && ++*seen >= nth;
    };
    box.AddRule({.family = family, .nth = 0, .where = where, .answer = -error});
  }
}

bool AtRest(const Sandbox& box) {
  const std::vector<pid_t> living = box.observer().LivingProcesses();
  const std::set<pid_t> held = box.observer().AllHeld();
  const std::vector<TaskSample> before = SampleTasks(living);
  const std::vector<TaskSample> after = SampleTasks(living);
  if (before.empty() || before.size() != after.size()) return false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (held.count(before[i].tid) != 0) continue;
    if (before[i].status.state != 'S' || !before[i].SleptUntil(after[i])) return false;
  }
  return true;
}

bool RestsForGood(const Sandbox& box) { return AllRestForGood(box.MakeWorld()); }

testing::AssertionResult Comes(Sandbox& box, const std::function<bool()>& done) {
  const std::optional<Ending> trouble = box.WaitFor(done);
  if (!trouble) return testing::AssertionSuccess();
  const bool all_ended = trouble->kind == Ending::Kind::kExited;
  return testing::AssertionFailure()
         << (all_ended ? "all processes have ended; the last one " : "") << trouble->text;
}

testing::AssertionResult ComesToRest(Sandbox& box) {
  return Comes(box, [&] { return AtRest(box); });
}

testing::AssertionResult SomebodyComesTo(Sandbox& box, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  const testing::AssertionResult result = Comes(box, [&] { return held() || AtRest(box); });
  if (result && held()) return result;
  return testing::AssertionFailure()
         << "nobody comes so far: " << (result ? "everybody sleeps" : result.message());
}

bool ReachesStore(Sandbox& box, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  const auto over = [&] {
    return held() || box.observer().LivingProcesses().empty() || RestsForGood(box);
  };
  return Comes(box, over) && held();
}

testing::AssertionResult OthersCanWake(const Helper& helper) {
  for (const pid_t tid : ThreadsOf(helper.pid())) {
    const std::optional<Blocked> call = BlockedCall(tid);
    if (!call || FamilyOf(call->call) != Family::kFutex) continue;
    if ((call->args[1] & FUTEX_PRIVATE_FLAG) == 0) continue;
    return testing::AssertionFailure()
           << "the process sleeps in futex() with FUTEX_PRIVATE_FLAG: only a thread of its own "
              "process could wake it";
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult Waits(Sandbox& box, Helper& helper, const std::string& for_what) {
  if (helper.WaitUntilBlockedIn(kWaits)) return testing::AssertionSuccess();
  if (helper.process().alive) return testing::AssertionFailure() << box.failure();
  return testing::AssertionFailure() << "the caller did not wait " << for_what;
}

testing::AssertionResult Interrupt(Sandbox& box, Helper& helper, int signal) {
  const auto arrived = [&] {
    return std::ranges::count_if(box.events(), [&](const Event& event) {
      return event.kind == Event::Kind::kSignal && event.pid == helper.pid() &&
             event.status == signal;
    });
  };
  const auto before = arrived();
  helper.Signal(signal);
  return Comes(box, [&] { return arrived() > before; });
}

testing::AssertionResult WaitUntilEnded(Sandbox& box, pid_t pid) {
  return Comes(box, [&] { return !box.observer().process(pid).alive; });
}

int HoldExitOf(Sandbox& box, const std::string& program) {
  const auto where = [&box, program](const Event& event) {
    return box.observer().process(event.pid).program == program;
  };
  return box.AddRule({.family = Family::kExit, .where = where, .hold = true});
}

int HoldExit(Sandbox& box, int code) {
  const auto where = [code](const Event& event) {
    return static_cast<int>(event.args[0]) == code && !event.function.empty();
  };
  return box.AddRule({.family = Family::kExit, .where = where, .hold = true});
}

int HoldAtGate(Sandbox& box, int nth) {
  const auto where = [](const Event& event) {
    return event.function.empty() && event.args[1] == 0;
  };
  return box.AddRule({.family = Family::kSignalSend, .nth = nth, .where = where, .hold = true});
}

int HoldAtAnyGate(Sandbox& box, int nth) {
  const auto where = [](const Event& event) { return event.args[1] == 0; };
  return box.AddRule({.family = Family::kSignalSend, .nth = nth, .where = where, .hold = true});
}

testing::AssertionResult ComesTo(Sandbox& box, const Helper& helper, int rule) {
  const auto held = [&] { return box.observer().Held(rule).count(helper.pid()) != 0; };
  const auto settled = [&] { return held() || !helper.process().alive || AtRest(box); };
  const testing::AssertionResult came = Comes(box, settled);
  if (came && held()) return testing::AssertionSuccess();
  const auto& calls = helper.process().calls;
  return testing::AssertionFailure()
         << (calls.empty() || !came ? std::string(came.message()) : DescribeCall(calls.back()));
}

std::function<bool(const Event&)> InCaller(const Sandbox& box) {
  return [&box](const Event& event) {
    return !event.function.empty() && box.observer().process(event.pid).helper;
  };
}

std::function<bool(const Event&)> InChildren(const Sandbox& box) {
  return [&box](const Event& event) {
    return !event.function.empty() && !box.observer().process(event.pid).helper;
  };
}

}  // namespace ipclab
