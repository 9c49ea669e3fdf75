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
  std::chrono::seconds cpu{20};           // For each program of the compiler.
  std::chrono::milliseconds wall{60000};  // For all of it; only a backstop.
  std::uint64_t memory_bytes = std::uint64_t{2} << 30;
  std::uint64_t file_bytes = std::uint64_t{64} << 20;  // For each file written.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_LIMITS_H_
