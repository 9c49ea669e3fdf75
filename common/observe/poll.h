// Waiting for a state that only /proc shows: the one place of this repository that pauses.
//
//   const bool blocked = PollUntil([&] { return BlockedCall(pid).has_value(); });
//
// The pause sets the pace and decides nothing: the condition does, and the limit is a backstop that
// a working program never reaches.

#ifndef IPCLAB_COMMON_OBSERVE_POLL_H_
#define IPCLAB_COMMON_OBSERVE_POLL_H_

#include <chrono>
#include <thread>

namespace ipclab {

inline constexpr std::chrono::milliseconds kPatience{30'000};

// True as soon as `condition()` holds; false if it still does not after `limit`.
template <typename Condition>
[[nodiscard]] bool PollUntil(Condition condition, std::chrono::milliseconds limit = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_POLL_H_
