// Inside of common/sandbox: how the stage is brought to life.

#ifndef IPCLAB_COMMON_SANDBOX_LAUNCH_H_
#define IPCLAB_COMMON_SANDBOX_LAUNCH_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace ipclab {

// Where the submission stands in the box; in practice mode, below the scratch folder.
inline constexpr char kSubmissionPath[] = "/box/submission.so";
// Set in the stage's environment and nowhere else: the binary then runs as the stage.
inline constexpr char kStageVariable[] = "IPCLAB_STAGE";

struct SpawnPlan {
  std::vector<std::string> argv;  // argv[0] is a path.
  std::vector<std::string> environment;
  std::vector<std::pair<int, int>> fds;  // (ours, its); all others but 0, 1, 2 are close-on-exec.
  int error = 2;                         // Becomes its standard error.
  std::string directory;
};

// posix_spawn(3) with every signal at its default and none blocked. Standard input and output are
// /dev/null. Throws GraderError.
pid_t Spawn(const SpawnPlan& plan);

// bwrap's command line, down to the stage. `submission` is the descriptor it copies, or -1.
std::vector<std::string> BubblewrapCommand(bool shell, int submission);

// A folder with bin/, tmp/ and box/submission.so, for the practice mode.
std::string MakeScratch(bool shell, int submission);

// Path of the running binary.
std::string SelfPath();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_LAUNCH_H_
