// Finds a process that computes where it should sleep, by processor time only: never by the wall
// clock, so that a loaded machine changes no verdict.
//
//   const BusyWait busy;
//   if (const auto spinner = busy.Sample(pids)) report(spinner->Explain("child of open_session"));

#ifndef IPCLAB_COMMON_OBSERVE_BUSY_WAIT_H_
#define IPCLAB_COMMON_OBSERVE_BUSY_WAIT_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ipclab {

struct Spinner {
  pid_t pid = 0;
  int inner_pid = 0;
  std::chrono::nanoseconds used{0};

  // `name` says what the process is; may be empty.
  std::string Explain(const std::string& name) const;
  bool operator==(const Spinner&) const = default;
};

class BusyWait {
 public:
  explicit BusyWait(std::chrono::nanoseconds limit = std::chrono::seconds(1)) : limit_(limit) {}

  // The process that has used most since its birth, once that reaches the limit. What it has used
  // for `others` is not its own.
  std::optional<Spinner> Sample(const std::vector<pid_t>& pids,
                                const std::map<pid_t, std::chrono::nanoseconds>& others = {}) const;

 private:
  std::chrono::nanoseconds limit_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_BUSY_WAIT_H_
