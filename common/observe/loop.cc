#include "common/observe/loop.h"

#include <poll.h>

#include <algorithm>
#include <vector>

namespace ipclab {

using std::chrono::milliseconds;

Loop& Loop::Get() {
  static Loop* const loop = new Loop;
  return *loop;
}

Loop::Loop() = default;

int Loop::OnReadable(int fd, std::function<void()> handler) {
  sources_[next_id_] = {fd, std::move(handler)};
  return next_id_++;
}

void Loop::Forget(int id) { sources_.erase(id); }

bool Loop::RunUntil(const std::function<bool()>& done, Clock::time_point deadline,
                    milliseconds pace) {
  RunPending();
  while (!done()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds(0)) return false;
    RunOnce(std::min(left, pace));
  }
  return true;
}

void Loop::RunOnce(milliseconds wait) {
  std::vector<pollfd> fds;
  std::vector<int> ids;
  for (const auto& [id, source] : sources_) {
    fds.push_back({source.fd, POLLIN, 0});
    ids.push_back(id);
  }
  const int ready = poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  if (ready == -1 && errno != EINTR) throw SystemError(errno, "poll");
  for (std::size_t i = 0; ready > 0 && i < fds.size(); ++i) {
    if (fds[i].revents == 0) continue;
    // A handler may have removed a later source.
    const auto source = sources_.find(ids[i]);
    if (source != sources_.end()) std::function<void()>(source->second.handler)();
  }
}

}  // namespace ipclab
