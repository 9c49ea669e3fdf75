// What stands on the other side of a FIFO in the box, and what a check says of FIFOs.
//
//   HELPER(Tees) {
//     MakeFifoHere("branch");
//     Peer reader([] { CopyHere(OpenHere("branch", O_RDONLY).get(), STDERR_FILENO); });
//     return reader.EndIf(STUDENT(fifo_tee)(...) == -1);
//   }

#ifndef IPCLAB_GRADERS_FIFO_PEERS_H_
#define IPCLAB_GRADERS_FIFO_PEERS_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/text.h"
#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

inline void MakeFifoHere(const std::string& path) { Check(mkfifo(path.c_str(), 0600), "mkfifo"); }

inline Fd OpenHere(const std::string& path, int flags) {
  return Fd(Check(open(path.c_str(), flags | O_CLOEXEC, 0600), "open"));
}

inline void MakeFileHere(const std::string& path, std::string_view text) {
  const Fd file = OpenHere(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!text.empty()) WriteHere(file.get(), text);
}

inline std::string ReadFileHere(const std::string& path) {
  return ReadHere(OpenHere(path, O_RDONLY).get());
}

// Copies to the end of `from`. Returns how many bytes that were.
inline std::size_t CopyHere(int from, int to) {
  std::string buffer(1 << 16, '\0');
  std::size_t copied = 0;
  while (true) {
    const ssize_t got = Check(read(from, buffer.data(), buffer.size()), "read");
    if (got == 0) return copied;
    const auto size = static_cast<std::size_t>(got);
    for (std::size_t done = 0; done < size;) {
      done += static_cast<std::size_t>(Check(write(to, &buffer[done], size - done), "write"));
    }
    copied += size;
  }
}

// A Beside that can be ended early: a function that fails at once has left its peer waiting.
class Peer {
 public:
  template <typename Body>
  explicit Peer(Body body) : pid_(Check(fork(), "fork")) {
    if (pid_ != 0) return;
    body();
    _exit(0);
  }
  ~Peer() { Join(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void Join() {
    while (pid_ > 0 && waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
    }
    pid_ = -1;
  }
  void End() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    Join();
  }

 private:
  pid_t pid_;
};

// How often a handler of the helper's own has run.
inline volatile sig_atomic_t handled = 0;
inline void CountSignal(int) { handled = handled + 1; }

inline bool IsPendingHere(int signal) {
  sigset_t pending;
  Check(sigpending(&pending), "sigpending");
  return sigismember(&pending, signal) == 1;
}

MATCHER_P(IsNamed, names, "exactly these names are left in the box: " + Join(names, ", ")) {
  *result_listener << (arg.empty() ? "none" : Join(arg, ", "));
  return arg == names;
}

inline std::vector<std::string> Names(std::vector<std::string> names) { return names; }

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_PEERS_H_
