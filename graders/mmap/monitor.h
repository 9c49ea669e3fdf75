// Monitors, as the checks of exercise 8 see them: monitor_checks.cc and gate_checks.cc.
//
//   MonitorBox made;
//   if (!made.ready()) return;
//   Sandbox& box = made.box();
//   Helper waiter = Act(box, "lock wait unlock");
//   ASSERT_TRUE(SleepsIn(box, waiter, "monitor_wait"));
//   Helper opener = Act(box, "gateopen");

#ifndef IPCLAB_GRADERS_MMAP_MONITOR_H_
#define IPCLAB_GRADERS_MMAP_MONITOR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graders/mmap/sharing.h"

namespace ipclab {

EXERCISE(Monitor);

constexpr char kMemory[] = "memory";
constexpr std::size_t kPage = 4096;
constexpr char kCanary = 0x5a;
constexpr int kNoLimit = -1;

// A process that does one thing after the other with the monitor in the box: init, destroy, lock,
// unlock, wait, notify, notifyall, gateopen, gatewait; gate is a Gate().
Helper Act(Sandbox& box, const std::string& steps, int timeout_ms = kNoLimit, int rounds = 1);

// The same for ever, with a gate before each round.
Looping ActAgainAndAgain(Sandbox& box, const std::string& steps);

// A process that stands at its gate, having done all that comes before.
Helper ActUpToGate(Sandbox& box, const std::string& steps, int* gate);

testing::AssertionResult DiesWithTheLock(Sandbox& box);

// A box with a monitor, which a process has made that has ended since.
class MonitorBox {
 public:
  explicit MonitorBox(std::vector<Family> watch = {})
      : box_({.watch = WithGates(std::move(watch)), .skip_sleeps = true}) {
    Helper maker = box_.Start("MakesMonitor", {{"aside", 0}});
    const Outcome outcome = OutcomeOf(maker);
    ready_ = outcome.ending.kind == Ending::Kind::kExited && outcome.ending.code == 0;
    if (!ready_) ADD_FAILURE() << "before all: " << testing::PrintToString(outcome);
    size_ = static_cast<std::size_t>(maker.Reported("size", 0));
  }

  Sandbox& box() { return box_; }
  bool ready() const { return ready_; }

  // Bytes behind the monitor that are no longer what they were.
  std::size_t Damage() const {
    const std::string bytes = box_.FileContents(kMemory).value_or("");
    if (bytes.size() < kPage + size_) return 0;
    const auto canaries = std::string_view(bytes).substr(kPage + size_);
    return canaries.size() - static_cast<std::size_t>(std::ranges::count(canaries, kCanary));
  }
  std::uint64_t Counter() const {
    std::uint64_t counter = 0;
    const std::string bytes = box_.FileContents(kMemory).value_or("");
    if (bytes.size() >= sizeof counter) std::memcpy(&counter, bytes.data(), sizeof counter);
    return counter;
  }

 private:
  static std::vector<Family> WithGates(std::vector<Family> watch) {
    watch.push_back(Family::kSignalSend);
    return watch;
  }

  Sandbox box_;
  bool ready_ = false;
  std::size_t size_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_MONITOR_H_
