// What the observer knows of one process of a box.
//
//   const Process& helper = observer.process(pid);
//   helper.calls.back().value          // what the student's function returned
//   Leftovers(*helper.begin, *helper.end, names)

#ifndef IPCLAB_COMMON_OBSERVE_PROCESS_H_
#define IPCLAB_COMMON_OBSERVE_PROCESS_H_

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/observe/census.h"

namespace ipclab {

// One call of a student's function by a helper.
struct StudentCall {
  std::string function;
  bool returned = false;
  std::int64_t value = 0;
  int error = 0;            // errno as the function left it.
  bool made_calls = false;  // At least one watched system call was made in it.
  Census before;
  Census after;
};

// The innermost call that has not returned: a student's function may call one back that calls
// another. nullptr if there is none.
template <typename Calls>
auto OpenCall(Calls& calls) -> decltype(&calls.back()) {
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
    if (!call->returned) return &*call;
  }
  return nullptr;
}

struct Process {
  pid_t pid = 0;
  int inner_pid = 0;
  pid_t parent = 0;
  bool helper = false;   // Forked by the stage, hence running a HELPER.
  std::string role;      // Of a helper: its name.
  std::string function;  // The student's function it is in, or was born in.
  std::string program;   // What it runs since its last exec; empty before.
  bool alive = true;
  std::optional<int> status;  // As from waitpid(2), once it has ended.

  // Of helpers:
  bool ready = false;  // The submission is loaded.
  bool done = false;   // The body returned.
  std::string load_error;
  std::map<std::string, nlohmann::json> reports;
  std::vector<StudentCall> calls;
  std::optional<Census> begin;  // Before and after the body.
  std::optional<Census> end;

  std::optional<Census> at_exec;    // Descriptors and signals right after the last exec.
  std::optional<Census> at_ending;  // Descriptors and children when it was about to end.
  bool strayed = false;  // A child that returned from a student's function into the helper's code.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_PROCESS_H_
