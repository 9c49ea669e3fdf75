// The version of IPC Labs that `lab --version` prints.

#ifndef IPCLAB_COMMON_CLI_VERSION_H_
#define IPCLAB_COMMON_CLI_VERSION_H_

namespace ipclab {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_VERSION_H_
