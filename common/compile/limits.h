// How much a compile may take.
//
//   CompileLimits limits;
//   limits.cpu = std::chrono::seconds(2);

#ifndef IPCLAB_COMMON_COMPILE_LIMITS_H_
#define IPCLAB_COMMON_COMPILE_LIMITS_H_

#include <chrono>
#include <cstdint>

namespace ipclab {

struct CompileLimits {
  std::chrono::seconds cpu{20};  // For each program of the compiler.
  // For all of it. A compiler in a jail has nothing to wait for, so only a bomb that spreads over
  // several programs meets this; far off, since a busy machine is not the student's fault.
  std::chrono::milliseconds wall{120000};
  std::uint64_t memory_bytes = std::uint64_t{2} << 30;
  std::uint64_t file_bytes = std::uint64_t{64} << 20;  // For each file written.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_LIMITS_H_
