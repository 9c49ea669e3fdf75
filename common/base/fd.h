// Owns a file descriptor.
//
//   Fd file(Check(open(path, O_RDONLY | O_CLOEXEC), "open"));
//   read(file.get(), ...);
//   // closed on scope exit

#ifndef IPCLAB_COMMON_BASE_FD_H_
#define IPCLAB_COMMON_BASE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "common/base/error.h"

namespace ipclab {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  // Swapping hands the old descriptor to `other`, whose destructor closes it.
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The two ends of a pipe, both close-on-exec. See pipe(2).
struct PipeEnds {
  Fd read;
  Fd write;
};

inline PipeEnds MakePipe() {
  int ends[2];
  Check(pipe2(ends, O_CLOEXEC), "pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_FD_H_
