// The one event loop of the grader. Everything that waits, waits here, in one thread.
//
//   Loop& loop = Loop::Get();
//   const auto id = loop.OnReadable(fd, [&] { ... });
//   loop.RunUntil([&] { return done; }, deadline);
//   loop.Forget(id);

#ifndef IPCLAB_COMMON_OBSERVE_LOOP_H_
#define IPCLAB_COMMON_OBSERVE_LOOP_H_

#include <chrono>
#include <functional>
#include <map>

#include "common/base/fd.h"

namespace ipclab {

using Clock = std::chrono::steady_clock;

class Loop {
 public:
  // Blocks SIGCHLD in the calling thread, so call it before any other thread starts; the signal is
  // then read from a signalfd(2).
  static Loop& Get();

  // Calls `handler` whenever `fd` is readable or at end of file. The descriptor stays the caller's.
  int OnReadable(int fd, std::function<void()> handler);
  void Forget(int id);

  // Serves events until `done` holds, looking at it after each batch and at least every `pace`.
  // False if `deadline` came first.
  bool RunUntil(const std::function<bool()>& done, Clock::time_point deadline,
                std::chrono::milliseconds pace = std::chrono::milliseconds(2));

  // Serves what is there now, without waiting.
  void RunPending() { RunOnce(std::chrono::milliseconds(0)); }

 private:
  struct Source {
    int fd;
    std::function<void()> handler;
  };

  Loop();
  void RunOnce(std::chrono::milliseconds wait);

  std::map<int, Source> sources_;
  int next_id_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_LOOP_H_
