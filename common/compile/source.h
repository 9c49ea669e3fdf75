// Reads what a student handed in, trusting nothing about the file.
//
//   const Source source = ReadSource("labs/pipe/pipe.cc");       // throws UsageError
//   const Source other = ReadSource("/class/ada", "pipe/pipe.cc");
//
// UsageError::what() is one line for the user that names the file and the fix.

#ifndef IPCLAB_COMMON_COMPILE_SOURCE_H_
#define IPCLAB_COMMON_COMPILE_SOURCE_H_

#include <cstddef>
#include <stdexcept>
#include <string>

namespace ipclab {

// The user asked for something that cannot be done; nothing was changed.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;

struct Source {
  std::string shown_path;  // As the compiler's messages shall name the file.
  std::string text;
};

// Reads a regular file of at most kMaxSourceBytes without NUL bytes. `path` itself must not be a
// symbolic link; the folders on the way may be. Never blocks, whatever stands at `path`. See
// openat(2). Throws UsageError, also for a file that is missing or may not be read.
Source ReadSource(const std::string& path);

// The same for "root/below" where no part of `below` may be a symbolic link or "..": for a folder
// that a student made.
Source ReadSource(const std::string& root, const std::string& below);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_SOURCE_H_
