// Names in the private directories of a box, seen from outside: files, FIFOs, sockets, POSIX shared
// memory and POSIX queues.
//
//   const std::vector<TreeEntry> names = ListTree(pid, "/dev/shm");
//
// Follows no link that a student could have made, opens nothing but directories and POSIX queues.

#ifndef IPCLAB_COMMON_OBSERVE_CENSUS_TREE_H_
#define IPCLAB_COMMON_OBSERVE_CENSUS_TREE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ipclab {

struct TreeEntry {
  std::string path;  // As seen inside: "/dev/shm/x".
  mode_t type = 0;   // S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFLNK ...
  mode_t permissions = 0;
  std::int64_t size = 0;
  dev_t device = 0;
  ino_t inode = 0;
  bool queue = false;  // A POSIX queue.
  std::int64_t queued_bytes =
      0;  // Of a POSIX queue: the bytes of all its messages. mq_overview(7).

  // "FIFO /tmp/x", "POSIX message queue /x", "POSIX shared memory /x", "file /tmp/x".
  std::string Name() const;
};

inline constexpr std::size_t kTreeLimit = 256;

// What is below `directory` (absolute) in the root of process `pid`, by path, the directory itself
// not included; empty if there is no such directory or no such process. At most `limit` entries.
std::vector<TreeEntry> ListTree(pid_t pid, const std::string& directory,
                                std::size_t limit = kTreeLimit);

// What the regular file at `path` (absolute) in the root of process `pid` holds, at most `limit`
// bytes of it; nothing if there is no such file. Throws GraderError if it cannot be read.
std::optional<std::string> ReadTreeFile(pid_t pid, const std::string& path,
                                        std::size_t limit = 64 << 20);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CENSUS_TREE_H_
