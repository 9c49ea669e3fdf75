// Inside of common/sandbox: how the stage is brought to life.

#ifndef IPCLAB_COMMON_SANDBOX_LAUNCH_H_
#define IPCLAB_COMMON_SANDBOX_LAUNCH_H_

#include <string>
#include <vector>

namespace ipclab {

// Where the submission stands in the box; in practice mode, below the scratch folder.
inline constexpr char kSubmissionPath[] = "/box/submission.so";
// Set in the stage's environment and nowhere else: the binary then runs as the stage.
inline constexpr char kStageVariable[] = "IPCLAB_STAGE";

// bwrap's command line, down to the stage. `submission` is the descriptor it copies, or -1.
std::vector<std::string> BubblewrapCommand(bool shell, int submission);

// A folder with bin/, tmp/ and box/submission.so, for the practice mode.
std::string MakeScratch(bool shell, int submission);

// Path of the running binary.
std::string SelfPath();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_LAUNCH_H_
