// The reference solution of the lab `fifo`. Solve the exercises first: there is one road here, and
// there are many others.
#include "fifo.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
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

// Reads once: the number of bytes, 0 at end of file, or -1.
ssize_t ReadSome(int fd, void* buf, std::size_t cap) {
  return Again([&] { return read(fd, buf, cap); });
}

// poll(2) with what is left of the time, anew in each round, or every signal would prolong it.
int Await(pollfd* ends, nfds_t count, const Deadline& deadline) {
  return Again([&] { return poll(ends, count, deadline.LeftMs()); });
}

// A FIFO that we made and that goes when we do.
class OwnFifo {
 public:
  OwnFifo() = default;
  OwnFifo(const OwnFifo&) = delete;
  OwnFifo& operator=(const OwnFifo&) = delete;
  ~OwnFifo() {
    KeepErrno keep;
    static_cast<void>(Remove());
  }

  // The name may not be there yet: EEXIST.
  int Make(const char* path) {
    const int length = std::snprintf(path_, sizeof path_, "%s", path);
    if (length >= static_cast<int>(sizeof path_)) return Fail(ENAMETOOLONG);
    if (mkfifo(path_, 0600) == -1) return -1;
    made_ = true;
    return chmod(path_, 0600);  // The umask may have taken more than was meant for others.
  }
  int Remove() { return std::exchange(made_, false) ? unlink(path_) : 0; }
  const char* path() const { return path_; }

 private:
  char path_[PATH_MAX];
  bool made_ = false;
};

// ---- Tools for children ------------------------------------------------------------------------

struct Pipe {
  Fd read;
  Fd write;
};

// Returns `fd` itself when it is above 2, else a close-on-exec copy of it that is.
int AboveStdio(int fd) { return fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3); }

int Lift(Fd* fd) {
  const int high = AboveStdio(fd->get());
  if (high == -1) return -1;
  if (high != fd->get()) fd->Reset(high);
  return 0;
}

// Both ends are close-on-exec and above 2, so that no program inherits one by accident, and dup2
// never meets a source that is its own target.
int MakePipe(Pipe* made) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) == -1) return -1;
  made->read.Reset(ends[0]);
  made->write.Reset(ends[1]);
  return Lift(&made->read) == -1 || Lift(&made->write) == -1 ? -1 : 0;
}

// Waits for this child and no other. `status` may be null.
int WaitFor(pid_t pid, int* status) {
  return Again([&] { return waitpid(pid, status, 0); }) == -1 ? -1 : 0;
}

// Ends a child whose work nobody wants any more. SIGKILL, because it may be waiting for anything.
void EndChild(pid_t pid) {
  KeepErrno keep;
  static_cast<void>(kill(pid, SIGKILL));
  static_cast<void>(WaitFor(pid, nullptr));
}

// An ignored or blocked SIGPIPE would survive exec, and a producer would not end quietly when
// nobody reads it any more.
int DefaultSigpipe() {
  sigset_t sigpipe;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  if (signal(SIGPIPE, SIG_DFL) == SIG_ERR) return -1;
  return sigprocmask(SIG_UNBLOCK, &sigpipe, nullptr);
}

int Connect(int from, int to) {
  return Again([&] { return dup2(from, to); });
}

// Becomes the program `argv` with `in` and `out` as standard input and output (-1: as it is).
// Returns only when that failed, with errno.
void Become(int in, int out, const char* const argv[]) {
  // Out of the way first: if `out` were descriptor 0, connecting `in` would overwrite it.
  if (in != -1 && (in = AboveStdio(in)) == -1) return;
  if ((out = AboveStdio(out)) == -1) return;
  if (in != -1 && Connect(in, STDIN_FILENO) == -1) return;
  if (Connect(out, STDOUT_FILENO) == -1) return;
  if (DefaultSigpipe() == -1) return;
  execvp(argv[0], const_cast<char* const*>(argv));
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

namespace {

// Copies `in` to both until its end, or until nobody is left who wants the bytes. Returns the bits
// of those whose reader left. A slow reader slows down the other one; holding the bytes back for it
// would take memory without limit.
int Tee(int in, int one, int other) {
  const int outs[] = {one, other};
  constexpr int kAll = 3;
  char buf[16384];
  int gone = 0;
  while (gone != kAll) {
    const ssize_t got = ReadSome(in, buf, sizeof buf);
    if (got == -1) return -1;
    if (got == 0) break;
    for (int i = 0; i < 2; ++i) {
      const int bit = 1 << i;
      if ((gone & bit) != 0) continue;
      if (WriteAll(outs[i], buf, static_cast<std::size_t>(got)) == 0) continue;
      if (errno != EPIPE) return -1;
      gone |= bit;
    }
  }
  return gone;
}

// A FIFO with both ends open, above 2 like those of a pipe.
int OpenBothEnds(const char* path, Pipe* made) {
  // To open one end is to wait for somebody at the other. Here we are both: a non-blocking open for
  // reading waits for nobody, and then there is a reader, so the open for writing finds it.
  made->read.Reset(OpenFifo(path, O_RDONLY | O_NONBLOCK));
  if (made->read.get() == -1) return -1;
  made->write.Reset(OpenFifo(path, O_WRONLY));
  if (made->write.get() == -1) return -1;
  // Programs expect a standard input that waits.
  if (MakeBlocking(made->read.get()) == -1) return -1;
  return Lift(&made->read) == -1 || Lift(&made->write) == -1 ? -1 : 0;
}

// The children of split_run: ended if we leave before they have been waited for.
class Programs {
 public:
  Programs() = default;
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  ~Programs() {
    for (; waited_ < started_; ++waited_) EndChild(pids_[waited_]);
  }

  int Start(const char* const argv[], int in, int out) {
    const pid_t pid = fork();
    if (pid == -1) return -1;
    if (pid == 0) {
      Become(in, out, argv);
      _exit(127);
    }
    pids_[started_++] = pid;
    return 0;
  }
  int Wait(int* statuses) {
    int error = 0;
    // One lost status is no reason to leave the other children unwaited for.
    for (; waited_ < started_; ++waited_) {
      if (WaitFor(pids_[waited_], &statuses[waited_]) == -1 && error == 0) error = errno;
    }
    return error == 0 ? 0 : Fail(error);
  }

 private:
  pid_t pids_[3];
  int started_ = 0;
  int waited_ = 0;
};

// A name that nobody else has: mkfifo itself finds out, and no question asked before it could.
int MakeUnique(OwnFifo* fifo, const char* directory) {
  for (int i = 0;; ++i) {
    char path[PATH_MAX];
    const int length = std::snprintf(path, sizeof path, "%s/split.%d.%d", directory,
                                     static_cast<int>(getpid()), i);
    if (length >= static_cast<int>(sizeof path)) return Fail(ENAMETOOLONG);
    if (fifo->Make(path) == 0) return 0;
    if (errno != EEXIST || i == INT_MAX) return -1;
  }
}

}  // namespace

int fifo_tee(int in_fd, int out_fd, const char* path) {
  const Fd fifo(OpenFifo(path, O_WRONLY));
  return fifo.get() == -1 ? -1 : Tee(in_fd, out_fd, fifo.get());
}

int split_run(const char* const producer[], const char* const filter_a[],
              const char* const filter_b[], const char* workdir, int out_a, int out_b,
              int statuses[3]) {
  if (producer[0] == nullptr || filter_a[0] == nullptr || filter_b[0] == nullptr) {
    return Fail(EINVAL);
  }
  OwnFifo fifo;
  Pipe branch;
  Pipe source;
  Pipe sink;
  if (MakeUnique(&fifo, workdir) == -1 || OpenBothEnds(fifo.path(), &branch) == -1) return -1;
  if (MakePipe(&source) == -1 || MakePipe(&sink) == -1) return -1;
  Programs programs;
  if (programs.Start(producer, -1, source.write.get()) == -1) return -1;
  if (programs.Start(filter_a, sink.read.get(), out_a) == -1) return -1;
  if (programs.Start(filter_b, branch.read.get(), out_b) == -1) return -1;
  // From here on each end is in one process: a producer that ends is end of file for us, and a
  // filter that leaves is EPIPE.
  source.write.Reset();
  sink.read.Reset();
  branch.read.Reset();
  // The tee of the picture are we ourselves: it must run beside the three, and so do we.
  if (Tee(source.read.get(), sink.write.get(), branch.write.get()) == -1) return -1;
  // End of file for the filters; SIGPIPE for a producer whose bytes nobody wants. Then wait.
  source.read.Reset();
  sink.write.Reset();
  branch.write.Reset();
  const int waited = programs.Wait(statuses);
  return fifo.Remove() == -1 ? -1 : waited;
}

// ---- 6. Client and server -----------------------------------------------------------------------

namespace {

constexpr std::size_t kMaxText = PIPE_BUF - sizeof(RequestHeader);

int ReplyPath(char (&path)[PATH_MAX], const char* dir, std::int32_t pid) {
  const int length = std::snprintf(path, sizeof path, "%s/reply.%d", dir, pid);
  return length < static_cast<int>(sizeof path) ? 0 : Fail(ENAMETOOLONG);
}

// What has come through the well-known FIFO and is not served yet. The bytes of a FIFO know nothing
// of the records: a read may end in the middle of one.
class Inbox {
 public:
  // Reads on without waiting. Returns 1, 0 when nothing is there now, or -1.
  int Fill(int fd) {
    const ssize_t got = Again([&] { return read(fd, bytes_ + size_, sizeof bytes_ - size_); });
    if (got > 0) size_ += static_cast<std::size_t>(got);
    if (got != -1) return 1;
    if (errno != EAGAIN) return -1;
    // The FIFO is empty. A client writes its record in one piece, so the rest of this one is not
    // going to come, and what comes next is the beginning of another.
    size_ = 0;
    return 0;
  }

  // Takes out the next request, with a NUL behind its text. Returns 1, 0 when it is not whole yet,
  // or -1 with EBADMSG.
  int Take(RequestHeader* header, char* text) {
    if (size_ < sizeof *header) return 0;
    std::memcpy(header, bytes_, sizeof *header);
    if (header->pid < 1 || header->length > kMaxText) return Fail(EBADMSG);
    const std::size_t whole = sizeof *header + header->length;
    if (size_ < whole) return 0;
    std::memcpy(text, bytes_ + sizeof *header, header->length);
    text[header->length] = '\0';
    size_ -= whole;
    std::memmove(bytes_, bytes_ + whole, size_);
    return 1;
  }

  // Forgets all, and with it what is in the FIFO now. Who goes on writing does not keep us here.
  int Drop(int fd) {
    size_ = 0;
    int left = 0;
    if (ioctl(fd, FIONREAD, &left) == -1) return -1;
    while (left > 0) {
      const std::size_t most = std::min(static_cast<std::size_t>(left), sizeof bytes_);
      const ssize_t got = Again([&] { return read(fd, bytes_, most); });
      if (got <= 0) return got == 0 || errno == EAGAIN ? 0 : -1;
      left -= static_cast<int>(got);
    }
    return 0;
  }

 private:
  char bytes_[PIPE_BUF];
  std::size_t size_ = 0;
};

// Sends the answer if the client is there and has room for it, else drops it. Every client decides
// about its own FIFO only: it may be missing, something else, unopened (ENXIO), full (EAGAIN) or
// left (EPIPE), and none of that is the server's trouble.
void Deliver(const char* dir, std::int32_t pid, const char* reply) {
  char path[PATH_MAX];
  if (ReplyPath(path, dir, pid) == -1) return;
  const Fd fifo(OpenFifo(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW));
  if (fifo.get() == -1) return;
  const std::size_t size = std::min<std::size_t>(std::strlen(reply) + 1, PIPE_BUF);
  static_cast<void>(Again([&] { return WriteQuietly(fifo.get(), reply, size); }));
}

// Waits until there is something to read or *stop is set. Between a look at *stop and a wait, the
// signal could come and be lost. So it is kept out from before the look on, and let in by ppoll, in
// one step with the wait. (Poll with a timeout of a second would notice as well, only later.)
int AwaitRequest(int fd, const volatile std::sig_atomic_t* stop) {
  sigset_t all;
  sigset_t old_mask;
  sigfillset(&all);
  const int blocked = pthread_sigmask(SIG_BLOCK, &all, &old_mask);
  if (blocked != 0) return Fail(blocked);
  pollfd end = {fd, POLLIN, 0};
  const int ready = *stop != 0 ? 0 : ppoll(&end, 1, nullptr, &old_mask);
  KeepErrno keep;
  static_cast<void>(pthread_sigmask(SIG_SETMASK, &old_mask, nullptr));
  return ready == -1 && errno != EINTR ? -1 : 0;
}

// Returns the number of requests handed to `handler`, or -1.
int ServeUntil(int fd, const char* dir, RequestHandler handler, void* arg,
               const volatile std::sig_atomic_t* stop) {
  Inbox inbox;
  int served = 0;
  while (*stop == 0) {
    RequestHeader header;
    char text[PIPE_BUF + 1];
    const int taken = inbox.Take(&header, text);
    if (taken == 1) {
      char reply[PIPE_BUF];
      ++served;
      if (handler(text, reply, sizeof reply, arg) == 0) Deliver(dir, header.pid, reply);
    } else if (taken == -1) {
      if (inbox.Drop(fd) == -1) return -1;
    } else {
      const int filled = inbox.Fill(fd);
      if (filled == -1 || (filled == 0 && AwaitRequest(fd, stop) == -1)) return -1;
    }
  }
  return served;
}

// Makes DIR/reply.PID. One that is there already was left behind by an earlier process of our pid,
// which was killed. It is not used: whoever has it open still may write into it.
int MakeMailbox(OwnFifo* mailbox, const char* dir) {
  char path[PATH_MAX];
  if (ReplyPath(path, dir, getpid()) == -1) return -1;
  if (mailbox->Make(path) == 0) return 0;
  struct stat info;
  if (errno != EEXIST || lstat(path, &info) == -1) return -1;
  if (!S_ISFIFO(info.st_mode)) return Fail(EINVAL);
  return unlink(path) == -1 ? -1 : mailbox->Make(path);
}

int SendRequest(int server, const char* req, const Deadline& deadline) {
  const std::size_t length = std::strlen(req);
  const RequestHeader header = {getpid(), static_cast<std::uint32_t>(length)};
  char record[PIPE_BUF];
  std::memcpy(record, &header, sizeof header);
  std::memcpy(record + sizeof header, req, length);
  // Up to PIPE_BUF bytes go as a whole or not at all, so there is no rest to look after.
  while (WriteQuietly(server, record, sizeof header + length) == -1) {
    if (errno == EPIPE) return Fail(ENXIO);  // There was a server when we opened its FIFO.
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return -1;
    pollfd end = {server, POLLOUT, 0};
    const int ready = Await(&end, 1, deadline);
    if (ready <= 0) return ready == 0 ? Fail(ETIMEDOUT) : -1;
  }
  return 0;
}

// Waits for the answer; and for the server to go, which poll tells of a write end (POLLERR).
int ReceiveReply(int answers, int server, char* reply, std::size_t cap, const Deadline& deadline) {
  char bytes[PIPE_BUF];
  std::size_t size = 0;
  for (bool left = false;;) {
    const ssize_t got = Again([&] { return read(answers, bytes + size, sizeof bytes - size); });
    if (got == -1 && errno != EAGAIN) return -1;
    if (got > 0) {
      size += static_cast<std::size_t>(got);
      const void* const nul = std::memchr(bytes, '\0', size);
      if (nul != nullptr)
        size = static_cast<std::size_t>(static_cast<const char*>(nul) - bytes) + 1;
      if (size > cap || (nul == nullptr && size == sizeof bytes)) return Fail(EMSGSIZE);
      if (nul == nullptr) continue;
      std::memcpy(reply, bytes, size);
      return 0;
    }
    // It may have answered before it left: only nothing to read after that is nothing.
    if (left) return Fail(ENXIO);
    pollfd ends[] = {{answers, POLLIN, 0}, {server, 0, 0}};
    const int ready = Await(ends, 2, deadline);
    if (ready <= 0) return ready == 0 ? Fail(ETIMEDOUT) : -1;
    left = ends[1].revents != 0;
  }
}

}  // namespace

int serve(const char* well_known, const char* dir, RequestHandler handler, void* arg,
          volatile std::sig_atomic_t* stop) {
  OwnFifo fifo;
  if (fifo.Make(well_known) == -1 && errno != EEXIST) return -1;
  const Fd requests(OpenFifo(well_known, O_RDONLY | O_NONBLOCK));
  if (requests.get() == -1) return -1;
  // Without a writer, the FIFO would be at its end whenever the last client leaves, and poll would
  // say so at once, again and again. While we hold a write end ourselves, it is never at its end.
  const Fd keeper(OpenFifo(well_known, O_WRONLY | O_NONBLOCK));
  if (keeper.get() == -1) return -1;
  const int served = ServeUntil(requests.get(), dir, handler, arg, stop);
  if (served == -1) return -1;
  return fifo.Remove() == -1 ? -1 : served;
}

int request(const char* well_known, const char* dir, const char* req, char* reply, std::size_t cap,
            int timeout_ms) {
  if (cap == 0) return Fail(EINVAL);
  if (std::strlen(req) > kMaxText) return Fail(EMSGSIZE);
  const Deadline deadline(timeout_ms);
  // Non-blocking, so that a missing server is ENXIO at once, and a full FIFO waits within our time.
  const Fd server(OpenFifo(well_known, O_WRONLY | O_NONBLOCK));
  if (server.get() == -1) return -1;
  OwnFifo mailbox;
  if (MakeMailbox(&mailbox, dir) == -1) return -1;
  // Open before we ask: the server, which waits for nobody, drops the answer to a client that is
  // not there. For writing too, which Linux allows: no server that comes and goes is its end then.
  const Fd answers(OpenFifo(mailbox.path(), O_RDWR | O_NONBLOCK));
  if (answers.get() == -1) return -1;
  if (SendRequest(server.get(), req, deadline) == -1) return -1;
  if (ReceiveReply(answers.get(), server.get(), reply, cap, deadline) == -1) return -1;
  return mailbox.Remove();
}

// ---- 7. Chat ------------------------------------------------------------------------------------

namespace {

struct Line {
  Fd to;
  Fd from;
};

// Each open waits for its partner: the first side's open for writing for the second side's open for
// reading of the same FIFO. Were both to begin with the FIFO they read, each would wait for an open
// that the other only makes afterwards.
int OpenLine(const char* tx, const char* rx, int first, Line* line) {
  if (first != 0) line->to.Reset(OpenFifo(tx, O_WRONLY));
  if (first != 0 && line->to.get() == -1) return -1;
  line->from.Reset(OpenFifo(rx, O_RDONLY));
  if (line->from.get() == -1) return -1;
  if (first == 0) line->to.Reset(OpenFifo(tx, O_WRONLY));
  return line->to.get() == -1 ? -1 : 0;
}

constexpr int kEnded = 0;
constexpr int kPassed = 1;

// Passes one line on; kEnded when none came any more. Byte by byte: what is behind the newline
// belongs to the next turn, or to somebody who reads after us.
int PassLine(int from, int to) {
  char text[PIPE_BUF];
  std::size_t size = 0;
  while (size < sizeof text && (size == 0 || text[size - 1] != '\n')) {
    const ssize_t got = ReadSome(from, text + size, 1);
    if (got <= 0) return got == 0 ? kEnded : -1;
    ++size;
  }
  return WriteAll(to, text, size) == -1 ? -1 : kPassed;
}

int SendLine(int in, int tx) {
  const int passed = PassLine(in, tx);
  return passed == -1 && errno == EPIPE ? kEnded : passed;  // The other side has left.
}

// One direction of chat, in a child. Returns 0 at the end of `in`, or an errno.
int SendUntilEnd(int in, int tx) {
  char buf[16384];
  for (;;) {
    // Who only reads does not notice that nobody listens any more. Poll tells it of a write end
    // unasked (POLLERR).
    pollfd ends[] = {{in, POLLIN, 0}, {tx, 0, 0}};
    if (Again([&] { return poll(ends, 2, -1); }) == -1) return errno;
    if (ends[0].revents == 0) return EPIPE;
    const ssize_t got = ReadSome(in, buf, sizeof buf);
    if (got <= 0) return got == 0 ? 0 : errno;
    if (WriteAll(tx, buf, static_cast<std::size_t>(got)) == -1) return errno;
  }
}

// The other direction, and an eye on the child: `report` ends when it does, and brings an errno if
// it failed. Returns 0 when both have ended, or an errno.
int ReceiveUntilEnd(int rx, int out, int report) {
  char buf[16384];
  while (rx != -1 || report != -1) {
    pollfd ends[] = {{rx, POLLIN, 0}, {report, POLLIN, 0}};  // A negative one is not looked at.
    if (Again([&] { return poll(ends, 2, -1); }) == -1) return errno;
    if (ends[1].revents != 0) {
      int error = 0;
      const ssize_t got = ReadSome(report, &error, sizeof error);
      if (got != 0) return got == -1 ? errno : error;
      report = -1;
    }
    if (ends[0].revents != 0) {
      const ssize_t got = ReadSome(rx, buf, sizeof buf);
      if (got == -1) return errno;
      if (got == 0) rx = -1;
      if (WriteAll(out, buf, static_cast<std::size_t>(got)) == -1) return errno;
    }
  }
  return 0;
}

}  // namespace

int chat_lockstep(const char* tx, const char* rx, int first, int in_fd, int out_fd, int rounds) {
  Line line;
  if (OpenLine(tx, rx, first, &line) == -1) return -1;
  for (int round = 0; round < rounds; ++round) {
    int passed = kPassed;
    if (first != 0) passed = SendLine(in_fd, line.to.get());
    if (passed == kPassed) passed = PassLine(line.from.get(), out_fd);
    if (passed == kPassed && first == 0) passed = SendLine(in_fd, line.to.get());
    if (passed != kPassed) return passed == kEnded ? round : -1;
  }
  return std::max(rounds, 0);
}

int chat(const char* tx, const char* rx, int first, int in_fd, int out_fd) {
  Line line;
  Pipe report;
  if (OpenLine(tx, rx, first, &line) == -1 || MakePipe(&report) == -1) return -1;
  // Two processes, so that a wait in one direction is not a wait in the other: for input that does
  // not come, for a FIFO that is full, for a reader that is slow.
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    line.from.Reset();  // Else there is still a reader when the caller has stopped to read.
    report.read.Reset();
    const int error = SendUntilEnd(in_fd, line.to.get());
    const auto tell = [&] { return WriteQuietly(report.write.get(), &error, sizeof error); };
    if (error != 0) static_cast<void>(Again(tell));
    _exit(error == 0 ? 0 : 1);
  }
  line.to.Reset();  // The child's alone: its end is the end of file for the other side.
  report.write.Reset();
  const int error = ReceiveUntilEnd(line.from.get(), out_fd, report.read.get());
  if (error != 0) {
    EndChild(pid);  // It may be waiting for input that never comes.
    return Fail(error);
  }
  int status = 0;
  if (WaitFor(pid, &status) == -1) return -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : Fail(ECANCELED);
}

}  // namespace ipclab::fifo
