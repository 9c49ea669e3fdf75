// Memory that a process shares with others, as it was a moment ago: how the observer notices a
// store, and undoes it.
//
//   SharedMemory memory(pid);
//   ...                           // The process runs one instruction.
//   if (memory.Changed()) memory.Restore();
//
// Looks at mappings that are shared and writable, at the first 64 KiB of them; not at the counters
// of a submission that counts its lines.

#ifndef IPCLAB_COMMON_OBSERVE_STORES_H_
#define IPCLAB_COMMON_OBSERVE_STORES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ipclab {

class SharedMemory {
 public:
  // `counters` is the inode of the memfd that holds them, or 0.
  explicit SharedMemory(pid_t pid, std::uint64_t counters = 0) : pid_(pid), counters_(counters) {
    Remap();
  }

  // Looks anew at what is mapped, and what it holds.
  void Remap();
  // Takes what the memory holds now for how it should be.
  void Reread();
  // True if it holds something else than at the last look.
  bool Changed();
  // Puts back what has changed. Call right after Changed().
  void Restore();

 private:
  struct Region {
    std::uint64_t start;
    std::size_t size;
  };

  // Empty if it cannot be read.
  std::string Read() const;

  pid_t pid_;
  std::uint64_t counters_;
  std::vector<Region> regions_;
  std::string known_;  // The contents of all regions, one behind the other.
  std::string now_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_STORES_H_
