#include "common/cli/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/compile/source.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

// Removes the half-written file unless it became the real one.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {
    fd_ = Fd(Check(mkostemp(path_.data(), O_CLOEXEC), "create a file beside " + path_));
  }
  ~Temporary() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  int fd() const { return fd_.get(); }
  void RenameTo(const std::string& path) {
    Check(rename(path_.c_str(), path.c_str()), "rename to " + path);
    path_.clear();
  }

 private:
  std::string path_;
  Fd fd_;
};

fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// mkstemp(3) makes files that only the owner can read; a result is as public as any new file.
mode_t NewFileMode() {
  const mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

}  // namespace

void CheckWritable(const fs::path& path) {
  const std::string folder = FolderOf(path).string();
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    throw UsageError(path.string() + ": is not a regular file, so no result is written there");
  }
  if (!path.has_filename()) throw UsageError("'" + path.string() + "': names no file");
  if (stat(folder.c_str(), &info) == -1 || !S_ISDIR(info.st_mode)) {
    throw UsageError(path.string() + ": there is no folder " + folder);
  }
  if (access(folder.c_str(), W_OK | X_OK) == -1) {
    throw UsageError(path.string() + ": the folder " + folder + " cannot be written (" +
                     ErrnoName(errno) + ")");
  }
}

void WriteAllTo(int fd, std::string_view text, std::string_view what) {
  while (!text.empty()) {
    const ssize_t size = write(fd, text.data(), text.size());
    if (size == -1 && errno == EINTR) continue;
    text.remove_prefix(static_cast<std::size_t>(Check(size, "write to " + std::string(what))));
  }
}

void WriteAtomically(const fs::path& path, std::string_view text) {
  // A link stays a link: the file it leads to is replaced.
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  const fs::path target = error ? path : real;
  Temporary temporary((FolderOf(target) / ("." + target.filename().string() + ".XXXXXX")).string());
  WriteAllTo(temporary.fd(), text, path.string());
  Check(fchmod(temporary.fd(), NewFileMode()), "fchmod");
  temporary.RenameTo(target.string());
}

}  // namespace ipclab
