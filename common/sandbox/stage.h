// Process 1 of a box.
//
//   int main() {
//     if (IsStage()) RunStage(&Answer);
//     ...
//   }

#ifndef IPCLAB_COMMON_SANDBOX_STAGE_H_
#define IPCLAB_COMMON_SANDBOX_STAGE_H_

#include <string>
#include <string_view>

namespace ipclab {

// True if a Box started this process as its stage.
bool IsStage();

// Forks a helper for every order, collects what ends, and answers questions by `answer`, until the
// grader closes its end of the socket.
[[noreturn]] void RunStage(std::string (*answer)(std::string_view question));

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_STAGE_H_
