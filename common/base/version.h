// The version of IPC Labs: of `lab --version` and of every result.

#ifndef IPCLAB_COMMON_BASE_VERSION_H_
#define IPCLAB_COMMON_BASE_VERSION_H_

namespace ipclab {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_VERSION_H_
