// Inside of common/sandbox: what helper.cc shares with the stage and the box.

#ifndef IPCLAB_COMMON_SANDBOX_REGISTRY_H_
#define IPCLAB_COMMON_SANDBOX_REGISTRY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/sandbox/helper.h"

namespace ipclab {

// nullptr if there is none.
HelperBody FindHelper(std::string_view name);
std::vector<std::string> ProgramNames();
std::uint64_t MarkerAddress();
// dlopen(3)s the submission in the calling process; on failure marks why and returns false.
bool LoadSubmission(const std::string& path);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_REGISTRY_H_
