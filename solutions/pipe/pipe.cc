// The reference solution of the lab `pipe`. Solve the exercises first: there is one road here, and
// there are many others.
//
// Three habits carry all of it:
//  - An owner for every descriptor (Fd), so that each early return closes what is open.
//  - Every end is close-on-exec and above 2 from birth. A program started later inherits none of
//    them, and dup2 never meets a source that is its own target.
//  - Before a process waits for another, it lets go of every end that the other may be waiting for.
#include "pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace ipclab::pipe {

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

// Owns a descriptor. What close(2) returns is not looked at: a pipe end has nothing to flush, the
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

// ---- Tools of a child that becomes another program ---------------------------------------------
// Between fork and exec only async-signal-safe calls are allowed (signal-safety(7)): another thread
// of the caller may have held any lock, that of the heap for example, at the moment of the fork.
// POSIX does not list execvp among them, but that of glibc takes neither locks nor memory.

int Connect(int from, int to) {
  if (from == -1) return 0;
  return Again([&] { return dup2(from, to); });
}

// An ignored or blocked SIGPIPE would survive exec, and `yes | head -1` would not end quietly.
int DefaultSigpipe() {
  sigset_t sigpipe;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  if (signal(SIGPIPE, SIG_DFL) == SIG_ERR) return -1;
  return sigprocmask(SIG_UNBLOCK, &sigpipe, nullptr);
}

// Becomes the program `argv` with `in` and `out` as standard input and output (-1: as they are).
// Returns only when that failed, with errno.
void Become(int in, int out, const char* const argv[]) {
  // Out of the way first: if `out` were descriptor 0, connecting `in` would overwrite it. dup2 also
  // clears FD_CLOEXEC of the new number, but does nothing at all when both numbers are the same.
  if (in != -1 && (in = AboveStdio(in)) == -1) return;
  if (out != -1 && (out = AboveStdio(out)) == -1) return;
  if (Connect(in, STDIN_FILENO) == -1 || Connect(out, STDOUT_FILENO) == -1) return;
  if (DefaultSigpipe() == -1) return;
  execvp(argv[0], const_cast<char* const*>(argv));
}

// ---- Tools that move bytes ---------------------------------------------------------------------

// After a failed read or write: true when it is worth another try, at once (a signal came between)
// or after the wait that O_NONBLOCK left to us. That the other side has gone ends the wait as well;
// the next read or write then tells.
bool MayRetry(int fd, short events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;
  pollfd end = {fd, events, 0};
  return Again([&] { return poll(&end, 1, -1); }) != -1;
}

// Reads once: the number of bytes, 0 at end of file, or -1.
ssize_t ReadSome(int fd, void* buf, std::size_t cap) {
  ssize_t got;
  do {
    got = read(fd, buf, cap);
  } while (got == -1 && MayRetry(fd, POLLIN));
  return got;
}

using Writer = ssize_t (*)(int, const void*, std::size_t);

ssize_t WriteAll(Writer writer, int fd, const void* buf, std::size_t n) {
  const char* bytes = static_cast<const char*>(buf);
  for (std::size_t done = 0; done < n;) {
    const ssize_t put = writer(fd, bytes + done, n - done);
    if (put == -1 && !MayRetry(fd, POLLOUT)) return -1;
    if (put > 0) done += static_cast<std::size_t>(put);
  }
  return static_cast<ssize_t>(n);
}

// The line of a reply: as much as fits is kept, the rest is counted.
class Reply {
 public:
  Reply(char* text, std::size_t cap) : text_(text), cap_(cap) {}

  void Add(char c) {
    if (length_ + 1 < cap_) text_[length_] = c;
    ++length_;
  }
  int Finish() {
    text_[std::min(length_, cap_ - 1)] = '\0';
    return length_ < cap_ ? 0 : Fail(EMSGSIZE);
  }

 private:
  char* const text_;
  const std::size_t cap_;
  std::size_t length_ = 0;
};

bool MayAsk(const char* line, std::size_t cap) {
  return cap > 0 && std::strchr(line, '\n') == nullptr;
}

// Ends first, waiting second. The other way round both sides would wait: we for the child, the
// child for the end of its input.
int CloseAndWait(int* one, int* other, pid_t* pid, int* status) {
  if (*pid == -1) return 0;
  Fd(std::exchange(*one, -1)).Reset();
  Fd(std::exchange(*other, -1)).Reset();
  return WaitFor(std::exchange(*pid, -1), status);
}

}  // namespace

// ---- 1. send_to_child --------------------------------------------------------------------------

namespace {

// Returns the exit code of the child of send_to_child. A missing reader of `out` is an error like
// any other here, not a death by SIGPIPE.
int CopyUntilEnd(int in, int out) {
  char buf[16384];
  for (;;) {
    const ssize_t got = ReadSome(in, buf, sizeof buf);
    if (got == 0) return 0;
    if (got == -1) return 1;
    if (WriteAll(write_nosigpipe, out, buf, static_cast<std::size_t>(got)) == -1) return 1;
  }
}

}  // namespace

int send_to_child(const void* data, std::size_t len, int out_fd) {
  Pipe line;
  if (MakePipe(&line) == -1) return -1;
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    line.write.Reset();  // While the child itself could write, it would never see end of file.
    _exit(CopyUntilEnd(line.read.get(), out_fd));  // Not exit: stdio's buffers are the parent's.
  }
  line.read.Reset();  // Now the child is the only reader: if it goes, write says so.
  const bool sent = WriteAll(write_nosigpipe, line.write.get(), data, len) != -1;
  const int write_error = errno;
  line.write.Reset();  // End of file for the child, and only then wait for it.
  int status = 0;
  const int waited = WaitFor(pid, &status);
  // EPIPE only says that the child left early, and its exit code tells why.
  if (!sent && write_error != EPIPE) return Fail(write_error);
  if (waited == -1) return -1;
  if (!WIFEXITED(status)) return Fail(ECANCELED);
  if (!sent && WEXITSTATUS(status) == 0) return Fail(write_error);
  return WEXITSTATUS(status);
}

// ---- 2. Full reads and atomic records ----------------------------------------------------------

ssize_t write_all(int fd, const void* buf, std::size_t n) { return WriteAll(write, fd, buf, n); }

ssize_t read_full(int fd, void* buf, std::size_t n) {
  char* bytes = static_cast<char*>(buf);
  std::size_t done = 0;
  while (done < n) {
    const ssize_t got = ReadSome(fd, bytes + done, n - done);
    if (got == -1) return -1;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

int send_record(int fd, const void* payload, std::uint32_t n) {
  // Up to and including PIPE_BUF bytes, one write is all or nothing: no other writer gets between,
  // there is no short count, and it may be tried again as a whole after EINTR or EAGAIN.
  char record[PIPE_BUF];
  if (n > sizeof record - sizeof n) return Fail(EMSGSIZE);
  std::memcpy(record, &n, sizeof n);
  if (n > 0) std::memcpy(record + sizeof n, payload, n);
  const std::size_t size = sizeof n + n;
  ssize_t put;
  do {
    put = write(fd, record, size);
  } while (put == -1 && MayRetry(fd, POLLOUT));
  if (put == -1) return -1;
  return static_cast<std::size_t>(put) == size ? 0 : Fail(EIO);
}

ssize_t recv_record(int fd, void* buf, std::size_t cap) {
  std::uint32_t n = 0;
  const ssize_t header = read_full(fd, &n, sizeof n);
  if (header == -1) return -1;
  if (header == 0) return Fail(ENODATA);
  if (static_cast<std::size_t>(header) < sizeof n) return Fail(EBADMSG);

  const std::size_t kept = std::min<std::size_t>(n, cap);
  const ssize_t got = read_full(fd, buf, kept);
  if (got == -1) return -1;
  if (static_cast<std::size_t>(got) < kept) return Fail(EBADMSG);

  // What does not fit is read all the same: the next record begins behind it.
  for (std::size_t rest = n - kept; rest > 0;) {
    char scrap[PIPE_BUF];
    const std::size_t part = std::min(rest, sizeof scrap);
    const ssize_t dropped = read_full(fd, scrap, part);
    if (dropped == -1) return -1;
    if (static_cast<std::size_t>(dropped) < part) return Fail(EBADMSG);
    rest -= part;
  }
  return n > cap ? Fail(EMSGSIZE) : static_cast<ssize_t>(n);
}

// ---- 3. Measure and probe ----------------------------------------------------------------------

int pipe_facts(PipeFacts* out) {
  Pipe sample;
  if (MakePipe(&sample) == -1) return -1;
  const int fd = sample.read.get();
  struct stat about;
  if (fstat(fd, &about) == -1) return -1;
  // Two different numbers: what is written in one piece, and what the kernel keeps in all.
  const long pipe_buf = fpathconf(fd, _PC_PIPE_BUF);
  if (pipe_buf == -1) return -1;
  const int capacity = fcntl(fd, F_GETPIPE_SZ);
  if (capacity == -1) return -1;
  *out = {pipe_buf, capacity, S_ISFIFO(about.st_mode) ? 1 : 0};
  return 0;
}

int set_nonblocking(int fd, int on, int* old_flags) {
  const int old = fcntl(fd, F_GETFL);
  if (old == -1) return -1;
  if (fcntl(fd, F_SETFL, on != 0 ? old | O_NONBLOCK : old & ~O_NONBLOCK) == -1) return -1;
  if (old_flags != nullptr) *old_flags = old;
  return 0;
}

namespace {

// What poll(2) says now about a pipe end that must be open in another way than `wrong_mode`.
// Returns the bits, or -1.
int PollEnd(int fd, int wrong_mode, short events) {
  struct stat about;
  if (fstat(fd, &about) == -1) return -1;
  if (!S_ISFIFO(about.st_mode)) return Fail(EINVAL);
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1) return -1;
  if ((flags & O_ACCMODE) == wrong_mode) return Fail(EBADF);
  pollfd end = {fd, events, 0};
  return Again([&] { return poll(&end, 1, 0); }) == -1 ? -1 : end.revents;
}

}  // namespace

int probe_read_end(int fd, ReadEnd* out) {
  const int bits = PollEnd(fd, O_WRONLY, POLLIN);
  if (bits == -1) return -1;
  // Data first: bytes that the last writer left behind come before the end of file.
  *out = (bits & POLLIN) != 0    ? ReadEnd::kData
         : (bits & POLLHUP) != 0 ? ReadEnd::kEof
                                 : ReadEnd::kEmpty;
  return 0;
}

int probe_write_end(int fd, WriteEnd* out) {
  const int bits = PollEnd(fd, O_RDONLY, POLLOUT);
  if (bits == -1) return -1;
  // Broken first: a pipe without a reader may have room, but nobody for whom to use it.
  *out = (bits & POLLERR) != 0   ? WriteEnd::kBroken
         : (bits & POLLOUT) != 0 ? WriteEnd::kRoom
                                 : WriteEnd::kFull;
  return 0;
}

ssize_t read_available(int fd, void* buf, std::size_t cap, int* eof) {
  // "Do not wait" belongs into the call, as with MSG_DONTWAIT of recv(2). O_NONBLOCK would also
  // change the descriptor of every process that shares this open file description, and after a poll
  // that promised data another reader may have taken it. splice(2) has such a flag: it moves
  // the bytes into a pipe of our own, where they are ours and no read waits.
  *eof = 0;
  if (cap == 0) return 0;
  Pipe own;
  if (MakePipe(&own) == -1) return -1;
  const ssize_t moved =
      Again([&] { return splice(fd, nullptr, own.write.get(), nullptr, cap, SPLICE_F_NONBLOCK); });
  if (moved == -1) return errno == EAGAIN ? 0 : -1;
  if (moved == 0) *eof = 1;
  return read_full(own.read.get(), buf, static_cast<std::size_t>(moved));
}

// ---- 4. run_pipeline ---------------------------------------------------------------------------

namespace {

// Starts the stages and stores their pids. Returns how many it started: fewer than n, and errno,
// when something failed. The parent never holds more than the pipe before and after one stage.
std::size_t StartStages(const char* const* const* argvs, std::size_t n, int in_fd, int out_fd,
                        pid_t* pids) {
  Fd before;
  for (std::size_t i = 0; i < n; ++i) {
    const bool last = i + 1 == n;
    Pipe after;
    if (!last && MakePipe(&after) == -1) return i;
    const pid_t pid = fork();
    if (pid == -1) return i;
    if (pid == 0) {
      // The caller's descriptors may survive exec. These flags are the child's own.
      for (const int fd : {in_fd, out_fd}) {
        if (fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) _exit(127);
      }
      Become(i == 0 ? in_fd : before.get(), last ? out_fd : after.write.get(), argvs[i]);
      _exit(127);
    }
    pids[i] = pid;
    // Here the parent closes its copies of the pipe before this stage and of the write end behind
    // it. Were they left open, no later stage would see end of file, and no earlier one SIGPIPE.
    before = std::move(after.read);
  }
  return n;
}

}  // namespace

int run_pipeline(const char* const* const* argvs, std::size_t n, int in_fd, int out_fd,
                 int* statuses) {
  if (n == 0) return Fail(EINVAL);
  for (std::size_t i = 0; i < n; ++i) {
    if (argvs[i] == nullptr || argvs[i][0] == nullptr) return Fail(EINVAL);
  }
  // Asked before the first pipe is made: it might get the very number that is not open.
  if (fcntl(in_fd, F_GETFD) == -1 || fcntl(out_fd, F_GETFD) == -1) return -1;

  static_assert(sizeof(pid_t) == sizeof(int));  // statuses[i] is the pid until the status is known.
  const std::size_t started = StartStages(argvs, n, in_fd, out_fd, statuses);
  if (started < n) {
    std::for_each_n(statuses, started, EndChild);
    return -1;
  }
  int error = 0;
  for (std::size_t i = 0; i < n; ++i) {
    // One lost status is no reason to leave the other children unwaited for.
    if (WaitFor(statuses[i], &statuses[i]) == -1 && error == 0) error = errno;
  }
  return error == 0 ? 0 : Fail(error);
}

// ---- 5. Two-way talk over two pipes ------------------------------------------------------------
// One pipe with all four ends open cannot do this: it is one queue, and who reads first takes the
// bytes. A process would get its own question as the answer.

namespace {

// noexcept: an exception must not climb out of the child into the caller's code.
[[noreturn]] void Serve(int (*service)(int, int, void*), int rfd, int wfd, void* arg) noexcept {
  _exit(service(rfd, wfd, arg));
}

}  // namespace

int duplex_start(int (*service)(int rfd, int wfd, void* arg), void* arg, Duplex* out) {
  Pipe down;
  Pipe up;
  if (MakePipe(&down) == -1 || MakePipe(&up) == -1) return -1;
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    // There is no exec here, so close-on-exec does not help: the parent's ends go by hand.
    down.write.Reset();
    up.read.Reset();
    Serve(service, down.read.get(), up.write.get(), arg);
  }
  *out = {up.read.Release(), down.write.Release(), pid};
  return 0;
}

int duplex_call(Duplex* d, const char* line, char* reply, std::size_t cap) {
  if (!MayAsk(line, cap)) return Fail(EINVAL);
  if (WriteAll(write_nosigpipe, d->wfd, line, std::strlen(line)) == -1) return -1;
  if (WriteAll(write_nosigpipe, d->wfd, "\n", 1) == -1) return -1;
  Reply got(reply, cap);
  for (;;) {
    // Byte by byte: what stands behind the newline belongs to the next reply, and a Duplex has no
    // room to keep it.
    char c;
    const ssize_t n = ReadSome(d->rfd, &c, 1);
    if (n == -1) return -1;
    if (n == 0) return Fail(ENODATA);
    if (c == '\n') return got.Finish();
    got.Add(c);
  }
}

int duplex_stop(Duplex* d, int* status) { return CloseAndWait(&d->rfd, &d->wfd, &d->pid, status); }

// ---- 6. write without SIGPIPE ------------------------------------------------------------------

namespace {

// Takes away the SIGPIPE that write raised, and no other one.
void TakeSigpipe(const sigset_t& sigpipe, bool was_pending) {
  KeepErrno keep;
  const timespec now = {0, 0};
  static_cast<void>(Again([&] { return sigtimedwait(&sigpipe, nullptr, &now); }));
  if (!was_pending) return;
  // A signal pends at most once for the thread, which is where the new one went and what
  // sigtimedwait looks at first, and once for the process. If none is left, the new one had merged
  // with the caller's, which was the thread's as well; it goes back there.
  sigset_t left;
  if (sigpending(&left) == 0 && sigismember(&left, SIGPIPE) == 0) {
    static_cast<void>(raise(SIGPIPE));
  }
}

}  // namespace

ssize_t write_nosigpipe(int fd, const void* buf, std::size_t n) {
  // write raises SIGPIPE in the thread that called it. Blocked there, it becomes pending, and
  // sigtimedwait takes it away without any action. No other thread notices.
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

// ---- 7. my_popen and my_pclose -----------------------------------------------------------------

namespace {

struct Stream {
  FILE* file;
  int fd;  // Of `file`: a child may not ask fileno, which is not async-signal-safe.
  pid_t pid;
  Stream* next;
};

std::mutex streams_mutex;
Stream* streams = nullptr;  // All open streams. This is how a FILE* leads to its process.

struct CloseFile {
  void operator()(FILE* file) const {
    KeepErrno keep;
    static_cast<void>(fclose(file));  // Only for a stream into which nothing was written yet.
  }
};

}  // namespace

FILE* my_popen(const char* command, const char* type) {
  const bool reads = type[0] == 'r';
  const bool cloexec = type[0] != '\0' && type[1] == 'e';
  if ((!reads && type[0] != 'w') || type[cloexec ? 2 : 1] != '\0') {
    errno = EINVAL;
    return nullptr;
  }
  // Everything that can fail comes before fork: after it there would be a child to get rid of.
  std::unique_ptr<Stream> entry(new (std::nothrow) Stream);
  Pipe line;
  if (entry == nullptr) {
    errno = ENOMEM;
    return nullptr;
  }
  if (MakePipe(&line) == -1) return nullptr;
  Fd& ours = reads ? line.read : line.write;
  Fd& theirs = reads ? line.write : line.read;
  std::unique_ptr<FILE, CloseFile> file(fdopen(ours.get(), reads ? "r" : "w"));
  if (file == nullptr) return nullptr;
  const int fd = ours.Release();  // The FILE owns it now.

  const std::lock_guard<std::mutex> lock(streams_mutex);
  if (!cloexec && fcntl(fd, F_SETFD, 0) == -1) return nullptr;
  const pid_t pid = fork();
  if (pid == -1) return nullptr;
  if (pid == 0) {
    // The parent's end of this stream and of all the others. A `cat` of an earlier my_popen would
    // otherwise get no end of file for as long as this command lives.
    static_cast<void>(close(fd));
    for (const Stream* other = streams; other != nullptr; other = other->next) {
      if (other->fd != theirs.get()) static_cast<void>(close(other->fd));
    }
    // The -- is for commands that begin with a minus sign.
    const char* const argv[] = {"/bin/sh", "-c", "--", command, nullptr};
    Become(reads ? -1 : theirs.get(), reads ? theirs.get() : -1, argv);
    _exit(127);
  }
  *entry = {file.release(), fd, pid, streams};
  streams = entry.release();
  return streams->file;
}

int my_pclose(FILE* stream) {
  std::unique_ptr<Stream> entry;
  int close_error = 0;
  {
    // Taken off the list and closed in one step: a child that another thread started in between
    // would not know this descriptor, and would keep it.
    const std::lock_guard<std::mutex> lock(streams_mutex);
    Stream** link = &streams;
    while (*link != nullptr && (*link)->file != stream) link = &(*link)->next;
    if (*link == nullptr) return Fail(EINVAL);
    entry.reset(*link);
    *link = entry->next;
    if (fclose(stream) == EOF) close_error = errno;
  }
  int status = 0;
  const int waited = WaitFor(entry->pid, &status);
  // EPIPE: the command did not want the rest, which is its right. Any other error lost bytes.
  if (close_error != 0 && close_error != EPIPE) return Fail(close_error);
  return waited == -1 ? -1 : status;
}

// ---- 8. A coprocess ----------------------------------------------------------------------------
// Two traps. A filter that uses stdio buffers fully when its output is a pipe: it answers when some
// 4096 bytes have gathered or its input ends, unless it flushes or runs under `stdbuf -oL`. And who
// only writes while the coprocess writes back fills both pipes, and both sides stop. So nothing
// here waits for one pipe alone: our two ends are non-blocking, and poll waits for both.

namespace {

using Clock = std::chrono::steady_clock;

// Waits until `to` has room or `from` has bytes (-1: not of interest), or the other side has gone.
// Returns 0 when `deadline` has passed before (null: there is none), else 1; or -1.
int WaitForEither(int to, int from, const Clock::time_point* deadline) {
  pollfd ends[2] = {{to, POLLOUT, 0}, {from, POLLIN, 0}};
  return Again([&] {
    int timeout = -1;
    if (deadline != nullptr) {
      // Anew in each round, or every signal would prolong the wait. Rounded up: no spinning at 0.
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
      timeout = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    return std::min(poll(ends, 2, timeout), 1);
  });
}

// Bytes on their way into a pipe.
struct Outgoing {
  const char* next;
  std::size_t left;
};

int WriteSome(int to, Outgoing* bytes) {
  const ssize_t put = write_nosigpipe(to, bytes->next, bytes->left);
  if (put == -1) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  bytes->next += put;
  bytes->left -= static_cast<std::size_t>(put);
  return 0;
}

// As read(2), but kNothingNow instead of -1 with EAGAIN.
constexpr ssize_t kNothingNow = -2;

ssize_t ReadNow(int from, void* buf, std::size_t cap) {
  const ssize_t got = Again([&] { return read(from, buf, cap); });
  return got == -1 && errno == EAGAIN ? kNothingNow : got;
}

}  // namespace

int coproc_start(Coproc* c, const char* const argv[]) {
  if (argv[0] == nullptr) return Fail(EINVAL);
  Pipe down;
  Pipe up;
  Pipe report;
  if (MakePipe(&down) == -1 || MakePipe(&up) == -1 || MakePipe(&report) == -1) return -1;
  // The two ends of a pipe are two open file descriptions, so the coprocess keeps blocking ones.
  if (set_nonblocking(down.write.get(), 1, nullptr) == -1) return -1;
  if (set_nonblocking(up.read.get(), 1, nullptr) == -1) return -1;
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    Become(down.read.get(), up.write.get(), argv);
    const int error = errno;
    // A success closes the report without a word; a failure leaves its errno in it.
    static_cast<void>(write_all(report.write.get(), &error, sizeof error));
    _exit(127);
  }
  report.write.Reset();
  int error = 0;
  const ssize_t told = read_full(report.read.get(), &error, sizeof error);
  if (told != 0) {
    if (told > 0) errno = error;
    EndChild(pid);
    return -1;
  }
  *c = {pid, down.write.Release(), up.read.Release()};
  return 0;
}

int coproc_ask(Coproc* c, const char* line, char* reply, std::size_t cap, int timeout_ms) {
  if (!MayAsk(line, cap)) return Fail(EINVAL);
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  const Clock::time_point* const deadline = timeout_ms < 0 ? nullptr : &end;
  Outgoing parts[2] = {{line, std::strlen(line)}, {"\n", 1}};
  Outgoing* const behind = parts + 2;
  Outgoing* part = parts[0].left > 0 ? parts : parts + 1;
  Reply got(reply, cap);
  bool answered = false;
  for (;;) {
    if (part != behind && WriteSome(c->to, part) == -1) return -1;
    if (part != behind && part->left == 0) ++part;
    while (!answered) {
      char byte;
      const ssize_t n = ReadNow(c->from, &byte, 1);
      if (n == -1) return -1;
      if (n == 0) return Fail(EPIPE);
      if (n == kNothingNow) break;
      if (byte == '\n') {
        answered = true;
      } else {
        got.Add(byte);
      }
      // A reply without end never comes to the wait below.
      if (!answered && deadline != nullptr && Clock::now() > end) return Fail(ETIMEDOUT);
    }
    if (answered && part == behind) return got.Finish();
    const int ready = WaitForEither(part != behind ? c->to : -1, answered ? -1 : c->from, deadline);
    if (ready == -1) return -1;
    if (ready == 0) return Fail(ETIMEDOUT);
  }
}

ssize_t coproc_pump(Coproc* c, const void* in, std::size_t n, void* out, std::size_t cap) {
  if (c->to == -1) return Fail(EBADF);
  Fd to(std::exchange(c->to, -1));
  Outgoing unsent = {static_cast<const char*>(in), n};
  std::size_t stored = 0;
  for (bool at_end = false;;) {
    if (unsent.left > 0 && WriteSome(to.get(), &unsent) == -1) return -1;
    if (unsent.left == 0) to.Reset();  // End of file for the coprocess: nothing more will come.
    if (!at_end) {
      char surplus;
      const bool full = stored == cap;
      const ssize_t got = full ? ReadNow(c->from, &surplus, 1)
                               : ReadNow(c->from, static_cast<char*>(out) + stored, cap - stored);
      if (got == -1) return -1;
      if (got > 0 && full) return Fail(EMSGSIZE);
      if (got > 0) stored += static_cast<std::size_t>(got);
      at_end = got == 0;
    }
    if (at_end && unsent.left == 0) return static_cast<ssize_t>(stored);
    if (WaitForEither(to.get(), at_end ? -1 : c->from, nullptr) == -1) return -1;
  }
}

int coproc_stop(Coproc* c, int* status) { return CloseAndWait(&c->to, &c->from, &c->pid, status); }

}  // namespace ipclab::pipe
