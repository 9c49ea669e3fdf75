// What helpers do in the box around the student's call.
//
//   HELPER(ReadsFromAnother) {
//     PipeEnds line = MakePipe();
//     Beside writer([&] { Gate(); WriteHere(line.write.get(), "late"); });
//     STUDENT(read_full)(...);
//     return 0;
//   }  // `writer` is waited for here.
//
// A helper gives back all it took: what it leaves open is listed as the submission's leftover.

#ifndef IPCLAB_COMMON_GRADING_AROUND_H_
#define IPCLAB_COMMON_GRADING_AROUND_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/fd.h"

namespace ipclab {

// A descriptor that is never open: no helper has that many.
constexpr int kClosedFd = 700;

// A child of the helper's own that runs `body`.
class Beside {
 public:
  template <typename Body>
  explicit Beside(Body body) : pid_(Check(fork(), "fork")) {
    if (pid_ != 0) return;
    body();
    _exit(0);
  }
  ~Beside() { Join(); }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  void Join() {
    while (pid_ > 0 && waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

// Here a process of the helper's own waits until the check lets it on; see HoldAtGate in
// steering.h. The call asks whether the process itself exists, which it does.
inline void Gate() { Check(kill(getpid(), 0), "kill"); }

// Pages of the helper's own that fill every hole in its memory, so that what is mapped next lies
// right before them: at another address than in other helpers, which are forks of one process and
// laid out alike, and with nobody else's memory behind it.
class Displacement {
 public:
  explicit Displacement(int protection = PROT_NONE) {
    // The kernel fills the highest hole that is large enough. What is as large as this goes where
    // the open begins; when a single page goes there too, no hole is left.
    constexpr std::size_t kLarge = 256 * kSize, kMost = 20'000;
    char* const open = static_cast<char*>(Map(kLarge, protection)) + kLarge - kSize;
    munmap(open + kSize - kLarge, kLarge);
    do {
      if (pages_.size() == kMost) throw GraderError("the holes in a helper's memory have no end");
      pages_.push_back(Map(kSize, protection));
    } while (pages_.back() != open);
  }
  ~Displacement() {
    for (void* const page : pages_) munmap(page, kSize);
  }
  Displacement(const Displacement&) = delete;
  Displacement& operator=(const Displacement&) = delete;

  bool Has(const void* address) const {
    return std::find(pages_.begin(), pages_.end(), address) != pages_.end();
  }

 private:
  static constexpr std::size_t kSize = 4096;

  static void* Map(std::size_t size, int protection) {
    void* const at = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw SystemError(errno, "mmap");
    return at;
  }

  std::vector<void*> pages_;
};

// The umask, for as long as this lives.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(umask(mask)) {}
  ~Umask() { umask(old_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  const mode_t old_;
};

// The action of a signal, for as long as this lives.
class Action {
 public:
  Action(int signal, void (*handler)(int)) : signal_(signal) {
    struct sigaction action {};
    action.sa_handler = handler;  // Without SA_RESTART: calls end with EINTR.
    Check(sigaction(signal, &action, &old_), "sigaction");
  }
  ~Action() { sigaction(signal_, &old_, nullptr); }
  Action(const Action&) = delete;
  Action& operator=(const Action&) = delete;

 private:
  const int signal_;
  struct sigaction old_ {};
};

inline void DoNothing(int) {}

// For pipes that hold it all and files.
inline void WriteHere(int fd, std::string_view bytes) {
  const ssize_t put = Check(write(fd, bytes.data(), bytes.size()), "write");
  if (static_cast<std::size_t>(put) != bytes.size()) throw GraderError("a short write");
}

// Up to end of file, or as many bytes as are wanted.
inline std::string ReadHere(int fd, std::size_t wanted = std::string::npos) {
  std::string all;
  std::string buffer(1 << 16, '\0');
  while (all.size() < wanted) {
    const std::size_t most = std::min(buffer.size(), wanted - all.size());
    const ssize_t got = Check(read(fd, buffer.data(), most), "read");
    if (got == 0) break;
    all.append(buffer, 0, static_cast<std::size_t>(got));
  }
  return all;
}

// How many bytes a pipe holds now, and how many it can hold.
inline int BytesIn(int fd) {
  int bytes = 0;
  Check(ioctl(fd, FIONREAD, &bytes), "ioctl(FIONREAD)");
  return bytes;
}
inline int CapacityOf(int fd) { return Check(fcntl(fd, F_GETPIPE_SZ), "fcntl(F_GETPIPE_SZ)"); }

inline void SetFlags(int fd, int flags) { Check(fcntl(fd, F_SETFL, flags), "fcntl(F_SETFL)"); }

// The smallest pipe there is: one page.
inline PipeEnds MakeSmallPipe() {
  PipeEnds line = MakePipe();
  Check(fcntl(line.write.get(), F_SETPIPE_SZ, 1), "fcntl(F_SETPIPE_SZ)");
  return line;
}

// Standard input and output under high numbers as well, and themselves closed if wanted, for as
// long as this lives. The high numbers survive exec if nobody takes care.
class MovedStdio {
 public:
  static constexpr int kIn = 7;
  static constexpr int kOut = 8;

  MovedStdio() {
    Check(dup2(STDIN_FILENO, kIn), "dup2");
    Check(dup2(STDOUT_FILENO, kOut), "dup2");
  }
  ~MovedStdio() {
    for (const auto& [high, standard] : {std::pair(kIn, STDIN_FILENO), {kOut, STDOUT_FILENO}}) {
      dup2(high, standard);
      close(high);
    }
  }
  MovedStdio(const MovedStdio&) = delete;
  MovedStdio& operator=(const MovedStdio&) = delete;
};

// SIGPIPE ignored and blocked, for as long as this lives.
class DeafToSigpipe {
 public:
  DeafToSigpipe() {
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    Check(sigprocmask(SIG_BLOCK, &sigpipe, &old_mask_), "sigprocmask");
  }
  ~DeafToSigpipe() { sigprocmask(SIG_SETMASK, &old_mask_, nullptr); }
  DeafToSigpipe(const DeafToSigpipe&) = delete;
  DeafToSigpipe& operator=(const DeafToSigpipe&) = delete;

 private:
  const Action ignored_{SIGPIPE, SIG_IGN};
  sigset_t old_mask_;
};

// Waits until a child (by default, any) has ended, and leaves it to be collected.
inline void AwaitEnd(pid_t pid = -1) {
  siginfo_t info;
  Check(waitid(pid == -1 ? P_ALL : P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT),
        "waitid");
}

// Gets rid of what a student's function started, without a student's function.
inline void TidyUp(int one_end, int other_end, pid_t pid) {
  if (one_end > 2) close(one_end);
  if (other_end > 2 && other_end != one_end) close(other_end);
  if (pid <= 1) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) == -1 && errno == EINTR) {
  }
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_AROUND_H_
