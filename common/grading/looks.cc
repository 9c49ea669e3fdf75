#include "common/grading/looks.h"

#include <algorithm>

#include "common/grading/steering.h"
#include "common/observe/blocked.h"
#include "common/observe/deadlock.h"

namespace ipclab {
namespace {

// In which one may sleep for a time ...
const std::vector<Family> kNaps = {Family::kSleep, Family::kPoll, Family::kFutex,
                                   Family::kSignalWait};
// ... or until something is there: a timer's descriptor, or somebody else who looks.
const std::vector<Family> kOtherWaits = {Family::kRead, Family::kWait};

bool IsIn(const std::vector<Family>& families, Family family) {
  return std::ranges::count(families, family) != 0;
}

struct Looks {
  int naps = 0;
  int since_nap = 0;  // Other calls since the last nap.
};

Looks LooksOf(const Sandbox& box, const Helper& helper) {
  Looks looks;
  for (const Event& event : box.events()) {
    if (event.kind != Event::Kind::kCall || event.pid != helper.pid()) continue;
    const bool naps =
        IsIn(kNaps, event.family) || IsIn(kOtherWaits, event.family) || event.time_limit;
    if (naps) ++looks.naps;
    looks.since_nap = naps ? 0 : looks.since_nap + 1;
  }
  return looks;
}

// More than anybody needs for one look.
constexpr int kMostCalls = 30;

bool HasReturned(const Helper& helper) {
  const auto& calls = helper.process().calls;
  return !calls.empty() && calls.back().returned;
}

// Asleep in a call that no time ends. It is the kernel that says in which: to the trace, a nap that
// is asked for again after a signal goes on, and does not begin.
bool SleepsOtherwise(const Helper& helper) {
  const std::vector<TaskSample> before = SampleTasks({helper.pid()});
  const std::vector<TaskSample> after = SampleTasks({helper.pid()});
  if (before.empty() || before.size() != after.size()) return false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::optional<Blocked>& call = before[i].blocked;
    if (before[i].status.state != 'S' || !call || MayEndByTheClock(*call)) return false;
    if (!before[i].SleptUntil(after[i])) return false;
  }
  return true;
}

}  // namespace

SandboxOptions WatchesLooks(const std::vector<Family>& looks) {
  SandboxOptions options;
  for (const std::vector<Family>& families : {kNaps, kOtherWaits, looks}) {
    options.watch.insert(options.watch.end(), families.begin(), families.end());
  }
  return options;
}

testing::AssertionResult WaitsPatiently(Sandbox& box, const Helper& helper) {
  const int wanted = LooksOf(box, helper).naps + 2;
  const auto spins = [&] { return LooksOf(box, helper).since_nap > kMostCalls; };
  const testing::AssertionResult came = Comes(box, [&] {
    const Looks looks = LooksOf(box, helper);
    return HasReturned(helper) || spins() || looks.naps >= wanted || SleepsOtherwise(helper);
  });
  if (!came) return came;
  if (HasReturned(helper)) {
    return testing::AssertionFailure()
           << DescribeCall(helper.process().calls.back()) << " instead of waiting";
  }
  if (spins()) {
    return testing::AssertionFailure()
           << "it looks again and again (more than 30 calls) and does not sleep in between";
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult Notices(Sandbox& box, const Helper& helper) {
  constexpr int kMostNaps = 10;
  const int enough = LooksOf(box, helper).naps + kMostNaps;
  const testing::AssertionResult came =
      Comes(box, [&] { return HasReturned(helper) || LooksOf(box, helper).naps >= enough; });
  if (!came || HasReturned(helper)) return came;
  return testing::AssertionFailure()
         << "it has slept " << kMostNaps << " times more, looked in between, and still waits";
}

void EndsOrWaits(Sandbox& box, const Helper& helper) {
  static_cast<void>(Comes(box, [&] {
    const Looks looks = LooksOf(box, helper);
    return !helper.process().alive || looks.naps >= 2 || looks.since_nap > kMostCalls ||
           SleepsOtherwise(helper);
  }));
}

}  // namespace ipclab
