// Children of the helpers that check the reaper.

#ifndef IPCLAB_GRADERS_SIGNALS_BROOD_H_
#define IPCLAB_GRADERS_SIGNALS_BROOD_H_

#include <signal.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "graders/signals/waiting.h"
#include "labs/signals/signals.h"

namespace ipclab {

using signals::Done;
using signals::reaper_spawn;
using signals::reaper_wait;

// ---- What children do ---------------------------------------------------------------------------

inline int ExitsWith(void* code) { return *static_cast<int*>(code); }

// Waits until nobody can write into the pipe any more: no child ends before its parent is ready for
// that.
inline void AwaitEndOf(PipeEnds& line) {
  line.write.Reset();
  ReadHere(line.read.get());
}

inline int WaitsForEndOf(void* line) {
  AwaitEndOf(*static_cast<PipeEnds*>(line));
  return 0;
}

struct Order {
  PipeEnds& line;
  int code;
};

inline int WaitsAndExits(void* arg) {
  const Order& order = *static_cast<Order*>(arg);
  AwaitEndOf(order.line);
  return order.code;
}

inline int WaitsAndDies(void* line) {
  AwaitEndOf(*static_cast<PipeEnds*>(line));
  return raise(SIGTERM);
}

inline int TellsItsSignals(void* line) {
  AwaitEndOf(*static_cast<PipeEnds*>(line));
  Report("default", ActionNow(SIGCHLD).sa_handler == SIG_DFL);
  Report("sigchld_blocked", IsBlocked(SIGCHLD));
  Report("sigusr2_blocked", IsBlocked(SIGUSR2));
  Report("sigterm_blocked", IsBlocked(SIGTERM));
  return 0;
}

// The children that a helper starts and collects, in the order of their birth.
class Brood {
 public:
  bool Spawn(int (*fn)(void*), void* arg) { return Note(STUDENT(reaper_spawn)(fn, arg)); }

  bool SpawnMany(int count, int (*fn)(void*), void* arg) {
    const auto spawn = UNMARKED(reaper_spawn);
    for (int i = 0; i < count; ++i) {
      if (!Note(spawn(fn, arg))) return false;
    }
    return true;
  }

  // Calls reaper_wait until every child has been stored once.
  bool CollectAll(std::size_t cap = 8, int timeout_ms = kNoLimit) {
    while (statuses_.size() < pids_.size()) {
      if (!Collect(cap, timeout_ms)) return false;
    }
    return true;
  }

  bool Collect(std::size_t cap, int timeout_ms) {
    std::vector<Done> done(cap, {-1, -1});
    const int stored = STUDENT(reaper_wait)(done.data(), cap, timeout_ms);
    if (stored < 1 || stored > static_cast<int>(cap)) return false;
    for (int i = 0; i < stored; ++i) Store(done[static_cast<std::size_t>(i)]);
    return !strange_;
  }

 private:
  bool Note(pid_t pid) {
    if (pid < 1) return false;
    Report("pid" + std::to_string(pids_.size()), pid);
    pids_.push_back(pid);
    return true;
  }

  void Store(const Done& done) {
    const auto found = std::ranges::find(pids_, done.pid);
    strange_ |= found == pids_.end() || !statuses_.emplace(done.pid, done.status).second;
    if (strange_) {
      Report("strange", done.pid);
    } else {
      Report("status" + std::to_string(found - pids_.begin()), done.status);
    }
    Report("stored", static_cast<std::int64_t>(statuses_.size()));
  }

  std::vector<pid_t> pids_;
  std::map<pid_t, int> statuses_;
  bool strange_ = false;
};

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SIGNALS_BROOD_H_
