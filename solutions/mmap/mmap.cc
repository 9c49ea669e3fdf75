// The reference solution of the lab `mmap`. Solve the exercises first: there is one road here, and
// there are many others.
//
// Three habits carry all of it:
//  - An owner for every descriptor (Fd) and every mapping (Map), so that each early return gives
//    back what is held.
//  - A size comes from the kernel (fstat), never from a mark in the bytes; a mapping reaches no
//    further than the file does.
//  - Before anybody looks at shared memory, something has ordered it behind the stores: the end of
//    the child that made them, or a lock.
#include "mmap.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace ipclab::mmap {

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

// Owns a descriptor. What close(2) returns is not looked at: the number is free in any case, and a
// second close could hit a number that is somebody else's by now.
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

// Owns a mapping: the address that mmap returned and the length it was asked for.
class Map {
 public:
  Map() = default;
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  ~Map() { Reset(); }

  // As mmap(2), at an address of the kernel's choice. Returns 0 or -1.
  int Make(std::size_t len, int prot, int flags, int fd, off_t offset) {
    Reset();
    // Not null but MAP_FAILED, which is (void*)-1, says that it failed.
    void* const made = mmap(nullptr, len, prot, flags, fd, offset);
    if (made == MAP_FAILED) return -1;
    addr_ = made;
    len_ = len;
    return 0;
  }
  void Reset() {
    KeepErrno keep;
    if (addr_ != nullptr) static_cast<void>(munmap(addr_, len_));
    addr_ = nullptr;
    len_ = 0;
  }
  // The mapping stays, and is somebody else's to unmap.
  void* Release() { return std::exchange(addr_, nullptr); }

  char* bytes() const { return static_cast<char*>(addr_); }
  std::size_t len() const { return len_; }

 private:
  void* addr_ = nullptr;
  std::size_t len_ = 0;
};

// Opens a regular file and tells what it is. O_NONBLOCK, because the open of a FIFO would wait; a
// regular file does not care.
int OpenRegular(const char* path, int flags, mode_t mode, Fd* file, struct stat* info) {
  file->Reset(Again([&] { return open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode); }));
  if (file->get() == -1 || fstat(file->get(), info) == -1) return -1;
  return S_ISREG(info->st_mode) ? 0 : Fail(EINVAL);
}

// Waits for this child and no other. `status` may be null.
int WaitFor(pid_t pid, int* status) {
  return Again([&] { return waitpid(pid, status, 0); }) == -1 ? -1 : 0;
}

// Waits for a child that has nothing to say but whether it could do its work.
int WaitForSuccess(pid_t pid) {
  int status = 0;
  if (WaitFor(pid, &status) == -1) return -1;
  return status == 0 ? 0 : Fail(ECANCELED);
}

// Stands in for a function that is not written yet.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Map a file to read it ------------------------------------------------------------------

int map_file(const char* path, int writable, MappedFile* out) {
  // No more rights than are needed: a file to read may be one that we may only read. A mapping for
  // writing needs both, because the kernel has to read a page before it can change a byte of it.
  Fd file;
  struct stat info;
  if (OpenRegular(path, writable ? O_RDWR : O_RDONLY, 0, &file, &info) == -1) return -1;
  // A length of 0 is EINVAL for mmap.
  if (info.st_size == 0) {
    *out = {nullptr, 0};
    return 0;
  }
  const auto len = static_cast<std::size_t>(info.st_size);
  Map map;
  const int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  if (map.Make(len, prot, MAP_SHARED, file.get(), 0) == -1) return -1;
  *out = {map.Release(), len};
  return 0;
  // Here the descriptor is closed. The mapping holds the file by itself.
}

int unmap(MappedFile* m) {
  if (m->addr == nullptr) return 0;
  if (munmap(m->addr, m->len) == -1) return -1;
  *m = {nullptr, 0};
  return 0;
}

ssize_t count_byte(const char* path, unsigned char byte) {
  MappedFile file;
  if (map_file(path, 0, &file) == -1) return -1;
  // As unsigned char: a plain char of 0xff is -1, and never equals 255. The end is where the length
  // says; there need not be a 0 in the file, nor behind it.
  const auto* const first = static_cast<const unsigned char*>(file.addr);
  const auto count = std::count(first, first + file.len, byte);
  return unmap(&file) == -1 ? -1 : count;
}

// ---- 2. Copy a file by mapping -----------------------------------------------------------------

namespace {

// Both files are mapped piece by piece, so that any file fits into any address space.
constexpr off_t kPiece = 1 << 20;

// Opens `path` for a mapping that is written to, which needs the right to read too. Tells whether
// this call has made the file. Nothing is cut off yet: it may be the source under another name.
int OpenTarget(const char* path, mode_t mode, Fd* file, struct stat* info, bool* made) {
  const int opened = OpenRegular(path, O_RDWR | O_CREAT | O_EXCL, mode, file, info);
  *made = file->get() != -1;
  if (*made || errno != EEXIST) return opened;
  return OpenRegular(path, O_RDWR, 0, file, info);
}

// Gives the file exactly this size, with room for all of it on the disk. A file that ftruncate(2)
// has made longer is a hole: the disk may be full when a page of it is stored to, and since a store
// cannot return -1, the kernel would send SIGBUS.
int Reserve(int fd, off_t size) {
  if (Again([&] { return ftruncate(fd, size); }) == -1) return -1;
  if (size == 0) return 0;
  int error;
  do {
    error = posix_fallocate(fd, 0, size);  // Leaves errno alone and returns the error.
  } while (error == EINTR);
  return error == 0 ? 0 : Fail(error);
}

int CopyPieces(int from, int to, off_t size) {
  for (off_t at = 0; at < size; at += kPiece) {
    const auto len = static_cast<std::size_t>(std::min(kPiece, size - at));
    Map source, target;
    if (source.Make(len, PROT_READ, MAP_SHARED, from, at) == -1) return -1;
    if (target.Make(len, PROT_READ | PROT_WRITE, MAP_SHARED, to, at) == -1) return -1;
    std::memcpy(target.bytes(), source.bytes(), len);
  }
  return 0;
}

}  // namespace

int mmap_copy(const char* src, const char* dst, mode_t mode) {
  Fd from, to;
  struct stat source, target;
  bool made = false;
  if (OpenRegular(src, O_RDONLY, 0, &from, &source) == -1) return -1;
  if (OpenTarget(dst, mode, &to, &target, &made) == 0) {
    // Names say nothing: a link is the same file too.
    if (source.st_dev == target.st_dev && source.st_ino == target.st_ino) return Fail(EINVAL);
    const off_t size = source.st_size;
    if (Reserve(to.get(), size) == 0 && CopyPieces(from.get(), to.get(), size) == 0) return 0;
  }
  KeepErrno keep;
  if (made) static_cast<void>(unlink(dst));
  return -1;
}

// ---- 3. Anonymous memory for workers -----------------------------------------------------------

void* shared_alloc(std::size_t n, int use_dev_zero) {
  Fd zero;
  int flags = MAP_SHARED | MAP_ANONYMOUS;
  if (use_dev_zero) {
    zero.Reset(Again([] { return open("/dev/zero", O_RDWR | O_CLOEXEC); }));
    if (zero.get() == -1) return nullptr;
    flags = MAP_SHARED;
  }
  // MAP_PRIVATE would give each child a copy of its own at its first store. That nothing cannot be
  // mapped, mmap says itself.
  Map map;
  if (map.Make(n, PROT_READ | PROT_WRITE, flags, zero.get(), 0) == -1) return nullptr;
  return map.Release();
}

int shared_free(void* p, std::size_t n) { return munmap(p, n); }

namespace {

// What caller and child know of each other.
struct Share {
  pid_t pid;
  std::int64_t sum;
};

// Adds up as the child that it runs in.
[[noreturn]] void AddUp(const std::int32_t* first, std::size_t n, Share* share) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += first[i];
  share->sum = sum;
  _exit(0);
}

// Starts a child for each share. Returns how many it has started: fewer than wanted, with errno,
// when fork failed.
std::size_t StartWorkers(const std::int32_t* v, std::size_t n, Share* shares, std::size_t count) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // The first n % count of them take one more.
    const std::size_t size = n / count + (i < n % count ? 1 : 0);
    const pid_t pid = fork();
    if (pid == -1) return i;
    if (pid == 0) AddUp(v + begin, size, &shares[i]);
    shares[i].pid = pid;
    begin += size;
  }
  return count;
}

}  // namespace

int parallel_sum(const std::int32_t* v, std::size_t n, int workers, std::int64_t* out) {
  if (workers < 1) return Fail(EINVAL);
  const std::size_t count = std::min(n, static_cast<std::size_t>(workers));
  if (count == 0) {
    *out = 0;
    return 0;
  }
  Map map;
  const int flags = MAP_SHARED | MAP_ANONYMOUS;
  if (map.Make(count * sizeof(Share), PROT_READ | PROT_WRITE, flags, -1, 0) == -1) return -1;
  auto* const shares = reinterpret_cast<Share*>(map.bytes());
  const std::size_t started = StartWorkers(v, n, shares, count);
  int error = started == count ? 0 : errno;
  // The end of a child orders all that it has stored before whatever we do after waitpid. Nothing
  // else does: before that, a sum may be there or not.
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < started; ++i) {
    if (WaitForSuccess(shares[i].pid) == -1 && error == 0) error = errno;
    sum += shares[i].sum;
  }
  if (error != 0) return Fail(error);
  *out = sum;
  return 0;
}

// ---- 4. Shared, private, and plain file sharing ------------------------------------------------

int patch_file(const char* path, off_t at, const void* bytes, std::size_t n, int keep_private,
               void* view, std::size_t cap) {
  // Changes of a private mapping never reach the file, so the right to read it is enough, even for
  // PROT_WRITE.
  Fd file;
  struct stat info;
  if (OpenRegular(path, keep_private ? O_RDONLY : O_RDWR, 0, &file, &info) == -1) return -1;
  // Written so that nothing can overflow: at + n may be more than an off_t holds.
  if (n == 0 || at < 0 || at >= info.st_size) return Fail(EINVAL);
  const auto len = static_cast<std::size_t>(info.st_size);
  if (n > len - static_cast<std::size_t>(at)) return Fail(EINVAL);
  Map map;
  const int flags = keep_private ? MAP_PRIVATE : MAP_SHARED;
  if (map.Make(len, PROT_READ | PROT_WRITE, flags, file.get(), 0) == -1) return -1;
  std::memcpy(map.bytes() + at, bytes, n);
  if (cap > 0) std::memcpy(view, map.bytes(), std::min(cap, len));
  return 0;
}

int fork_see(int map_flags, const char* before, const char* after, char* saw, std::size_t cap) {
  if (map_flags != MAP_SHARED && map_flags != MAP_PRIVATE) return Fail(EINVAL);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t longest = std::max(std::strlen(before), std::strlen(after)) + 1;
  if (longest > page || longest > cap) return Fail(EMSGSIZE);
  Map map;
  if (map.Make(page, PROT_READ | PROT_WRITE, map_flags | MAP_ANONYMOUS, -1, 0) == -1) return -1;
  std::strcpy(map.bytes(), before);
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) {
    std::strcpy(map.bytes(), after);
    _exit(0);
  }
  if (WaitForSuccess(pid) == -1) return -1;
  std::strcpy(saw, map.bytes());
  return 0;
}

namespace {

int WriteAll(int fd, const char* bytes, std::size_t n) {
  for (std::size_t done = 0; done < n;) {
    const ssize_t put = Again([&] { return write(fd, bytes + done, n - done); });
    if (put == -1) return -1;
    done += static_cast<std::size_t>(put);
  }
  return 0;
}

}  // namespace

ssize_t file_relay(const char* path, const void* msg, std::size_t n, off_t* offset, void* back,
                   std::size_t cap) {
  Fd file;
  struct stat info;
  if (OpenRegular(path, O_RDWR | O_CREAT | O_TRUNC, 0600, &file, &info) == -1) return -1;
  const pid_t pid = fork();
  if (pid == -1) return -1;
  if (pid == 0) _exit(WriteAll(file.get(), static_cast<const char*>(msg), n) == 0 ? 0 : 1);
  if (WaitForSuccess(pid) == -1) return -1;
  // The child has moved our offset too: a read from here would find the end of the file.
  const off_t at = lseek(file.get(), 0, SEEK_CUR);
  if (at == -1 || lseek(file.get(), 0, SEEK_SET) == -1) return -1;
  char* const bytes = static_cast<char*>(back);
  std::size_t got = 0;
  while (got < cap) {
    const ssize_t more = Again([&] { return read(file.get(), bytes + got, cap - got); });
    if (more == -1) return -1;
    if (more == 0) break;
    got += static_cast<std::size_t>(more);
  }
  *offset = at;
  return static_cast<ssize_t>(got);
}

int predict_mmap(int open_flags, int prot, int map_flags, std::size_t len, off_t off) {
  // First the kernel looks at the numbers alone.
  if (len == 0 || off % sysconf(_SC_PAGESIZE) != 0) return EINVAL;
  if (map_flags != MAP_SHARED && map_flags != MAP_PRIVATE) return EINVAL;
  // Whatever the mapping is for, the kernel has to read its pages from the file.
  const int access = open_flags & O_ACCMODE;
  if (access == O_WRONLY) return EACCES;
  // Only stores that reach the file need the right to write it. How large the file is does not
  // matter: a mapping may well reach beyond its end, and the trouble comes at the first touch.
  const bool stores = map_flags == MAP_SHARED && (prot & PROT_WRITE) != 0;
  return stores && access == O_RDONLY ? EACCES : 0;
}

// ---- 5. A window at any offset -----------------------------------------------------------------

namespace {

std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

int window_open(int fd, off_t off, std::size_t len, int prot, Window* w) {
  if (len == 0 || off < 0) return Fail(EINVAL);
  struct stat info;
  if (fstat(fd, &info) == -1) return -1;
  if (!S_ISREG(info.st_mode)) return Fail(EINVAL);
  // Not by the sum of both, which may be more than an off_t can hold.
  if (off > info.st_size || len > static_cast<std::size_t>(info.st_size - off)) {
    return Fail(EINVAL);
  }
  // Mappings begin at page boundaries: the window begins at the one before `off`, and is longer by
  // as much.
  const std::size_t lead = static_cast<std::size_t>(off) % PageSize();
  Map map;
  if (map.Make(lead + len, prot, MAP_SHARED, fd, off - static_cast<off_t>(lead)) == -1) return -1;
  w->base_len = map.len();
  w->user = map.bytes() + lead;
  w->base = map.Release();
  return 0;
}

int window_close(Window* w) {
  if (w->base == nullptr) return 0;
  // `user` says nothing: it lies somewhere in the first page, and the caller may have moved it.
  if (munmap(w->base, w->base_len) == -1) return -1;
  *w = {nullptr, nullptr, 0};
  return 0;
}

// ---- 6. Which fault? ---------------------------------------------------------------------------

namespace {

constexpr int kFaults[] = {SIGBUS, SIGSEGV};

// What the handler has to know of the one probe that is under way.
struct Probe {
  const volatile void* at;
  sigjmp_buf back;
  struct Caller {
    struct sigaction action;
    bool blocks;
    siginfo_t waiting;  // A signal that the caller blocks, and that came all the same.
    volatile sig_atomic_t waits;
  };
  Caller bus;
  Caller segv;

  Caller& Of(int signal) { return signal == SIGBUS ? bus : segv; }
};
Probe g_probe;

// As the kernel has sent it, and to nobody but this thread.
void SendAgain(int signal, siginfo_t* info) {
  static_cast<void>(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal, info));
}

// Has the kernel take the action that the caller had before the probe: it alone knows how to do
// that rightly, with all masks and flags. Then the probe goes on.
void TakeCallersAction(int signal, siginfo_t* info) {
  Probe::Caller& caller = g_probe.Of(signal);
  struct sigaction ours;
  sigset_t only, blocked;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigaction(signal, &caller.action, &ours);
  SendAgain(signal, info);  // It is blocked in its handler, and comes with the next line.
  sigprocmask(SIG_UNBLOCK, &only, &blocked);
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
  sigaction(signal, &ours, &caller.action);  // The caller's handler may have changed it.
}

void OnFault(int signal, siginfo_t* info, void* /*context*/) {
  KeepErrno keep;
  // The kernel's own codes are positive; those of kill(2) and its relatives are not. SI_KERNEL, of
  // an address that no processor can have, comes without the address.
  const bool ours = info->si_addr == g_probe.at || info->si_code == SI_KERNEL;
  if (info->si_code > 0 && ours) siglongjmp(g_probe.back, signal);
  Probe::Caller& caller = g_probe.Of(signal);
  if (!caller.blocks) return TakeCallersAction(signal, info);
  caller.waiting = *info;
  caller.waits = 1;
}

}  // namespace

int touch_byte(const volatile void* p, int write, Touch* out) {
  sigset_t faults, mask;
  sigemptyset(&faults);
  for (const int signal : kFaults) sigaddset(&faults, signal);
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  g_probe.at = p;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO;
  for (const int signal : kFaults) {
    Probe::Caller& caller = g_probe.Of(signal);
    caller.blocks = sigismember(&mask, signal) == 1;
    caller.waits = 0;
    sigaction(signal, &action, &caller.action);
  }
  // A fault while its signal is blocked or ignored kills the process, whatever the handler.
  sigprocmask(SIG_UNBLOCK, &faults, nullptr);

  // A handler that returned would have the same instruction run, and fault, again. This jump also
  // unblocks the signal, which is blocked in its handler.
  const int fault = sigsetjmp(g_probe.back, 1);
  if (fault == 0) {
    const auto byte = *static_cast<const volatile char*>(p);
    if (write != 0) *static_cast<volatile char*>(const_cast<volatile void*>(p)) = byte;
  }

  // In this order, lest a signal that the caller blocks meet his action.
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  for (const int signal : kFaults) {
    Probe::Caller& caller = g_probe.Of(signal);
    sigaction(signal, &caller.action, nullptr);
    if (caller.waits != 0) SendAgain(signal, &caller.waiting);
  }
  *out = fault == 0 ? Touch::kOk : fault == SIGBUS ? Touch::kBus : Touch::kSegv;
  return 0;
}

int file_zones(const char* path, std::size_t map_len, off_t at, Touch* out) {
  if (map_len == 0 || at < 0) return Fail(EINVAL);
  const std::size_t page = PageSize();
  const std::size_t pages = map_len / page + (map_len % page != 0 ? 1 : 0);
  if (static_cast<std::size_t>(at) / page > pages) return Fail(EINVAL);
  if (pages >= SIZE_MAX / page) return Fail(ENOMEM);
  Fd file;
  struct stat info;
  if (OpenRegular(path, O_RDWR, 0, &file, &info) == -1) return -1;
  // Behind a mapping there is often another one. So a place is taken that has a page more, and the
  // file laid over all of it but that page: the one good use of MAP_FIXED is over one's own memory.
  Map place;
  const int nothing = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (place.Make((pages + 1) * page, PROT_NONE, nothing, -1, 0) == -1) return -1;
  void* const mapped =
      mmap(place.bytes(), map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), 0);
  if (mapped == MAP_FAILED) return -1;
  return touch_byte(place.bytes() + at, 1, out);
}

// ---- Tools of processes that share memory ------------------------------------------------------

namespace {

// By CLOCK_MONOTONIC: the other clock jumps when somebody sets it.
class Deadline {
 public:
  explicit Deadline(int timeout_ms) : endless_(timeout_ms < 0) {
    constexpr long kSecond = 1'000'000'000;
    clock_gettime(CLOCK_MONOTONIC, &at_);
    const long nanoseconds = at_.tv_nsec + timeout_ms % 1000 * 1'000'000L;
    at_.tv_sec += timeout_ms / 1000 + nanoseconds / kSecond;
    at_.tv_nsec = nanoseconds % kSecond;
  }
  // Null if there is none.
  const timespec* get() const { return endless_ ? nullptr : &at_; }

 private:
  const bool endless_;
  timespec at_;
};

// A mutex for several processes, which outlives its owner and knows him. Returns an error number.
int InitMutex(pthread_mutex_t* mutex) {
  pthread_mutexattr_t attributes;
  int error = pthread_mutexattr_init(&attributes);
  if (error != 0) return error;
  error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (error == 0) error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (error == 0) error = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
  if (error == 0) error = pthread_mutex_init(mutex, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return error;
}

// The same for a condition, which counts by CLOCK_MONOTONIC. It is an object of its own: that the
// mutex is shared does not make it so.
int InitCondition(pthread_cond_t* condition) {
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error != 0) return error;
  error = pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (error == 0) error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (error == 0) error = pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return error;
}

// If the last owner has died, the mutex comes with EOWNERDEAD. Whoever does not answer that with
// pthread_mutex_consistent leaves it unusable for ever. Returns `error`.
int Repair(pthread_mutex_t* mutex, int error) {
  return error == EOWNERDEAD && pthread_mutex_consistent(mutex) != 0 ? ENOTRECOVERABLE : error;
}

// Returns 0, EOWNERDEAD, with which the mutex is ours as well, or another error number.
int Take(pthread_mutex_t* mutex, const Deadline& deadline) {
  const timespec* const until = deadline.get();
  return Repair(mutex, until == nullptr ? pthread_mutex_lock(mutex)
                                        : pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, until));
}

bool Owned(int error) { return error == 0 || error == EOWNERDEAD; }

}  // namespace

// ---- 7. A mailbox for unrelated processes ------------------------------------------------------
// A condition of pthreads would do, as long as nobody is killed in the middle of its functions.
// This one does without: a number that changes whenever the mailbox does, and futex(2), which
// sleeps only if the number is still the one that was seen.

namespace {

constexpr char kMagic[8] = {'I', 'P', 'C', 'L', 'M', 'B', 'O', 'X'};
constexpr std::uint32_t kVersion = 1;
constexpr int kTries = 100;

struct MboxHead {
  char magic[sizeof kMagic];
  std::uint32_t version;
  std::uint64_t slot_bytes;
};

// What the file holds; the slot follows. No address is in it: each process has it somewhere else.
struct MboxFile {
  MboxHead head;
  pthread_mutex_t lock;
  std::atomic<std::uint32_t> changes;
  std::atomic<std::uint32_t> full;  // Says whether the rest counts.
  std::uint64_t length;

  char* Slot() { return reinterpret_cast<char*>(this + 1); }
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "a lock would be a process's own");

}  // namespace

struct Mbox {
  Map map;
  std::size_t slot_bytes = 0;

  MboxFile* file() const { return reinterpret_cast<MboxFile*>(map.bytes()); }
};

namespace {

// Sleeps while the word is `seen`; false once the deadline has come. Without FUTEX_PRIVATE_FLAG,
// so that other processes find the sleeper.
bool SleepWhile(std::atomic<std::uint32_t>* word, std::uint32_t seen, const Deadline& deadline) {
  const long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, deadline.get(), nullptr,
                              FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

void WakeAll(std::atomic<std::uint32_t>* word) {
  static_cast<void>(syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0));
}

// Returns 0 with the lock, and the mailbox full or not as it is wanted.
int Enter(MboxFile* file, bool full, const Deadline& deadline) {
  while (true) {
    // What a dead owner has left is whole: `full` is stored last.
    const int error = Take(&file->lock, deadline);
    if (!Owned(error)) return Fail(error);
    if ((file->full != 0) == full) return 0;
    // Seen with the lock held: whoever changes something after this changes the number, too.
    const std::uint32_t seen = file->changes;
    pthread_mutex_unlock(&file->lock);
    if (!SleepWhile(&file->changes, seen, deadline)) return Fail(ETIMEDOUT);
  }
}

// Wakes first and changes then. Who was asleep comes as far as the lock, which is ours; and if we
// are killed between the two, the kernel wakes him there. The other way round he would sleep on.
void Leave(MboxFile* file, bool full) {
  ++file->changes;
  WakeAll(&file->changes);
  file->full = full ? 1 : 0;
  pthread_mutex_unlock(&file->lock);
}

// 0 if the file is a mailbox.
int ReadHead(int fd, const struct stat& info, MboxHead* head) {
  if (info.st_size < static_cast<off_t>(sizeof(MboxFile))) return Fail(EPROTO);
  const ssize_t got = Again([&] { return pread(fd, head, sizeof *head, 0); });
  if (got == -1) return -1;
  const bool known = got == ssize_t{sizeof *head} && head->version == kVersion &&
                     std::memcmp(head->magic, kMagic, sizeof kMagic) == 0;
  return known ? 0 : Fail(EPROTO);
}

int MapMbox(int fd, std::size_t slot_bytes, Mbox* m) {
  m->slot_bytes = slot_bytes;
  return m->map.Make(sizeof(MboxFile) + slot_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int OpenThere(const char* path, std::size_t slot_bytes, Mbox* m) {
  Fd file;
  struct stat info;
  MboxHead head;
  if (OpenRegular(path, O_RDWR, 0, &file, &info) == -1) return -1;
  if (ReadHead(file.get(), info, &head) == -1) return -1;
  if (head.slot_bytes != slot_bytes) return Fail(EINVAL);
  if (static_cast<std::size_t>(info.st_size) - sizeof(MboxFile) < slot_bytes) return Fail(EPROTO);
  return MapMbox(file.get(), slot_bytes, m);
}

// A name in the same directory, for as long as nobody else is to see what it names.
class PassingName {
 public:
  ~PassingName() {
    KeepErrno keep;
    if (text_[0] != '\0') static_cast<void>(unlink(text_));
  }
  int Make(const char* path, Fd* file) {
    const char* const slash = std::strrchr(path, '/');
    const int directory = slash == nullptr ? 0 : static_cast<int>(slash - path) + 1;
    const int length = std::snprintf(text_, sizeof text_, "%.*s.mbox-XXXXXX", directory, path);
    const bool fits = length < static_cast<int>(sizeof text_);
    // Mode 0600, as far as the umask lets it.
    if (fits) file->Reset(mkostemp(text_, O_CLOEXEC));
    if (fits && file->get() != -1) return 0;
    text_[0] = '\0';
    return fits ? -1 : Fail(ENAMETOOLONG);
  }
  const char* get() const { return text_; }

 private:
  char text_[PATH_MAX] = "";
};

// Fills a file that has another name, and gives it its own when it is ready: link(2) does that in
// one step, and fails with EEXIST if somebody else was faster.
int MakeNew(const char* path, std::size_t slot_bytes, Mbox* m) {
  PassingName name;
  Fd file;
  if (slot_bytes > SSIZE_MAX - sizeof(MboxFile)) return Fail(EFBIG);
  if (name.Make(path, &file) == -1) return -1;
  // Not ftruncate alone: on a full disk, a store into a hole would end in SIGBUS.
  int error = 0;
  do {
    error = posix_fallocate(file.get(), 0, static_cast<off_t>(sizeof(MboxFile) + slot_bytes));
  } while (error == EINTR);
  if (error != 0) return Fail(error);
  if (MapMbox(file.get(), slot_bytes, m) == -1) return -1;
  auto* const made = new (m->map.bytes()) MboxFile{};
  made->head = {{}, kVersion, slot_bytes};
  std::memcpy(made->head.magic, kMagic, sizeof kMagic);
  if (error = InitMutex(&made->lock); error != 0) return Fail(error);
  return link(name.get(), path);
}

}  // namespace

int mbox_open(const char* path, std::size_t slot_bytes, Mbox** out) {
  if (slot_bytes == 0) return Fail(EINVAL);
  std::unique_ptr<Mbox> m(new (std::nothrow) Mbox);
  if (m == nullptr) return Fail(ENOMEM);
  // Between a look and the next step others make and remove it. A link to nowhere is there and is
  // not there for ever, hence the limit.
  int result = -1;
  for (int tries = 0; tries < kTries; ++tries) {
    result = OpenThere(path, slot_bytes, m.get());
    if (result == 0 || errno != ENOENT) break;
    result = MakeNew(path, slot_bytes, m.get());
    if (result == 0 || errno != EEXIST) break;
  }
  if (result == -1) {
    KeepErrno keep;
    m.reset();
    return -1;
  }
  *out = m.release();
  return 0;
}

int mbox_post(Mbox* m, const void* msg, std::size_t n, int timeout_ms) {
  if (n > m->slot_bytes) return Fail(EMSGSIZE);
  MboxFile* const file = m->file();
  if (Enter(file, /*full=*/false, Deadline(timeout_ms)) == -1) return -1;
  if (n > 0) std::memcpy(file->Slot(), msg, n);
  file->length = n;
  Leave(file, /*full=*/true);
  return 0;
}

ssize_t mbox_fetch(Mbox* m, void* buf, std::size_t cap, int timeout_ms) {
  MboxFile* const file = m->file();
  if (Enter(file, /*full=*/true, Deadline(timeout_ms)) == -1) return -1;
  const std::size_t n = file->length;
  if (n > cap || n > m->slot_bytes) {
    pthread_mutex_unlock(&file->lock);
    return Fail(EMSGSIZE);
  }
  if (n > 0) std::memcpy(buf, file->Slot(), n);
  Leave(file, /*full=*/false);
  return static_cast<ssize_t>(n);
}

int mbox_close(Mbox* m) {
  delete m;
  return 0;
}

int mbox_destroy(const char* path) {
  Fd file;
  struct stat info;
  MboxHead head;
  if (OpenRegular(path, O_RDONLY, 0, &file, &info) == -1) return -1;
  if (ReadHead(file.get(), info, &head) == -1) return -1;
  return unlink(path);
}

// ---- 8. A process-shared monitor ---------------------------------------------------------------

namespace {

// In one struct, so that the compiler takes care of the alignment. The gate has a lock of its own:
// a death that it noticed in the other one would be news that monitor_lock never heard.
struct Monitor {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_mutex_t gate_lock;
  pthread_cond_t opened;
  bool open;
};

Monitor* In(void* mem) { return static_cast<Monitor*>(mem); }

// An error number of pthreads, as a result of this lab.
int Result(int error) { return error == 0 ? 0 : error == EOWNERDEAD ? 1 : Fail(error); }

// Returns an error number; if Owned(), with the mutex.
int Await(pthread_cond_t* condition, pthread_mutex_t* mutex, const Deadline& deadline) {
  const timespec* const until = deadline.get();
  return Repair(mutex, until == nullptr ? pthread_cond_wait(condition, mutex)
                                        : pthread_cond_timedwait(condition, mutex, until));
}

}  // namespace

std::size_t monitor_size(void) { return sizeof(Monitor); }

int monitor_init(void* mem) {
  Monitor* const m = In(mem);
  m->open = false;
  int error = InitMutex(&m->lock);
  if (error == 0) error = InitCondition(&m->changed);
  if (error == 0) error = InitMutex(&m->gate_lock);
  if (error == 0) error = InitCondition(&m->opened);
  return error == 0 ? 0 : Fail(error);
}

int monitor_destroy(void* mem) {
  Monitor* const m = In(mem);
  // Of a robust mutex, pthread_mutex_destroy does not say EBUSY.
  const int error = Repair(&m->lock, pthread_mutex_trylock(&m->lock));
  if (!Owned(error)) return Fail(error == EDEADLK ? EBUSY : error);
  pthread_mutex_unlock(&m->lock);
  pthread_cond_destroy(&m->opened);
  pthread_mutex_destroy(&m->gate_lock);
  pthread_cond_destroy(&m->changed);
  pthread_mutex_destroy(&m->lock);
  return 0;
}

int monitor_lock(void* mem) { return Result(Take(&In(mem)->lock, Deadline(-1))); }

int monitor_unlock(void* mem) { return Result(pthread_mutex_unlock(&In(mem)->lock)); }

int monitor_wait(void* mem, int timeout_ms) {
  Monitor* const m = In(mem);
  return Result(Await(&m->changed, &m->lock, Deadline(timeout_ms)));
}

int monitor_notify(void* mem, int all) {
  Monitor* const m = In(mem);
  return Result(all != 0 ? pthread_cond_broadcast(&m->changed) : pthread_cond_signal(&m->changed));
}

int gate_wait(void* mem, int timeout_ms) {
  Monitor* const m = In(mem);
  const Deadline deadline(timeout_ms);
  int error = Take(&m->gate_lock, deadline);
  if (!Owned(error)) return Fail(error);
  // A loop, and not an if: who wakes has been told that something happened, not what.
  while (!m->open && error != ETIMEDOUT) {
    error = Await(&m->opened, &m->gate_lock, deadline);
    if (!Owned(error) && error != ETIMEDOUT) return Fail(error);
  }
  const bool open = m->open;
  pthread_mutex_unlock(&m->gate_lock);
  return open ? 0 : Fail(ETIMEDOUT);
}

int gate_open(void* mem) {
  Monitor* const m = In(mem);
  const int error = Take(&m->gate_lock, Deadline(-1));
  if (!Owned(error)) return Fail(error);
  // With the lock held: without, it could happen between a waiter's look and his sleep.
  m->open = true;
  pthread_cond_broadcast(&m->opened);
  pthread_mutex_unlock(&m->gate_lock);
  return 0;
}

}  // namespace ipclab::mmap
