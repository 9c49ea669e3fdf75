// The reference solution of the lab `fifo`. Solve the exercises first: there is one road here, and
// there are many others.
#include "fifo.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace ipclab::fifo {

namespace {

// ---- Tools -------------------------------------------------------------------------------------

int Fail(int error) {
  errno = error;
  return -1;
}

// Clean-up makes system calls too. The caller wants the errno of what failed before it.
class KeepErrno {
 public:
  KeepErrno() = default;
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = saved_; }

 private:
  const int saved_ = errno;
};

// Makes a call again for as long as signals interrupt it.
template <typename Call>
auto Again(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// Owns a descriptor. What close(2) returns is not looked at: a FIFO has nothing to flush, the
// number is free in any case, and a second close could hit a number that is somebody else's by now.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    Reset(other.Release());
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    KeepErrno keep;
    if (fd_ != -1) static_cast<void>(close(fd_));
    fd_ = fd;
  }

 private:
  int fd_;
};

using Clock = std::chrono::steady_clock;  // The wall clock may be set back.

// The end of a call's time, fixed when it begins: a wait that goes on after a signal gets what is
// left and not the whole time again.
class Deadline {
 public:
  explicit Deadline(int timeout_ms)
      : never_(timeout_ms < 0), end_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}

  // As poll(2) wants it. Rounded up: rounded down, the last fraction would be spent spinning at 0.
  int LeftMs() const {
    if (never_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

 private:
  const bool never_;
  const Clock::time_point end_;
};

// Opens a FIFO and nothing else. What the name stands for is looked at twice: before, because the
// open of a device may do things and that of a directory has an error of its own; and after,
// because somebody may have put something else there in between.
int OpenFifo(const char* path, int flags) {
  struct stat about;
  if (stat(path, &about) == -1) return -1;
  if (!S_ISFIFO(about.st_mode)) return Fail(EINVAL);
  // An open that waits for the other side can be interrupted like any other wait.
  Fd fd(Again([&] { return open(path, flags | O_CLOEXEC); }));
  if (fd.get() == -1 || fstat(fd.get(), &about) == -1) return -1;
  return S_ISFIFO(about.st_mode) ? fd.Release() : Fail(EINVAL);
}

int MakeBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

// Takes away the SIGPIPE that write raised, and no other one.
void TakeSigpipe(const sigset_t& sigpipe, bool was_pending) {
  KeepErrno keep;
  const timespec now = {0, 0};
  static_cast<void>(Again([&] { return sigtimedwait(&sigpipe, nullptr, &now); }));
  if (!was_pending) return;
  // The new one may have merged with one that the thread had already. That one goes back.
  sigset_t left;
  if (sigpending(&left) == 0 && sigismember(&left, SIGPIPE) == 0) {
    static_cast<void>(raise(SIGPIPE));
  }
}

// As write(2), but a reader who has gone is EPIPE and no signal. SIGPIPE comes to the thread that
// writes: blocked there, it becomes pending, and sigtimedwait takes it. To ignore it meanwhile
// would change the caller's other threads too.
ssize_t WriteQuietly(int fd, const void* buf, std::size_t n) {
  sigset_t sigpipe;
  sigset_t old_mask;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  const int blocked = pthread_sigmask(SIG_BLOCK, &sigpipe, &old_mask);
  if (blocked != 0) return Fail(blocked);  // It returns the error; errno is not set.

  ssize_t put = -1;
  sigset_t pending;
  if (sigpending(&pending) == 0) {
    const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    put = write(fd, buf, n);
    // The signal comes with EPIPE, but also with a short count: when the reader leaves while we
    // wait for room, write returns what it had moved and raises SIGPIPE all the same.
    const bool broken = put == -1 && errno == EPIPE;
    const bool cut_short = put != -1 && static_cast<std::size_t>(put) < n;
    if (broken || (cut_short && !was_pending)) TakeSigpipe(sigpipe, was_pending);
  }
  // Fails only for a wrong first argument, so nothing can be lost by not looking.
  static_cast<void>(pthread_sigmask(SIG_SETMASK, &old_mask, nullptr));
  return put;
}

int WriteAll(int fd, const char* bytes, std::size_t n) {
  for (std::size_t done = 0; done < n;) {
    const ssize_t put = Again([&] { return WriteQuietly(fd, bytes + done, n - done); });
    if (put == -1) return -1;
    done += static_cast<std::size_t>(put);
  }
  return 0;
}

// Copies to the end of `in`. Returns the number of bytes.
ssize_t CopyToEnd(int in, int out) {
  char buf[16384];
  for (ssize_t copied = 0;;) {
    const ssize_t got = Again([&] { return read(in, buf, sizeof buf); });
    if (got == -1) return -1;
    if (got == 0) return copied;
    if (WriteAll(out, buf, static_cast<std::size_t>(got)) == -1) return -1;
    copied += got;
  }
}

template <typename... Arguments>
int NotYet(const Arguments&...) {
  return Fail(ENOSYS);
}

}  // namespace

// ---- 1. Make and check --------------------------------------------------------------------------

int fifo_make(const char* path, mode_t mode) {
  for (;;) {
    // Made first, asked afterwards. Whoever asks first, with access(2) for instance, learns how
    // things were; somebody may come in before the next line.
    if (mkfifo(path, mode) == 0) break;
    if (errno != EEXIST) return -1;
    struct stat about;
    // lstat and not stat: mkfifo does not follow a link either, so a dangling one is in its way.
    if (lstat(path, &about) == 0) return S_ISFIFO(about.st_mode) ? 1 : Fail(EEXIST);
    if (errno != ENOENT) return -1;
    // It was there and has gone: again from the start.
  }
  // The umask has taken bits from `mode`. It cannot even be read without being changed, and it
  // belongs to the whole process, so the bits are set once more: chmod does not ask it.
  if (chmod(path, mode) == 0) return 0;
  KeepErrno keep;
  static_cast<void>(unlink(path));
  return -1;
}

int fifo_is(const char* path) {
  struct stat about;
  if (lstat(path, &about) == -1) return -1;
  return S_ISFIFO(about.st_mode) ? 1 : 0;
}

int fifo_remove(const char* path) {
  const int is = fifo_is(path);
  if (is == -1) return -1;
  return is == 1 ? unlink(path) : Fail(EINVAL);
}

// ---- 2. Sender and drainer ----------------------------------------------------------------------
// Neither asks whether the other one is there. A plain open of one end waits until somebody opens
// the other, so both may start in any order; and once that has happened, read returns 0 only when
// the last writer has left. (A reader with O_NONBLOCK would not wait, and its first read returns 0
// because no writer has come yet.)

int fifo_send_file(const char* path, int in_fd) {
  const Fd fifo(OpenFifo(path, O_WRONLY));
  if (fifo.get() == -1) return -1;
  return CopyToEnd(in_fd, fifo.get()) == -1 ? -1 : 0;
}

ssize_t fifo_drain(const char* path, int out_fd) {
  const Fd fifo(OpenFifo(path, O_RDONLY));
  if (fifo.get() == -1) return -1;
  return CopyToEnd(fifo.get(), out_fd);
}

// ---- 3. Opening rules ---------------------------------------------------------------------------
// Without the other side, a FIFO opened with O_NONBLOCK gives a descriptor to a reader and ENXIO to
// a writer. O_NONBLOCK is only for the open: a caller who found it set later would lose bytes.

int fifo_open_read(const char* path, int timeout_ms) {
  const Deadline deadline(timeout_ms);
  Fd fifo(OpenFifo(path, O_RDONLY | O_NONBLOCK));
  if (fifo.get() == -1) return -1;
  // read returns 0 both before the first writer and after the last. poll tells them apart: POLLHUP
  // comes only when a writer has been there since our open.
  pollfd end = {fifo.get(), POLLIN, 0};
  const int ready = Again([&] { return poll(&end, 1, deadline.LeftMs()); });
  if (ready == -1) return -1;
  if (ready == 0) return Fail(ETIMEDOUT);
  return MakeBlocking(fifo.get()) == -1 ? -1 : fifo.Release();
}

int fifo_open_write(const char* path, int timeout_ms) {
  constexpr int kPauseMs = 2;
  const Deadline deadline(timeout_ms);
  for (;;) {
    Fd fifo(OpenFifo(path, O_WRONLY | O_NONBLOCK));
    if (fifo.get() != -1) return MakeBlocking(fifo.get()) == -1 ? -1 : fifo.Release();
    if (errno != ENXIO) return -1;
    const int left_ms = deadline.LeftMs();
    if (left_ms == 0) return Fail(ETIMEDOUT);
    const int pause_ms = left_ms == -1 ? kPauseMs : std::min(left_ms, kPauseMs);
    const timespec pause = {0, pause_ms * 1'000'000L};
    // A signal makes it shorter: then the next try comes earlier, which does no harm.
    if (nanosleep(&pause, nullptr) == -1 && errno != EINTR) return -1;
  }
}

int fifo_open_server(const char* path, int* keeper_fd) {
  Fd fifo(OpenFifo(path, O_RDONLY | O_NONBLOCK));
  if (fifo.get() == -1) return -1;
  // Now there is a reader, ourselves, so this one waits for nobody either. While it is open there
  // is always a writer, and read never reports the end.
  Fd keeper(OpenFifo(path, O_WRONLY | O_NONBLOCK));
  if (keeper.get() == -1 || MakeBlocking(fifo.get()) == -1) return -1;
  *keeper_fd = keeper.Release();
  return fifo.Release();
}

// ---- 4. Many writers, one log -------------------------------------------------------------------

int log_open(const char* path) { return OpenFifo(path, O_WRONLY); }

int log_line(int fd, const char* tag, const char* text) {
  if (std::strpbrk(tag, ":\n") != nullptr || std::strchr(text, '\n') != nullptr) {
    return Fail(EINVAL);
  }
  const std::size_t size = std::strlen(tag) + std::strlen(text) + std::strlen(": \n");
  if (size > PIPE_BUF) return Fail(EMSGSIZE);
  // Up to and including PIPE_BUF bytes, one write is all or nothing: no other writer gets between,
  // there is no short count, and after EINTR nothing has been written.
  char line[PIPE_BUF + 1];
  stpcpy(stpcpy(stpcpy(stpcpy(line, tag), ": "), text), "\n");
  const ssize_t put = Again([&] { return WriteQuietly(fd, line, size); });
  if (put == -1) return -1;
  return static_cast<std::size_t>(put) == size ? 0 : Fail(EIO);
}

namespace {

// A tag has no colon, so the first one ends it.
bool IsGoodbye(std::string_view line) {
  const std::size_t colon = line.find(':');
  return colon != line.npos && line.substr(colon) == ": bye\n";
}

// Cuts what comes from a FIFO into lines. A line that is not complete yet waits for its rest.
class Lines {
 public:
  void Add(const char* bytes, std::size_t n) { text_.append(bytes, n); }

  // The next whole line with its newline, valid until the next call; empty if there is none.
  std::string_view Next() {
    text_.erase(0, std::exchange(taken_, 0));
    taken_ = text_.find('\n') + 1;  // npos + 1 is 0.
    return std::string_view(text_).substr(0, taken_);
  }

 private:
  std::string text_;
  std::size_t taken_ = 0;
};

int CollectLines(int fifo, int out_fd, int writers) {
  Lines lines;
  for (int copied = 0;;) {
    char buf[PIPE_BUF];
    const ssize_t got = Again([&] { return read(fifo, buf, sizeof buf); });
    if (got == -1) return -1;
    lines.Add(buf, static_cast<std::size_t>(got));
    for (std::string_view line = lines.Next(); !line.empty(); line = lines.Next()) {
      if (IsGoodbye(line)) {
        if (--writers == 0) return copied;
        continue;
      }
      if (WriteAll(out_fd, line.data(), line.size()) == -1) return -1;
      ++copied;
    }
  }
}

}  // namespace

int log_collect(const char* path, int out_fd, int expected_writers) {
  if (expected_writers < 1) return Fail(EINVAL);
  // As a server does it: writers come and go, and no moment without them is an end of file.
  int keeper_fd = -1;
  const Fd fifo(fifo_open_server(path, &keeper_fd));
  if (fifo.get() == -1) return -1;
  const Fd keeper(keeper_fd);
  try {
    return CollectLines(fifo.get(), out_fd, expected_writers);
  } catch (const std::bad_alloc&) {
    return Fail(ENOMEM);
  }
}

// ---- 5. FIFO tee --------------------------------------------------------------------------------

int fifo_tee(int in_fd, int out_fd, const char* path) {
  // Not yet: fifo.h, section 5.
  return NotYet(in_fd, out_fd, path);
}

int split_run(const char* const producer[], const char* const filter_a[],
              const char* const filter_b[], const char* workdir, int out_a, int out_b,
              int statuses[3]) {
  // Not yet: fifo.h, section 5.
  return NotYet(producer, filter_a, filter_b, workdir, out_a, out_b, statuses);
}

// ---- 6. Client and server -----------------------------------------------------------------------

int serve(const char* well_known, const char* dir, RequestHandler handler, void* arg,
          volatile std::sig_atomic_t* stop) {
  // Not yet: fifo.h, section 6.
  return NotYet(well_known, dir, handler, arg, stop);
}

int request(const char* well_known, const char* dir, const char* req, char* reply, std::size_t cap,
            int timeout_ms) {
  // Not yet: fifo.h, section 6.
  return NotYet(well_known, dir, req, reply, cap, timeout_ms);
}

// ---- 7. Chat ------------------------------------------------------------------------------------

int chat_lockstep(const char* tx, const char* rx, int first, int in_fd, int out_fd, int rounds) {
  // Not yet: fifo.h, section 7.
  return NotYet(tx, rx, first, in_fd, out_fd, rounds);
}

int chat(const char* tx, const char* rx, int first, int in_fd, int out_fd) {
  // Not yet: fifo.h, section 7.
  return NotYet(tx, rx, first, in_fd, out_fd);
}

}  // namespace ipclab::fifo
