// The reference solution of the lab `shm`. Solve the exercises first: there is one road here, and
// there are many others.
#include "shm.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab::shm {

namespace {

// ---- Tools --------------------------------------------------------------------------------------

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

// How long a call may take. It ends at a point of time, so that no interruption makes it longer.
class Patience {
 public:
  explicit Patience(int timeout_ms)
      : endless_(timeout_ms < 0), end_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}

  bool IsOver() const { return !endless_ && Clock::now() >= end_; }

  // For where no call waits: sleeps a moment before the next look. False once the time is over.
  bool Nap() const {
    if (IsOver()) return false;
    timespec left = {0, 1'000'000};
    Again([&] { return nanosleep(&left, &left); });
    return true;
  }

  // Sleeps while `word` has this value, until WakeAll. futex(2) looks once more before it sleeps,
  // so that a change just before is not slept through. False once the time is over.
  bool SleepWhile(const std::atomic<std::uint32_t>* word, std::uint32_t value) const {
    const auto since_boot = std::chrono::ceil<std::chrono::nanoseconds>(end_.time_since_epoch());
    const timespec end = {since_boot.count() / 1'000'000'000, since_boot.count() % 1'000'000'000};
    // Without FUTEX_PRIVATE_FLAG: that is a promise that nobody sleeps in another process.
    const long slept = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, endless_ ? nullptr : &end,
                               nullptr, FUTEX_BITSET_MATCH_ANY);
    return slept != -1 || errno != ETIMEDOUT;
  }

 private:
  using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC, as of FUTEX_WAIT_BITSET.

  const bool endless_;
  const Clock::time_point end_;
};

void WakeAll(const std::atomic<std::uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, std::numeric_limits<int>::max(), nullptr, nullptr, 0);
}

}  // namespace

// ---- 1. Create, attach, look, remove ------------------------------------------------------------

int seg_create(key_t key, std::size_t size, mode_t mode) {
  // Without IPC_EXCL we would get the segment of somebody else who has the same key, with his bytes
  // in it. With IPC_PRIVATE both flags mean nothing, and do no harm.
  return shmget(key, size, IPC_CREAT | IPC_EXCL | static_cast<int>(mode));
}

int seg_open(key_t key, std::size_t min_size) {
  // To shmget, IPC_PRIVATE means "a new one", whatever the flags are.
  if (key == IPC_PRIVATE) return Fail(ENOENT);
  // The mode bits of a segment that exists are a question: may I do this? With 0 shmget asks for
  // nothing, and the refusal comes only when we attach.
  return shmget(key, min_size, 0600);
}

void* seg_attach(int id, int readonly) {
  void* const address = shmat(id, nullptr, readonly != 0 ? SHM_RDONLY : 0);
  return address == reinterpret_cast<void*>(-1) ? nullptr : address;
}

int seg_detach(const void* p) { return shmdt(p); }

int seg_remove(int id) { return shmctl(id, IPC_RMID, nullptr); }

int seg_info(int id, SegInfo* out) {
  shmid_ds status;
  if (shmctl(id, IPC_STAT, &status) == -1) return -1;
  out->size = status.shm_segsz;
  out->attached = status.shm_nattch;
  out->creator = status.shm_cpid;
  out->last = status.shm_lpid;
  out->mode = status.shm_perm.mode & 0777;  // Linux keeps SHM_DEST and SHM_LOCKED there too.
  out->marked = (status.shm_perm.mode & SHM_DEST) != 0 ? 1 : 0;
  return 0;
}

// ---- 2. Lifetime --------------------------------------------------------------------------------

namespace {

// To shmctl a segment that is gone is EINVAL, like a number that never was an id.
int GoneIsEnoent(int result) {
  if (result == -1 && (errno == EINVAL || errno == EIDRM)) errno = ENOENT;
  return result;
}

}  // namespace

void* seg_scratch(std::size_t size, int* id) {
  const int segment = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
  if (segment == -1) return nullptr;
  void* const address = seg_attach(segment, 0);
  if (address == nullptr) {
    const KeepErrno keep;
    seg_remove(segment);
    return nullptr;
  }
  // Attached first, then marked: the other way round it would vanish before we have it. From here
  // on the kernel cleans up, even if nobody is left to do it.
  if (seg_remove(segment) == -1) {
    const KeepErrno keep;
    shmdt(address);
    return nullptr;
  }
  *id = segment;
  return address;
}

int seg_attached(int id, unsigned long* n) {
  SegInfo info;
  if (GoneIsEnoent(seg_info(id, &info)) == -1) return -1;
  *n = info.attached;
  return 0;
}

int seg_remove_when_idle(int id, int timeout_ms) {
  const Patience patience(timeout_ms);
  while (true) {
    unsigned long n = 0;
    if (seg_attached(id, &n) == -1) return -1;
    // Somebody may attach between this look and the removal. He loses nothing: the segment is then
    // marked, and lives for as long as he has it.
    if (n == 0) return GoneIsEnoent(seg_remove(id));
    if (!patience.Nap()) return Fail(ETIMEDOUT);
  }
}

int seg_compute(std::size_t size, int (*fn)(void* mem, void* arg), void* arg, void* out) {
  if (fn == nullptr) return Fail(EINVAL);
  int id = -1;
  void* const mem = seg_scratch(size, &id);
  if (mem == nullptr) return -1;
  const pid_t child = fork();  // It inherits the attachment: now there are two.
  if (child == 0) _exit(fn(mem, arg));
  int status = 0;
  int result = child;
  if (child != -1) result = Again([&] { return waitpid(child, &status, 0); });
  const bool computed = result != -1 && WIFEXITED(status);
  if (computed) std::memcpy(out, mem, size);
  {
    const KeepErrno keep;
    shmdt(mem);
  }
  if (result == -1) return -1;
  return computed ? WEXITSTATUS(status) : Fail(ECANCELED);
}

// ---- 3. One writer and one reader, done right ---------------------------------------------------

namespace {

// What lies in the segment. Two semaphores say whose turn it is, so that nothing in here has to be
// atomic: semop(2) orders the memory accesses on both sides of it.
struct Line {
  int end;               // 1 for the end of all lines: `text` then means nothing.
  char text[kTextSize];  // Closed by a NUL.
};

// The semaphores of the set, which has the key of the segment.
constexpr unsigned short kFree = 0;  // 1 while the writer may write.
constexpr unsigned short kFull = 1;  // 1 while there is a text for the reader.

// Takes 1 from a semaphore, and waits for it; or gives 1. It survives nobody: no SEM_UNDO. Whoever
// dies in the middle of a text leaves the other one waiting, and only line_remove can end that.
int Change(int set, unsigned short number, short by) {
  sembuf operation = {number, by, 0};
  const int result = Again([&] { return semop(set, &operation, 1); });
  // A set that went while we slept is EIDRM, one that went before is EINVAL.
  if (result == -1 && errno == EINVAL) errno = EIDRM;
  return result;
}
int Take(int set, unsigned short number) { return Change(set, number, -1); }
int Give(int set, unsigned short number) { return Change(set, number, 1); }

// The line of a key, as a writer and a reader see it.
class Attachment {
 public:
  explicit Attachment(key_t key) {
    const int segment = shmget(key, sizeof(Line), 0600);
    if (segment == -1) return;
    // What was there a moment ago, and is not any more, has been removed.
    set_ = semget(key, 2, 0600);
    if (set_ != -1) line_ = static_cast<Line*>(seg_attach(segment, 0));
    if (line_ == nullptr && (errno == ENOENT || errno == EINVAL)) errno = EIDRM;
  }
  ~Attachment() {
    const KeepErrno keep;
    if (line_ != nullptr) shmdt(line_);
  }
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  explicit operator bool() const { return line_ != nullptr; }
  Line* operator->() const { return line_; }
  int set() const { return set_; }

 private:
  int set_ = -1;
  Line* line_ = nullptr;
};

// Cuts the bytes of a descriptor into texts: lines, or pieces of those that are too long.
class Texts {
 public:
  explicit Texts(int fd) : fd_(fd) {}

  // Stores the next text with its closing NUL in `text`. Returns 1; 0 if there is none any more; or
  // -1. Reads only when what it has is no whole line: others may wait for that line.
  int Next(char* text) {
    std::size_t size = 0;
    while ((size = Whole()) == 0 && !ended_) {
      const ssize_t got = Again([&] { return read(fd_, buffer_ + have_, kMost - have_); });
      if (got == -1) return -1;
      if (got == 0) ended_ = true;
      have_ += static_cast<std::size_t>(got);
    }
    if (size == 0) size = have_;  // The last line, without a newline.
    const std::string_view line(buffer_, size);
    const bool says_end = starts_line_ && (line == "end\n" || line == "end");
    if (size == 0 || says_end) return 0;
    std::memcpy(text, buffer_, size);
    text[size] = '\0';
    starts_line_ = line.ends_with('\n');
    have_ -= size;
    std::memmove(buffer_, buffer_ + size, have_);
    return 1;
  }

 private:
  static constexpr std::size_t kMost = kTextSize - 1;

  // The size of the first line with its newline, or of a piece; 0 if there is neither yet.
  std::size_t Whole() const {
    const void* const newline = std::memchr(buffer_, '\n', have_);
    if (newline == nullptr) return have_ == kMost ? kMost : 0;
    return static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_) + 1;
  }

  const int fd_;
  char buffer_[kMost];
  std::size_t have_ = 0;
  bool starts_line_ = true;
  bool ended_ = false;
};

int WriteAll(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t put = Again([&] { return write(fd, bytes, size); });
    if (put == -1) return -1;
    bytes += put;
    size -= static_cast<std::size_t>(put);
  }
  return 0;
}

}  // namespace

int line_create(key_t key) {
  if (key == IPC_PRIVATE) return Fail(EINVAL);
  const int segment = shmget(key, sizeof(Line), IPC_CREAT | IPC_EXCL | 0600);
  if (segment == -1) return -1;
  const int set = semget(key, 2, IPC_CREAT | IPC_EXCL | 0600);
  unsigned short values[] = {1, 0};
  if (set != -1 && semctl(set, 0, SETALL, values) != -1) return 0;
  const KeepErrno keep;
  if (set != -1) semctl(set, 0, IPC_RMID);
  seg_remove(segment);
  return -1;
}

int line_remove(key_t key) {
  const int segment = seg_open(key, 0);
  if (segment == -1) return -1;
  // Removing the set wakes all who wait in it, and who comes later finds it gone. Nobody has to
  // answer, so it does not matter whether anybody is still alive.
  const int set = semget(key, 0, 0600);
  if (set != -1 && semctl(set, 0, IPC_RMID) == -1) {
    const KeepErrno keep;
    seg_remove(segment);
    return -1;
  }
  return seg_remove(segment);
}

int line_write(key_t key, int in_fd) {
  const Attachment line(key);
  if (!line) return -1;
  Texts texts(in_fd);
  char text[kTextSize];
  int passed = 0;
  while (true) {
    const int there = texts.Next(text);
    if (there == -1 || Take(line.set(), kFree) == -1) return -1;
    line->end = there == 0 ? 1 : 0;
    if (there == 1) std::memcpy(line->text, text, std::strlen(text) + 1);
    if (Give(line.set(), kFull) == -1) return -1;
    if (there == 0) return passed;
    ++passed;
  }
}

int line_read(key_t key, int out_fd) {
  const Attachment line(key);
  if (!line) return -1;
  int passed = 0;
  while (true) {
    if (Take(line.set(), kFull) == -1) return -1;
    if (line->end == 1) return passed;
    // Only when the text has been used may the writer have the place again.
    if (WriteAll(out_fd, line->text, std::strlen(line->text)) == -1) return -1;
    if (Give(line.set(), kFree) == -1) return -1;
    ++passed;
  }
}

namespace {

pid_t StartProgram(const char* const argv[], const std::string& key) {
  std::vector<char*> arguments;  // Made before fork: afterwards a child must not allocate.
  for (; *argv != nullptr; ++argv) arguments.push_back(const_cast<char*>(*argv));
  arguments.push_back(const_cast<char*>(key.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  execvp(arguments[0], arguments.data());
  _exit(127);
}

// Waits for both programs, whichever ends first, and removes the line.
int WaitForBoth(const pid_t pids[2], key_t key, int statuses[2]) {
  int ended[2] = {0, 0};
  bool removed = false;
  for (int n = 0; n < 2; ++n) {
    int status = 0;
    const pid_t pid = Again([&] { return waitpid(-1, &status, 0); });
    if (pid == -1) return -1;
    ended[pid == pids[0] ? 0 : 1] = status;
    // The other one waits for a partner that will never come.
    if (status != 0 && !removed) {
      line_remove(key);
      removed = true;  // Not twice: by then somebody else may have made a line of his own.
    }
  }
  if (!removed) line_remove(key);
  statuses[0] = ended[0];
  statuses[1] = ended[1];
  return 0;
}

int RunBoth(const char* const reader[], const char* const writer[], key_t key, int statuses[2]) {
  char text[2 * sizeof(key) + 1];
  std::snprintf(text, sizeof(text), "%x", static_cast<unsigned>(key));
  pid_t pids[2];
  pids[0] = StartProgram(reader, text);
  pids[1] = pids[0] == -1 ? -1 : StartProgram(writer, text);
  if (pids[1] != -1) return WaitForBoth(pids, key, statuses);
  const KeepErrno keep;
  if (pids[0] != -1) {
    kill(pids[0], SIGKILL);
    Again([&] { return waitpid(pids[0], nullptr, 0); });
  }
  line_remove(key);
  return -1;
}

}  // namespace

int line_control(const char* key_file, const char* const reader[], const char* const writer[],
                 int statuses[2]) {
  if (reader[0] == nullptr || writer[0] == nullptr) return Fail(EINVAL);
  const int fd = Again([&] { return open(key_file, O_CREAT | O_EXCL | O_CLOEXEC, 0600); });
  if (fd == -1 && errno != EEXIST) return -1;
  if (fd != -1) close(fd);
  // The file must stay as it is for as long as somebody makes a key of it: its inode is in the key.
  const key_t key = ftok(key_file, 0x27);
  int result = key == -1 ? -1 : line_create(key);
  if (result == 0) result = RunBoth(reader, writer, key, statuses);
  const KeepErrno keep;
  if (fd != -1) unlink(key_file);
  return result;
}

// ---- 4. A bounded ring buffer -------------------------------------------------------------------

namespace {

// At the beginning of the memory; the slots stand behind it. `in` counts the items that were ever
// put in, `out` those that were taken out; item number n lies in slot n % slots. So an empty ring
// (in == out) and a full one (in == out + slots) look different, and no slot has to stay free.
struct Ring {
  std::uint64_t slots;
  std::uint64_t item;
  pthread_mutex_t lock;
  // One store to `in` or `out` is the moment at which an item is there, or gone: whoever is killed
  // before or after it leaves a sound ring. It must come behind the copying, for the processor and
  // for the compiler; that is what std::atomic is for here.
  std::atomic<std::uint64_t> in;
  std::atomic<std::uint64_t> out;
  std::uint32_t closed;
  std::uint32_t sleepers;              // 1 if somebody may sleep on `changes`.
  std::atomic<std::uint32_t> changes;  // What is slept on. It counts wake-ups.
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock would be private");

Ring* RingIn(void* mem) { return static_cast<Ring*>(mem); }

char* SlotOf(Ring* ring, std::uint64_t number) {
  return reinterpret_cast<char*>(ring + 1) + number % ring->slots * ring->item;
}

class RingLock {
 public:
  explicit RingLock(Ring* ring) : ring_(ring) { Lock(); }
  ~RingLock() { Unlock(); }
  RingLock(const RingLock&) = delete;
  RingLock& operator=(const RingLock&) = delete;

  // Lets the others in until something has changed. False once the time is over.
  bool Wait(const Patience& patience) {
    ring_->sleepers = 1;
    const std::uint32_t seen = ring_->changes.load();
    Unlock();
    const bool in_time = patience.SleepWhile(&ring_->changes, seen);
    Lock();
    return in_time;
  }

  // Tells the sleepers that something changes. Comes before the change: they wake, queue at the
  // lock and look when it is done. The other way round, who is killed in between would leave them
  // asleep beside an item.
  void AnnounceChange() {
    if (ring_->sleepers == 0) return;
    ring_->changes.fetch_add(1);
    WakeAll(&ring_->changes);
    ring_->sleepers = 0;
  }

 private:
  void Lock() {
    // The last owner died in here. All that he can have left half done is a slot that does not
    // count yet, so there is nothing to mend.
    if (pthread_mutex_lock(&ring_->lock) == EOWNERDEAD) pthread_mutex_consistent(&ring_->lock);
  }
  void Unlock() { pthread_mutex_unlock(&ring_->lock); }

  Ring* const ring_;
};

}  // namespace

ssize_t ring_bytes(std::size_t slots, std::size_t item) {
  constexpr std::size_t kMost = std::size_t{1} << 40;
  if (slots == 0 || item == 0 || slots > kMost / item) return Fail(EINVAL);
  return static_cast<ssize_t>(sizeof(Ring) + slots * item);
}

int ring_init(void* mem, std::size_t slots, std::size_t item) {
  if (ring_bytes(slots, item) == -1) return -1;
  Ring* const ring = new (mem) Ring();  // Zero: a mutex must not be made on rubbish.
  ring->slots = slots;
  ring->item = item;
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  const int error = pthread_mutex_init(&ring->lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return error == 0 ? 0 : Fail(error);
}

int ring_put(void* mem, const void* item, int timeout_ms) {
  const Patience patience(timeout_ms);
  Ring* const ring = RingIn(mem);
  RingLock lock(ring);
  // Each look comes after the lock was taken: what was seen before it may not be true any more.
  bool in_time = true;
  while (ring->closed == 0 && ring->in - ring->out == ring->slots) {
    if (!in_time) return Fail(ETIMEDOUT);
    in_time = lock.Wait(patience);
  }
  if (ring->closed == 1) return Fail(EPIPE);
  std::memcpy(SlotOf(ring, ring->in), item, ring->item);
  lock.AnnounceChange();
  ring->in.store(ring->in + 1, std::memory_order_release);
  return 0;
}

int ring_get(void* mem, void* item, int timeout_ms) {
  const Patience patience(timeout_ms);
  Ring* const ring = RingIn(mem);
  RingLock lock(ring);
  bool in_time = true;
  while (ring->in == ring->out) {
    if (ring->closed == 1) return Fail(ENODATA);
    if (!in_time) return Fail(ETIMEDOUT);
    in_time = lock.Wait(patience);
  }
  std::memcpy(item, SlotOf(ring, ring->out), ring->item);
  lock.AnnounceChange();
  ring->out.store(ring->out + 1, std::memory_order_release);
  return 0;
}

int ring_close(void* mem) {
  Ring* const ring = RingIn(mem);
  RingLock lock(ring);
  lock.AnnounceChange();
  ring->closed = 1;
  return 0;
}

ssize_t ring_used(void* mem) {
  Ring* const ring = RingIn(mem);
  // Without the lock, so that it is good for the form without one too. `out` first: read later, it
  // might have overtaken `in`.
  const std::uint64_t out = ring->out.load();
  const std::uint64_t in = ring->in.load();
  return static_cast<ssize_t>(std::min(in - out, ring->slots));
}

// One producer alone changes `in`, and one consumer alone `out`. What each reads of the other may
// be old, and then the ring looks fuller, or emptier, than it is: no harm. But whoever sees the new
// number must see all that was done before it was stored: acquire on this side, release on that.

int spsc_put(void* mem, const void* item) {
  Ring* const ring = RingIn(mem);
  const std::uint64_t in = ring->in.load(std::memory_order_relaxed);
  if (in - ring->out.load(std::memory_order_acquire) == ring->slots) return Fail(EAGAIN);
  std::memcpy(SlotOf(ring, in), item, ring->item);
  ring->in.store(in + 1, std::memory_order_release);
  return 0;
}

int spsc_get(void* mem, void* item) {
  Ring* const ring = RingIn(mem);
  const std::uint64_t out = ring->out.load(std::memory_order_relaxed);
  if (ring->in.load(std::memory_order_acquire) == out) return Fail(EAGAIN);
  std::memcpy(item, SlotOf(ring, out), ring->item);
  // Only now may the producer have the slot again.
  ring->out.store(out + 1, std::memory_order_release);
  return 0;
}

// ---- 5. POSIX shared memory ---------------------------------------------------------------------

namespace {

// Returns 0, or -1 with EINVAL or ENAMETOOLONG.
int CheckName(const char* name) {
  constexpr std::size_t kLongest = 254;
  if (name == nullptr || name[0] != '/') return Fail(EINVAL);
  const std::string_view rest(name + 1);
  if (rest.empty() || rest == "." || rest == ".." || rest.find('/') != rest.npos) {
    return Fail(EINVAL);
  }
  return rest.size() > kLongest ? Fail(ENAMETOOLONG) : 0;
}

// Opens the object if it has a size already; fails with EAGAIN if it has none.
int OpenSized(const char* name, int readonly, std::size_t* size) {
  const int fd = Again([&] { return shm_open(name, readonly != 0 ? O_RDONLY : O_RDWR, 0); });
  if (fd == -1) return -1;
  struct stat status;
  int result = fstat(fd, &status);
  if (result == 0 && status.st_size == 0) result = Fail(EAGAIN);
  if (result == -1) {
    const KeepErrno keep;
    close(fd);
    return -1;
  }
  *size = static_cast<std::size_t>(status.st_size);
  return fd;
}

}  // namespace

int pshm_create(const char* name, std::size_t size, mode_t mode) {
  if (CheckName(name) == -1) return -1;
  if (size == 0) return Fail(EINVAL);
  // O_EXCL: an object that is there is somebody's, and so is its content.
  const int fd = Again([&] { return shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600); });
  if (fd == -1) return -1;
  // The umask has its say in shm_open, but not in fchmod. The size comes last: who sees that the
  // object has one finds all the rest done.
  const auto bytes = static_cast<off_t>(size);
  if (fchmod(fd, mode) == 0 && Again([&] { return ftruncate(fd, bytes); }) == 0) return fd;
  const KeepErrno keep;
  close(fd);
  shm_unlink(name);
  return -1;
}

int pshm_open(const char* name, int readonly, int timeout_ms, std::size_t* size) {
  if (CheckName(name) == -1) return -1;
  const Patience patience(timeout_ms);
  while (true) {
    // Opened anew at each look: who was making it may have given up, and the name gone.
    const int fd = OpenSized(name, readonly, size);
    if (fd != -1 || errno != EAGAIN) return fd;
    if (!patience.Nap()) return Fail(ETIMEDOUT);
  }
}

void* pshm_map(int fd, std::size_t size, int readonly) {
  struct stat status;
  if (fstat(fd, &status) == -1) return nullptr;
  // mmap takes any size; what lies behind the object is SIGBUS.
  if (size > static_cast<std::size_t>(status.st_size)) {
    errno = EINVAL;
    return nullptr;
  }
  const int protection = readonly != 0 ? PROT_READ : PROT_READ | PROT_WRITE;
  void* const address = mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  return address == MAP_FAILED ? nullptr : address;
}

int pshm_destroy(const char* name) { return CheckName(name) == -1 ? -1 : shm_unlink(name); }

namespace {

// At the beginning of the object; the message stands behind it. A new object is all zero, and that
// is a sound beginning: there is no moment at which somebody could find it half made.
struct Parcel {
  enum State : std::uint32_t { kEmpty, kThere, kTaken, kWithdrawn };

  std::atomic<std::uint32_t> state;
  std::uint64_t size;

  char* Content() { return reinterpret_cast<char*>(this + 1); }

  // False if it was in another state.
  bool Change(std::uint32_t from, std::uint32_t to) {
    if (!state.compare_exchange_strong(from, to)) return false;
    WakeAll(&state);
    return true;
  }
  // Sleeps for as long as it is in this state. False once the time is over.
  bool Await(State past, const Patience& patience) {
    while (state == past) {
      if (!patience.SleepWhile(&state, past)) return state != past;
    }
    return true;
  }
};

class MappedParcel {
 public:
  // Takes the descriptor, whatever happens.
  MappedParcel(int fd, std::size_t size)
      : parcel_(static_cast<Parcel*>(pshm_map(fd, size, 0))), size_(size) {
    const KeepErrno keep;
    close(fd);
  }
  ~MappedParcel() {
    const KeepErrno keep;
    if (parcel_ != nullptr) munmap(parcel_, size_);
  }
  MappedParcel(const MappedParcel&) = delete;
  MappedParcel& operator=(const MappedParcel&) = delete;

  explicit operator bool() const { return parcel_ != nullptr; }
  Parcel* operator->() const { return parcel_; }

 private:
  Parcel* const parcel_;
  const std::size_t size_;
};

int Deliver(int fd, const void* msg, std::size_t len, const Patience& patience) {
  const MappedParcel parcel(fd, sizeof(Parcel) + len);
  if (!parcel) return -1;
  parcel->size = len;
  if (len > 0) std::memcpy(parcel->Content(), msg, len);
  parcel->Change(Parcel::kEmpty, Parcel::kThere);
  if (parcel->Await(Parcel::kThere, patience)) return 0;
  // Too late, unless the consumer takes it at this very moment: then both must know the same.
  return parcel->Change(Parcel::kThere, Parcel::kWithdrawn) ? Fail(ETIMEDOUT) : 0;
}

// Fails with EAGAIN if this is no message, or one of the past, whose producer has yet to remove the
// name.
ssize_t Accept(int fd, std::size_t size, void* buf, std::size_t cap, const Patience& patience) {
  const MappedParcel parcel(fd, size);
  if (!parcel) return -1;
  if (size < sizeof(Parcel)) return Fail(EAGAIN);
  if (!parcel->Await(Parcel::kEmpty, patience)) return Fail(ETIMEDOUT);
  const std::size_t len = parcel->size;
  if (parcel->state != Parcel::kThere || len > size - sizeof(Parcel)) return Fail(EAGAIN);
  const bool fits = len <= cap;
  // The producer may withdraw it while we copy; `buf` must then be as it was.
  const std::unique_ptr<char[]> copy(new (std::nothrow) char[fits ? len : 0]);
  if (copy == nullptr) return Fail(ENOMEM);
  if (fits) std::memcpy(copy.get(), parcel->Content(), len);
  if (!parcel->Change(Parcel::kThere, Parcel::kTaken)) return Fail(EAGAIN);
  if (!fits) return Fail(EMSGSIZE);
  if (len > 0) std::memcpy(buf, copy.get(), len);
  return static_cast<ssize_t>(len);
}

}  // namespace

int produce(const char* name, const void* msg, std::size_t len, int timeout_ms) {
  const Patience patience(timeout_ms);
  const int fd = pshm_create(name, sizeof(Parcel) + len, 0600);
  if (fd == -1) return -1;
  const int result = Deliver(fd, msg, len, patience);
  const KeepErrno keep;
  shm_unlink(name);  // By nobody else: a second one might hit the object of the next producer.
  return result;
}

ssize_t consume(const char* name, void* buf, std::size_t cap, int timeout_ms) {
  if (CheckName(name) == -1) return -1;
  const Patience patience(timeout_ms);
  while (true) {
    std::size_t size = 0;
    const int fd = OpenSized(name, 0, &size);
    ssize_t got = -1;
    if (fd != -1) got = Accept(fd, size, buf, cap, patience);
    if (got != -1 || (errno != EAGAIN && errno != ENOENT)) return got;
    if (!patience.Nap()) return Fail(ETIMEDOUT);
  }
}

// ---- 6. Data that is valid at any address -------------------------------------------------------

namespace {

// At the beginning of the heap. Offsets in it and in the nodes count from there: an address would
// be true in one process only.
struct Heap {
  std::uint64_t bytes;
  std::uint64_t used;  // Where the next piece begins.
};

// Its text, with a closing NUL, stands behind it.
struct Node {
  Off next;
};

const char* TextOf(const Node* node) { return reinterpret_cast<const char*>(node + 1); }

constexpr std::uint64_t kUnit = 16;
static_assert(sizeof(Heap) % kUnit == 0);

std::uint64_t RoundUp(std::uint64_t n) { return (n + kUnit - 1) / kUnit * kUnit; }

// The node at an offset, or null if there cannot be one. The offset may be anything.
const Node* NodeAt(const void* base, Off at) {
  const auto bytes = static_cast<const Heap*>(base)->bytes;
  const auto begin = static_cast<std::uint64_t>(at);  // What is negative becomes very large.
  if (begin < sizeof(Heap) || begin % kUnit != 0) return nullptr;
  if (begin >= bytes || bytes - begin <= sizeof(Node)) return nullptr;
  return reinterpret_cast<const Node*>(static_cast<const char*>(base) + begin);
}

}  // namespace

int heap_init(void* base, std::size_t bytes) {
  if (bytes < 64) return Fail(EINVAL);
  new (base) Heap{bytes, sizeof(Heap)};
  return 0;
}

Off heap_alloc(void* base, std::size_t n) {
  auto* const heap = static_cast<Heap*>(base);
  if (n == 0) return Fail(EINVAL);
  const std::uint64_t room = heap->bytes - heap->used;
  if (n > room) return Fail(ENOMEM);  // First: a huge n must not be rounded up to 0.
  const std::uint64_t at = heap->used;
  heap->used += std::min(RoundUp(n), room);
  return static_cast<Off>(at);
}

int list_push(void* base, Off* head, const char* text) {
  if (*head != 0 && NodeAt(base, *head) == nullptr) return Fail(EINVAL);
  const std::size_t size = std::strlen(text) + 1;
  const Off at = heap_alloc(base, sizeof(Node) + size);
  if (at == -1) return -1;
  auto* const node = new (static_cast<char*>(base) + at) Node{*head};
  std::memcpy(node + 1, text, size);
  *head = at;
  return 0;
}

ssize_t list_join(const void* base, Off head, char* out, std::size_t cap) {
  const std::uint64_t bytes = static_cast<const Heap*>(base)->bytes;
  std::size_t size = 0;
  // Every text adds a byte at least, so a list without an end does not fit some time.
  for (Off at = head; at != 0;) {
    const Node* const node = NodeAt(base, at);
    if (node == nullptr) return Fail(EINVAL);
    const std::uint64_t most = bytes - static_cast<std::uint64_t>(at) - sizeof(Node);
    const std::size_t length = strnlen(TextOf(node), most);
    if (length == most) return Fail(EINVAL);
    if (cap <= size || cap - size < length + 2) return Fail(ENOBUFS);
    std::memcpy(out + size, TextOf(node), length);
    out[size + length] = '\n';
    size += length + 1;
    at = node->next;
  }
  if (cap == 0) return Fail(ENOBUFS);
  out[size] = '\0';
  return static_cast<ssize_t>(size);
}

// ---- 7. Census and clean-up ---------------------------------------------------------------------

namespace {

constexpr char kPosixFolder[] = "/dev/shm";

// The kernel keeps the objects of a kind in a table. *_INFO returns the highest index in use;
// *_STAT_ANY takes an index instead of an id, and asks for no right to read, unlike *_STAT.
union Semun {
  int val;
  semid_ds* buf;
  seminfo* info;
};

// What is gone, or was never there.
bool IsGone(int error) { return error == EINVAL || error == EIDRM || error == ENOENT; }

Item SysvItem(Ipc kind, int id, const ipc_perm& perm) {
  Item item{};
  item.kind = kind;
  item.id = id;
  item.key = perm.__key;
  item.uid = perm.uid;
  item.mode = perm.mode & 0777;
  return item;
}

// Each of these describes what stands at an index; returns -1 with an error of IsGone if that is
// nothing.
int QueueAt(int index, Item* item) {
  msqid_ds status;
  const int id = msgctl(index, MSG_STAT_ANY, &status);
  if (id == -1) return -1;
  *item = SysvItem(kQueue, id, status.msg_perm);
  item->size = status.__msg_cbytes;
  item->users = static_cast<long>(status.msg_qnum);
  return 0;
}

// Who waits in a set: with an operation that takes, or that waits for zero. -1 if that may not be
// known.
long WaitingIn(int set, unsigned long semaphores) {
  long waiting = 0;
  for (int i = 0; i < static_cast<int>(semaphores); ++i) {
    for (const int question : {GETNCNT, GETZCNT}) {
      const int count = semctl(set, i, question);
      if (count == -1) return -1;
      waiting += count;
    }
  }
  return waiting;
}

int SetAt(int index, Item* item) {
  semid_ds status;
  Semun argument{};
  argument.buf = &status;
  const int id = semctl(index, 0, SEM_STAT_ANY, argument);
  if (id == -1) return -1;
  *item = SysvItem(kSemaphores, id, status.sem_perm);
  item->size = status.sem_nsems;
  item->users = WaitingIn(id, status.sem_nsems);
  return item->users != -1 || errno == EACCES ? 0 : -1;
}

int SegmentAt(int index, Item* item) {
  shmid_ds status;
  const int id = shmctl(index, SHM_STAT_ANY, &status);
  if (id == -1) return -1;
  *item = SysvItem(kSegment, id, status.shm_perm);
  item->size = status.shm_segsz;
  item->users = static_cast<long>(status.shm_nattch);
  item->marked = (status.shm_perm.mode & SHM_DEST) != 0 ? 1 : 0;
  return 0;
}

int HighestIndex(Ipc kind) {
  if (kind == kQueue) {
    msginfo info;
    return msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&info));
  }
  if (kind == kSegment) {
    shm_info info;
    return shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
  }
  seminfo info;
  Semun argument{};
  argument.info = &info;
  return semctl(0, 0, SEM_INFO, argument);
}

int AddSysv(Ipc kind, int (*describe)(int index, Item* item), std::vector<Item>* items) {
  const int highest = HighestIndex(kind);
  if (highest == -1) return -1;
  for (int index = 0; index <= highest; ++index) {
    Item item;
    if (describe(index, &item) == 0) {
      items->push_back(item);
    } else if (!IsGone(errno)) {
      return -1;
    }
  }
  return 0;
}

int AddPosixOf(DIR* folder, std::vector<Item>* items) {
  while (true) {
    errno = 0;  // readdir says "no more" and "I failed" in the same way.
    const dirent* const entry = readdir(folder);
    if (entry == nullptr) return errno == 0 ? 0 : -1;
    const std::string name = std::string("/") + entry->d_name;
    Item item{};
    if (name.starts_with("/sem.") || name.size() >= sizeof(item.name)) continue;
    struct stat status;
    if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == -1) {
      if (errno != ENOENT) return -1;
      continue;
    }
    if (!S_ISREG(status.st_mode)) continue;
    item.kind = kPosix;
    item.id = -1;
    item.uid = status.st_uid;
    item.mode = status.st_mode & 0777;
    item.size = static_cast<unsigned long>(status.st_size);
    item.users = -1;
    std::memcpy(item.name, name.c_str(), name.size() + 1);
    items->push_back(item);
  }
}

int AddPosix(std::vector<Item>* items) {
  DIR* const folder = opendir(kPosixFolder);
  if (folder == nullptr) return errno == ENOENT ? 0 : -1;
  const int result = AddPosixOf(folder, items);
  const KeepErrno keep;
  closedir(folder);
  return result;
}

int TakeCensus(std::vector<Item>* items) {
  if (AddSysv(kQueue, QueueAt, items) == -1) return -1;
  if (AddSysv(kSemaphores, SetAt, items) == -1) return -1;
  if (AddSysv(kSegment, SegmentAt, items) == -1) return -1;
  return AddPosix(items);
}

int Store(const std::vector<Item>& items, Item* out, std::size_t cap) {
  std::copy_n(items.begin(), std::min(cap, items.size()), out);
  return static_cast<int>(items.size());
}

int Remove(const Item& item) {
  switch (item.kind) {
    case kQueue:
      return msgctl(item.id, IPC_RMID, nullptr);
    case kSemaphores:
      return semctl(item.id, 0, IPC_RMID);
    case kSegment:
      return shmctl(item.id, IPC_RMID, nullptr);
    case kPosix:
      break;
  }
  return shm_unlink(item.name);
}

}  // namespace

int ipc_census(Item* out, std::size_t cap) {
  std::vector<Item> items;
  return TakeCensus(&items) == -1 ? -1 : Store(items, out, cap);
}

int ipc_match(const Item* item, const Filter* filter) {
  if ((filter->kinds & item->kind) == 0 || item->uid != geteuid()) return 0;
  if (item->kind == kPosix) {
    const char* const prefix = filter->name_prefix;
    if (prefix == nullptr || prefix[0] == '\0') return 0;
    return std::string_view(item->name).starts_with(prefix) ? 1 : 0;
  }
  if (item->marked == 1 || item->users != 0) return 0;
  return filter->key_lo <= item->key && item->key <= filter->key_hi ? 1 : 0;
}

int ipc_clean(const Filter* filter, int dry_run, Item* removed, std::size_t cap) {
  std::vector<Item> items;
  if (TakeCensus(&items) == -1) return -1;
  std::vector<Item> done;
  int first_error = 0;
  for (const Item& item : items) {
    if (ipc_match(&item, filter) == 0) continue;
    if (dry_run != 0 || Remove(item) == 0) {
      done.push_back(item);
    } else if (!IsGone(errno) && first_error == 0) {
      first_error = errno;
    }
  }
  return first_error != 0 ? Fail(first_error) : Store(done, removed, cap);
}

}  // namespace ipclab::shm
