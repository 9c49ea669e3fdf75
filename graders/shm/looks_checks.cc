// Who looks, and who sleeps in between; see looks.h.

#include <algorithm>

#include "common/grading/steering.h"
#include "graders/shm/looks.h"

namespace ipclab {
namespace {

const std::vector<Family> kNaps = {Family::kSleep, Family::kPoll, Family::kFutex,
                                   Family::kSignalWait};

struct Looks {
  int naps = 0;
  int since_nap = 0;  // Other calls since the last nap.
};

Looks LooksOf(const Sandbox& box, const Helper& helper) {
  Looks looks;
  for (const Event& event : box.events()) {
    if (event.kind != Event::Kind::kCall || event.pid != helper.pid()) continue;
    const bool naps = std::ranges::count(kNaps, event.family) != 0 || event.time_limit;
    if (naps) ++looks.naps;
    looks.since_nap = naps ? 0 : looks.since_nap + 1;
  }
  return looks;
}

bool HasReturned(const Helper& helper) {
  const auto& calls = helper.process().calls;
  return !calls.empty() && calls.back().returned;
}

// Asleep in another call than those that end by themselves.
bool SleepsOtherwise(const Sandbox& box, const Looks& looks) {
  return looks.since_nap > 0 && AtRest(box);
}

}  // namespace

SandboxOptions WatchesLooks(const std::vector<Family>& looks) {
  SandboxOptions options;
  options.watch = kNaps;
  options.watch.insert(options.watch.end(), looks.begin(), looks.end());
  return options;
}

testing::AssertionResult WaitsPatiently(Sandbox& box, const Helper& helper) {
  constexpr int kMostCalls = 30;
  const int wanted = LooksOf(box, helper).naps + 2;
  const auto spins = [&] { return LooksOf(box, helper).since_nap > kMostCalls; };
  const testing::AssertionResult came = Comes(box, [&] {
    const Looks looks = LooksOf(box, helper);
    return HasReturned(helper) || spins() || looks.naps >= wanted || SleepsOtherwise(box, looks);
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

}  // namespace ipclab
