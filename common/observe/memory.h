// Memory of another process, read from outside: process_vm_readv(2).
//
//   pollfd entry;
//   if (!ReadMemory(tid, address, &entry, sizeof(entry))) ...   // It is not there.
//
// Whoever reads needs the right to trace. What is read may change at any moment unless the process
// stands still, and it is the student's: no length in it is to be trusted.

#ifndef IPCLAB_COMMON_OBSERVE_MEMORY_H_
#define IPCLAB_COMMON_OBSERVE_MEMORY_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace ipclab {

// `size` bytes; false if not all of them can be read.
bool ReadMemory(pid_t pid, std::uint64_t address, void* into, std::size_t size);

// Up to `size` bytes; shorter where the memory ends.
std::string ReadMemory(pid_t pid, std::uint64_t address, std::size_t size);

// The string at `address`, which ends by a NUL within the first page or so; nothing otherwise.
std::optional<std::string> ReadString(pid_t pid, std::uint64_t address);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_MEMORY_H_
