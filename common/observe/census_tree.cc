#include "common/observe/census_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr long kQueueFilesystem = 0x19800202;  // MQUEUE_MAGIC of the kernel's ipc/mqueue.c.
constexpr int kDepthLimit = 16;
constexpr std::size_t kNameLimit = 120;
// Waits for nothing, follows no link.
constexpr int kLook = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;

// The directory, or nothing if a part of the path is missing or is a link.
Fd OpenDirectory(pid_t pid, std::string_view directory) {
  const std::string root = "/proc/" + std::to_string(pid) + "/root";
  Fd at(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (at && !directory.empty()) {
    directory.remove_prefix(std::min(directory.find_first_not_of('/'), directory.size()));
    const std::string part(directory.substr(0, directory.find('/')));
    directory.remove_prefix(part.size());
    if (part.empty()) break;
    at = Fd(openat(at.get(), part.c_str(), kLook | O_DIRECTORY));
  }
  return at;
}

// "QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260"; 0 if it may not be read.
std::int64_t QueuedBytes(int directory, const char* name) {
  const Fd queue(openat(directory, name, kLook));
  char text[128];
  const ssize_t n = queue ? read(queue.get(), text, sizeof(text)) : 0;
  const std::string_view line(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  std::int64_t bytes = 0;
  if (line.starts_with("QSIZE:")) {
    std::from_chars(line.data() + 6, line.data() + line.size(), bytes);
  }
  return bytes;
}

class Lister {
 public:
  explicit Lister(std::size_t limit) : limit_(limit) {}

  void List(Fd directory, const std::string& path, int depth) {
    struct statfs filesystem;
    const bool queues =
        fstatfs(directory.get(), &filesystem) == 0 && filesystem.f_type == kQueueFilesystem;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(directory.get()), &closedir);
    if (entries == nullptr) return;
    const int at = directory.Release();  // Now the stream's.
    while (const dirent* const entry = readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (found_.size() >= limit_) return;
      Add(at, entry->d_name, path + "/" + std::string(name), queues, depth);
    }
  }

  std::vector<TreeEntry> Take() {
    std::ranges::sort(found_, {}, &TreeEntry::path);
    return std::move(found_);
  }

 private:
  void Add(int directory, const char* name, const std::string& path, bool queues, int depth) {
    struct stat file;
    if (fstatat(directory, name, &file, AT_SYMLINK_NOFOLLOW) != 0) return;  // Gone meanwhile.
    found_.push_back({.path = path,
                      .type = file.st_mode & S_IFMT,
                      .permissions = file.st_mode & 07777,
                      .size = file.st_size,
                      .device = file.st_dev,
                      .inode = file.st_ino,
                      .queue = queues && S_ISREG(file.st_mode)});
    if (found_.back().queue) found_.back().queued_bytes = QueuedBytes(directory, name);
    if (!S_ISDIR(file.st_mode) || depth >= kDepthLimit) return;
    Fd below(openat(directory, name, kLook | O_DIRECTORY));
    if (below) List(std::move(below), path, depth + 1);
  }

  std::size_t limit_;
  std::vector<TreeEntry> found_;
};

}  // namespace

std::string TreeEntry::Name() const {
  const auto last_part = [&] { return path.substr(path.rfind('/')); };
  if (queue) return "POSIX message queue " + Printable(last_part(), kNameLimit);
  const bool shared = path.starts_with("/dev/shm/") && S_ISREG(type);
  if (shared && path.starts_with("/dev/shm/sem.")) {
    return "POSIX semaphore " + Printable("/" + path.substr(13), kNameLimit);
  }
  if (shared) return "POSIX shared memory " + Printable(path.substr(8), kNameLimit);
  const char* const kind = S_ISFIFO(type)   ? "FIFO "
                           : S_ISSOCK(type) ? "socket "
                           : S_ISDIR(type)  ? "directory "
                           : S_ISLNK(type)  ? "symbolic link "
                                            : "file ";
  return kind + Printable(path, kNameLimit);
}

std::vector<TreeEntry> ListTree(pid_t pid, const std::string& directory, std::size_t limit) {
  Lister lister(limit);
  const auto end = directory.find_last_not_of('/');
  Fd opened = OpenDirectory(pid, directory);
  if (opened) lister.List(std::move(opened), directory.substr(0, end + 1), 0);
  return lister.Take();
}

std::optional<std::string> ReadTreeFile(pid_t pid, const std::string& path, std::size_t limit) {
  const auto slash = path.rfind('/');
  const Fd directory = OpenDirectory(pid, path.substr(0, slash + 1));
  const std::string name = path.substr(slash + 1);
  struct stat info;
  if (!directory || fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(info.st_mode)) {
    return std::nullopt;
  }
  const Fd file(
      Check(openat(directory.get(), name.c_str(), kLook), "open " + Printable(path, kNameLimit)));
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  std::string bytes(std::min(limit, static_cast<std::size_t>(info.st_size)), '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = Check(read(file.get(), bytes.data() + size, bytes.size() - size), "read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace ipclab
