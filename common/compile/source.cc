#include "common/compile/source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr char kFix[] = "; hand in a regular C++ source file";

UsageError Refused(const std::string& shown, const std::string& why) {
  return UsageError(Printable(shown, 4096) + ": " + why);
}

// ELOOP is how O_NOFOLLOW refuses a link; with O_DIRECTORY it is ENOTDIR.
UsageError CannotOpen(const std::string& shown, int error) {
  if (error == ELOOP) return Refused(shown, std::string("is a symbolic link") + kFix);
  if (error == ENOENT) return Refused(shown, "no such file; check the folder and the file's name");
  if (error == EACCES) return Refused(shown, "cannot be read; give read permission (chmod u+r)");
  if (error == ENXIO || error == ENODEV) {
    return Refused(shown, std::string("is not a regular file") + kFix);
  }
  return Refused(shown, "cannot be opened: " + DescribeErrno(error));
}

const char* KindOfFile(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

Source ReadOpened(int directory, const char* name, const std::string& shown) {
  // O_NONBLOCK: to open a FIFO would wait for a writer.
  const Fd file(openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) throw CannotOpen(shown, errno);
  struct stat status;
  Check(fstat(file.get(), &status), "fstat");
  if (!S_ISREG(status.st_mode)) {
    throw Refused(shown, std::string("is ") + KindOfFile(status.st_mode) + kFix);
  }

  // The size says nothing about a file that still grows: read up to one byte too many instead.
  std::string text(kMaxSourceBytes + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t n = read(file.get(), text.data() + length, text.size() - length);
    if (n == -1 && errno == EINTR) continue;
    if (n == -1) throw Refused(shown, "cannot be read: " + DescribeErrno(errno));
    if (n == 0) break;
    length += static_cast<std::size_t>(n);
  }
  if (length > kMaxSourceBytes) {
    throw Refused(shown, "is larger than 1 MiB; hand in the source file alone");
  }
  text.resize(length);
  if (text.find('\0') != std::string::npos) {
    throw Refused(shown, "contains NUL bytes, so it is not source text; hand in the .cc file");
  }
  return {shown, std::move(text)};
}

std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (end > start) parts.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

}  // namespace

Source ReadSource(const std::string& path) { return ReadOpened(AT_FDCWD, path.c_str(), path); }

Source ReadSource(const std::string& root, const std::string& below) {
  const std::string shown = root == "." ? below : root + "/" + below;
  Fd folder(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) throw CannotOpen(root, errno);

  std::vector<std::string> parts = Components(below);
  if (parts.empty()) throw Refused(shown, std::string("is a folder") + kFix);
  const std::string name = parts.back();
  parts.pop_back();
  for (const std::string& part : parts) {
    if (part == "..") throw Refused(shown, "leaves the folder " + Printable(root, 4096));
    Fd next(openat(folder.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOTDIR) {
      throw Refused(shown, Printable(part, 255) +
                               " on the way is a symbolic link or no folder; hand in real folders");
    }
    if (!next) throw CannotOpen(shown, errno);
    folder = std::move(next);
  }
  return ReadOpened(folder.get(), name.c_str(), shown);
}

}  // namespace ipclab
