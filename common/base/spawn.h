// Starts a program in a clean state.
//
//   SpawnPlan plan;
//   plan.argv = {"/bin/cat"};
//   plan.fds = {{pipe.write.get(), STDOUT_FILENO}};
//   const pid_t pid = Spawn(plan);   // The caller waits for it.
//
// The new process holds /dev/null as 0, 1 and 2 unless `fds` says otherwise, what `fds` gives it,
// and nothing else; no signal is blocked or ignored. posix_spawn(3).

#ifndef IPCLAB_COMMON_BASE_SPAWN_H_
#define IPCLAB_COMMON_BASE_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace ipclab {

struct SpawnPlan {
  std::vector<std::string> argv;  // argv[0] is a path.
  std::vector<std::string> environment;
  std::vector<std::pair<int, int>> fds;  // (ours, its). Ours stay open and ours.
  std::string directory;                 // Where it starts; empty: where we are.
};

// Throws GraderError if the program cannot be started.
pid_t Spawn(const SpawnPlan& plan);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_SPAWN_H_
