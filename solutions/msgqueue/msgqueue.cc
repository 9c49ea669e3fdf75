// The reference solution of the lab `msgqueue`. Solve the exercises first: there is one road here,
// and there are many others.
//
// Three things carry most of it:
//  - A queue belongs to nobody's process. Whoever makes one and then fails removes it again.
//  - Between two calls anything may happen: somebody makes or removes the queue. Only one call that
//    does both, or an answer that is believed only afterwards, is safe.
//  - Every wait may be broken off by a signal, and for these calls the kernel never goes on by
//    itself.
#include "msgqueue.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <list>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

namespace ipclab::msgqueue {

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

// Owns a descriptor.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { static_cast<void>(Close()); }

  int get() const { return fd_; }
  // For files that were written, close(2) is the last to say that something is lost.
  int Close() {
    const int fd = std::exchange(fd_, -1);
    return fd == -1 || close(fd) == 0 || errno == EINTR ? 0 : -1;
  }

 private:
  int fd_;
};

struct Free {
  void operator()(void* memory) const { free(memory); }
};

// A message as msgsnd and msgrcv want it: its type, and right behind it the data. msgbuf of the
// manual is only a picture of that: how much room there is, each program says for itself.
class Letter {
 public:
  // Room for `n` bytes of data. No message is longer than INT_MAX, whoever asks.
  explicit Letter(std::size_t n)
      : room_(std::min<std::size_t>(n, INT_MAX)),
        memory_(static_cast<long*>(malloc(sizeof(long) + room_))) {}

  // False, with errno ENOMEM, if there is no memory.
  explicit operator bool() const { return memory_ != nullptr; }

  std::size_t room() const { return room_; }
  long& type() { return *memory_; }
  char* data() { return reinterpret_cast<char*>(memory_.get() + 1); }
  void* get() { return memory_.get(); }

 private:
  std::size_t room_;
  std::unique_ptr<long, Free> memory_;
};

// memcpy may not be called with null, not even for no bytes.
void Copy(void* to, const void* from, std::size_t n) {
  if (n != 0) std::memcpy(to, from, n);
}

int Send(int qid, Letter& letter, std::size_t n, int flags) {
  return Again([&] { return msgsnd(qid, letter.get(), n, flags); });
}

ssize_t Receive(int qid, long want, Letter& letter, int flags) {
  return Again([&] { return msgrcv(qid, letter.get(), letter.room(), want, flags); });
}

// The limits of the system, as they are now. ipcs(1) reads them from /proc, which need not be
// there.
int SystemLimits(msginfo* info) {
  return msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(info)) == -1 ? -1 : 0;
}

// The point in time at which a timeout ends.
class Deadline {
 public:
  explicit Deadline(int timeout_ms)
      : end_(Clock::now() + std::chrono::milliseconds(timeout_ms)), never_(timeout_ms < 0) {}

  // Sleeps for a moment, or for what is left. False if nothing is left.
  bool SleepAMoment() const {
    constexpr std::chrono::nanoseconds kMoment = std::chrono::milliseconds(1);
    const std::chrono::nanoseconds left = never_ ? kMoment : end_ - Clock::now();
    if (left <= std::chrono::nanoseconds::zero()) return false;
    const timespec moment{0, std::min(kMoment, left).count()};
    static_cast<void>(nanosleep(&moment, nullptr));  // A signal makes it shorter, which is fine.
    return true;
  }

  bool never() const { return never_; }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point end_;
  bool never_;
};

bool GoodMode(mode_t mode) { return (mode & ~mode_t{0777}) == 0; }

}  // namespace

// ---- 1. Keys, creating, opening, removing ------------------------------------------------------

key_t key_from_path(const char* path, int id) {
  // ftok uses the low eight bits, so that 256 would mean 0 and 257 the same as 1. Whether 0 is
  // allowed is open in POSIX. A negative key is as good as any other.
  if (id < 1 || id > 255) return Fail(EINVAL);
  return ftok(path, id);
}

int q_create(key_t key, mode_t mode) {
  if (key == IPC_PRIVATE || !GoodMode(mode)) return Fail(EINVAL);
  // The umask does not count here, unlike with open(2).
  return msgget(key, IPC_CREAT | IPC_EXCL | static_cast<int>(mode));
}

int q_open(key_t key) {
  // IPC_PRIVATE would make a queue, even without IPC_CREAT.
  if (key == IPC_PRIVATE) return Fail(EINVAL);
  // The bits are what we ask for; with 0 we would get an id and be refused later.
  return msgget(key, 0600);
}

int q_open_or_create(key_t key, mode_t mode, int* created) {
  // IPC_CREAT alone does not tell who made the queue. Each of these two calls knows: so whoever
  // finds that the world has changed between them begins again.
  for (;;) {
    const int made = q_create(key, mode);
    if (made != -1) {
      *created = 1;
      return made;
    }
    if (errno != EEXIST) return -1;
    const int found = q_open(key);
    if (found != -1) {
      *created = 0;
      return found;
    }
    if (errno != ENOENT) return -1;
  }
}

namespace {

// A new file under a name that nobody knows, beside the name that it is meant for. It is removed
// again unless Publish() succeeds.
class NewFile {
 public:
  NewFile() = default;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    KeepErrno keep;
    if (*name_ != '\0') static_cast<void>(unlink(name_));
  }

  // Returns a descriptor for writing. The new name is in the same directory: rename(2) does not
  // go from one file system to another.
  int Open(const char* meant_for) {
    for (int n = 0;; ++n) {
      char name[PATH_MAX];
      const int length = snprintf(name, sizeof name, "%s.%ld.%d", meant_for, long{getpid()}, n);
      if (length < 0 || static_cast<std::size_t>(length) >= sizeof name) return Fail(ENAMETOOLONG);
      const int fd =
          Again([&] { return open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644); });
      if (fd == -1 && errno == EEXIST) continue;  // Somebody of our number died here once.
      if (fd != -1) std::memcpy(name_, name, sizeof name);
      return fd;
    }
  }

  int Publish(const char* as) {
    if (rename(name_, as) == -1) return -1;
    *name_ = '\0';
    return 0;
  }

 private:
  char name_[PATH_MAX] = "";
};

int WriteAll(int fd, const char* text, std::size_t n) {
  for (std::size_t done = 0; done < n;) {
    const ssize_t put = Again([&] { return write(fd, text + done, n - done); });
    if (put == -1) return -1;
    done += static_cast<std::size_t>(put);
  }
  return 0;
}

// Puts the whole text into a new file first: under its own name it is there at once or not at all.
int PublishText(const char* path, const char* text) {
  NewFile file;
  Fd fd(file.Open(path));
  if (fd.get() == -1) return -1;
  if (WriteAll(fd.get(), text, std::strlen(text)) == -1 || fd.Close() == -1) return -1;
  return file.Publish(path);
}

// The id in a text "123\n", or -1.
int ParseId(std::string_view text) {
  int id = -1;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, id);
  const bool whole = error == std::errc() && end - after == 1 && *after == '\n';
  return whole ? id : -1;
}

}  // namespace

int q_private(const char* id_file, mode_t mode) {
  if (!GoodMode(mode)) return Fail(EINVAL);
  const int qid = msgget(IPC_PRIVATE, IPC_CREAT | static_cast<int>(mode));
  if (qid == -1) return -1;
  char text[16];
  snprintf(text, sizeof text, "%d\n", qid);
  if (PublishText(id_file, text) == 0) return qid;
  KeepErrno keep;
  static_cast<void>(q_remove(qid));
  return -1;
}

int q_from_file(const char* id_file) {
  const Fd fd(Again([&] { return open(id_file, O_RDONLY | O_CLOEXEC); }));
  if (fd.get() == -1) return -1;
  char text[16];  // An id and its newline are 11 characters at most.
  std::size_t size = 0;
  while (size < sizeof text) {
    const ssize_t got = Again([&] { return read(fd.get(), text + size, sizeof text - size); });
    if (got == -1) return -1;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  const int qid = ParseId({text, size});
  if (qid < 0) return Fail(EBADMSG);
  msqid_ds status{};
  if (msgctl(qid, IPC_STAT, &status) == 0) return qid;
  // The file outlives the queue: nobody takes it away when the queue goes.
  return errno == EINVAL || errno == EIDRM ? Fail(ENOENT) : -1;
}

int q_remove(int qid) { return msgctl(qid, IPC_RMID, nullptr); }

// ---- 2. Typed send and receive -----------------------------------------------------------------

int q_send(int qid, long type, const void* data, std::size_t n, int wait) {
  if (type < 1) return Fail(EINVAL);
  // msgsnd says EINVAL for a message that is too long and for a queue that is not there.
  msginfo limits{};
  if (SystemLimits(&limits) == -1) return -1;
  if (n > static_cast<std::size_t>(limits.msgmax)) return Fail(EMSGSIZE);
  Letter letter(n);
  if (!letter) return -1;
  letter.type() = type;
  Copy(letter.data(), data, n);
  return Send(qid, letter, n, wait != 0 ? 0 : IPC_NOWAIT);
}

ssize_t q_recv(int qid, long want, void* buf, std::size_t cap, long* type, int wait) {
  Letter letter(cap);
  if (!letter) return -1;
  const ssize_t got = Receive(qid, want, letter, wait != 0 ? 0 : IPC_NOWAIT);
  if (got == -1) return -1;
  Copy(buf, letter.data(), static_cast<std::size_t>(got));
  if (type != nullptr) *type = letter.type();
  return got;
}

// ---- 3. Messages that are too long -------------------------------------------------------------

ssize_t q_recv_grow(int qid, long want, void** buf, std::size_t* cap, long* type) {
  if (*buf == nullptr) *cap = 0;
  for (;;) {
    // While the buffer is too small, msgrcv leaves the message where it is. Once it is taken, there
    // is room for it, and nothing can fail any more.
    const ssize_t got = q_recv(qid, want, *buf, *cap, type, 1);
    if (got != -1 || errno != E2BIG) return got;
    constexpr std::size_t kLeast = 256;
    const std::size_t larger = std::max(kLeast, *cap * 2);
    void* const moved = realloc(*buf, larger);
    if (moved == nullptr) return -1;
    *buf = moved;
    *cap = larger;
  }
}

ssize_t q_recv_cut(int qid, long want, void* buf, std::size_t cap, int* was_cut) {
  // A message that just fits and one that was cut have the same result. So there is room for one
  // byte more than is wanted: where it is used, there was more.
  const std::size_t most = std::min<std::size_t>(cap, INT_MAX - 1);
  Letter letter(most + 1);
  if (!letter) return -1;
  const ssize_t got = Receive(qid, want, letter, MSG_NOERROR);
  if (got == -1) return -1;
  const std::size_t kept = std::min(static_cast<std::size_t>(got), most);
  Copy(buf, letter.data(), kept);
  *was_cut = static_cast<std::size_t>(got) > most ? 1 : 0;
  return static_cast<ssize_t>(kept);
}

namespace {

// Data travel in parts, each with this in front. All parts have the type of the data, so that the
// receiver takes whatever comes and never waits for one sender while the parts of another fill the
// queue. Parts of one sender stay in order, as messages of one type do.
struct PartHeader {
  pid_t sender;
  std::uint32_t serial;  // Of the data, among those of the sender.
  std::uint64_t total;   // Of all parts together.
  std::uint64_t offset;  // Of this part.
};

// True if this can stand in front of `size` bytes of data.
bool GoodPart(const PartHeader& part, std::size_t size) {
  return part.total <= kLongestBig && part.offset <= part.total && size <= part.total - part.offset;
}

bool SameData(const PartHeader& one, const PartHeader& other) {
  return one.sender == other.sender && one.serial == other.serial;
}

// Data of which some parts have come.
struct Unfinished {
  int qid;
  long type;
  PartHeader header;  // Its offset is how much there is.
  std::unique_ptr<char, Free> data;
};

// What calls of q_recv_big have taken of data that other calls will return.
std::list<Unfinished>& AllUnfinished() {
  static std::list<Unfinished> all;
  return all;
}

bool AnyUnfinished(int qid, long type) {
  return std::any_of(AllUnfinished().begin(), AllUnfinished().end(),
                     [&](const Unfinished& data) { return data.qid == qid && data.type == type; });
}

void ForgetUnfinished(int qid, long type) {
  AllUnfinished().remove_if(
      [&](const Unfinished& data) { return data.qid == qid && data.type == type; });
}

// The data that a part belongs to: new ones if it is their first part. end() if it belongs to none
// that we know, because we have given up its data; or, with errno ENOMEM, for want of memory.
std::list<Unfinished>::iterator DataOf(int qid, long type, const PartHeader& part) {
  std::list<Unfinished>& all = AllUnfinished();
  errno = 0;
  const auto known = std::find_if(all.begin(), all.end(), [&](const Unfinished& data) {
    return data.qid == qid && data.type == type && SameData(data.header, part);
  });
  if (part.offset != 0) return known;
  // A process that has the number of one that died begins again, too.
  if (known != all.end()) all.erase(known);
  std::unique_ptr<char, Free> memory(
      static_cast<char*>(malloc(std::max<std::size_t>(part.total, 1))));
  if (memory == nullptr) return all.end();
  try {
    return all.insert(all.end(), Unfinished{qid, type, part, std::move(memory)});
  } catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return all.end();
  }
}

bool GoodBigType(long type) { return type >= 1 && type <= INT_MAX; }

// As Receive, waiting, until the deadline.
ssize_t ReceiveBefore(const Deadline& deadline, int qid, long want, Letter& letter) {
  if (deadline.never()) return Receive(qid, want, letter, 0);
  for (;;) {
    const ssize_t got = Receive(qid, want, letter, IPC_NOWAIT);
    if (got != -1 || errno != ENOMSG) return got;
    if (!deadline.SleepAMoment()) return Fail(ETIMEDOUT);
  }
}

}  // namespace

int q_send_big(int qid, long type, const void* data, std::size_t n) {
  if (!GoodBigType(type)) return Fail(EINVAL);
  if (n > kLongestBig) return Fail(EMSGSIZE);
  // Two limits: that of the system for one message, and that of this queue for all it holds. A
  // message above the second is no error, it just waits for ever.
  msginfo limits{};
  msqid_ds status{};
  if (SystemLimits(&limits) == -1 || msgctl(qid, IPC_STAT, &status) == -1) return -1;
  const std::size_t most =
      std::min<std::size_t>(static_cast<std::size_t>(limits.msgmax), status.msg_qbytes);
  if (most <= sizeof(PartHeader)) return Fail(EMSGSIZE);
  const std::size_t room = most - sizeof(PartHeader);
  Letter letter(sizeof(PartHeader) + std::min(room, n));
  if (!letter) return -1;
  static std::uint32_t serial = 0;
  PartHeader header{getpid(), ++serial, n, 0};
  do {
    const std::size_t part = std::min<std::size_t>(room, n - header.offset);
    letter.type() = type;
    std::memcpy(letter.data(), &header, sizeof header);
    Copy(letter.data() + sizeof header, static_cast<const char*>(data) + header.offset, part);
    if (Send(qid, letter, sizeof header + part, 0) == -1) return -1;
    header.offset += part;
  } while (header.offset < n);  // No data are one part, too.
  return 0;
}

ssize_t q_recv_big(int qid, long type, void** data, int patience_ms) {
  if (!GoodBigType(type)) return Fail(EINVAL);
  msginfo limits{};
  msqid_ds status{};
  if (SystemLimits(&limits) == -1 || msgctl(qid, IPC_STAT, &status) == -1) return -1;
  Letter letter(static_cast<std::size_t>(limits.msgmax));
  if (!letter) return -1;
  for (;;) {
    // For data of which we have nothing yet we wait as long as it takes.
    const Deadline deadline(AnyUnfinished(qid, type) ? patience_ms : -1);
    const ssize_t got = ReceiveBefore(deadline, qid, type, letter);
    if (got == -1) {
      // It was there when we began: who is away between two looks finds no queue any more.
      const int error = errno == EINVAL ? EIDRM : errno;
      ForgetUnfinished(qid, type);
      return Fail(error);
    }
    PartHeader part;
    if (static_cast<std::size_t>(got) < sizeof part) continue;
    std::memcpy(&part, letter.data(), sizeof part);
    const std::size_t size = static_cast<std::size_t>(got) - sizeof part;
    if (!GoodPart(part, size)) continue;  // Not from q_send_big.
    const auto whole = DataOf(qid, type, part);
    if (whole == AllUnfinished().end()) {
      if (errno == ENOMEM) return -1;
      continue;
    }
    Copy(whole->data.get() + part.offset, letter.data() + sizeof part, size);
    whole->header.offset = part.offset + size;
    if (whole->header.offset < whole->header.total) continue;
    *data = whole->data.release();
    const auto total = static_cast<ssize_t>(whole->header.total);
    AllUnfinished().erase(whole);
    return total;
  }
}

// ---- 4. Priorities -----------------------------------------------------------------------------

namespace {

bool GoodPriority(int prio) { return prio >= 1 && prio <= 99; }

}  // namespace

int jobs_put(int qid, int prio, const void* job, std::size_t n) {
  if (!GoodPriority(prio)) return Fail(EINVAL);
  return q_send(qid, prio, job, n, 1);
}

ssize_t jobs_take(int qid, int worst_prio, void* job, std::size_t cap, int* prio, int wait) {
  if (!GoodPriority(worst_prio)) return Fail(EINVAL);
  // A negative type means: the lowest type up to this number, the number itself included. The
  // kernel looks and takes in one step, so that two workers never get the same job.
  long type = 0;
  const ssize_t got = q_recv(qid, -long{worst_prio}, job, cap, &type, wait);
  if (got != -1 && prio != nullptr) *prio = static_cast<int>(type);
  return got;
}

ssize_t jobs_take_only(int qid, int prio, void* job, std::size_t cap, int wait) {
  if (!GoodPriority(prio)) return Fail(EINVAL);
  return q_recv(qid, prio, job, cap, nullptr, wait);
}

// ---- 5. A server and its clients ---------------------------------------------------------------

namespace {

constexpr long kRequests = 1;  // The type of a request.

long RepliesTo(pid_t client) { return long{client} + 1; }

// Data with the type in front of them, for msgsnd and msgrcv.
template <typename Data>
struct Message {
  // What msgrcv may store. One byte more than the data have: whatever is longer is cut to that, and
  // shows.
  static constexpr std::size_t kRoom = sizeof(Data) + 1;

  long type;
  Data data;
  char more;
};

// Of an id that was good once, or should have been: the queue has been removed, under a call that
// waited (EIDRM) or before it (EINVAL).
bool QueueHasGone() { return errno == EIDRM || errno == EINVAL; }

// ---- The server's end by SIGTERM

volatile sig_atomic_t sigterm_came = 0;
volatile sig_atomic_t may_jump = 0;
sigjmp_buf out_of_the_wait;

// A flag alone would come too late for a server that has just looked at it and now begins to wait,
// and there is no msgrcv that takes a signal mask, as ppoll(2) does. So the handler jumps out of
// the wait, whether it has begun or not. If msgrcv had taken a message just then, it would be lost;
// but so is the whole queue, now that the server ends.
void OnSigterm(int) {
  sigterm_came = 1;
  if (may_jump == 0) return;
  may_jump = 0;
  siglongjmp(out_of_the_wait, 1);
}

class SigtermEndsTheServer {
 public:
  SigtermEndsTheServer() {
    sigterm_came = 0;
    struct sigaction action {};
    action.sa_handler = OnSigterm;
    sigemptyset(&action.sa_mask);
    installed_ = sigaction(SIGTERM, &action, &former_) == 0;
  }
  SigtermEndsTheServer(const SigtermEndsTheServer&) = delete;
  SigtermEndsTheServer& operator=(const SigtermEndsTheServer&) = delete;
  ~SigtermEndsTheServer() {
    KeepErrno keep;
    if (installed_) static_cast<void>(sigaction(SIGTERM, &former_, nullptr));
  }

  bool installed() const { return installed_; }

 private:
  bool installed_;
  struct sigaction former_;
};

// The next message of type 1. Fails with ECANCELED when SIGTERM has come.
ssize_t TakeRequest(int qid, Message<Req>* message, int flags) {
  if (sigsetjmp(out_of_the_wait, 1) != 0) return Fail(ECANCELED);
  may_jump = 1;
  const ssize_t got = sigterm_came != 0 ? Fail(ECANCELED) : Again([&] {
    return msgrcv(qid, message, message->kRoom, kRequests, flags | MSG_NOERROR);
  });
  may_jump = 0;
  return got;
}

bool IsRequest(const Message<Req>& message, ssize_t size) {
  const Req& req = message.data;
  return size == sizeof req && req.client >= 1 &&
         std::memchr(req.text, '\0', sizeof req.text) != nullptr;
}

// ---- The server's replies

// Replies that wait for room in the queue.
class Outbox {
 public:
  Outbox() = default;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() {
    while (!empty()) Drop(&first_);
  }

  bool empty() const { return first_ == nullptr; }

  int Add(pid_t client, const Reply& reply) {
    Kept* const kept = new (std::nothrow) Kept{nullptr, client, {RepliesTo(client), reply, 0}};
    if (kept == nullptr) return Fail(ENOMEM);
    Kept** last = &first_;
    while (*last != nullptr) last = &(*last)->next;
    *last = kept;
    return 0;
  }

  // Sends what there is room for. A long reply in front does not hold up a short one behind it.
  int SendAll(int qid) {
    for (Kept** at = &first_; *at != nullptr;) {
      if (Deliver(qid, **at) == 0) {
        Drop(at);
      } else if (errno == EAGAIN) {
        at = &(*at)->next;
      } else {
        return -1;
      }
    }
    return 0;
  }

 private:
  struct Kept {
    Kept* next;
    pid_t client;
    Message<Reply> message;
  };

  // Nobody would ever fetch what is sent to the dead. Enough of that, and the queue is full.
  static int Deliver(int qid, const Kept& kept) {
    if (kill(kept.client, 0) == -1 && errno == ESRCH) return 0;
    const std::size_t size = offsetof(Reply, text) + std::strlen(kept.message.data.text) + 1;
    return msgsnd(qid, &kept.message, size, IPC_NOWAIT);
  }

  static void Drop(Kept** at) { delete std::exchange(*at, (*at)->next); }

  Kept* first_ = nullptr;
};

// The queue goes when the server goes.
class Served {
 public:
  explicit Served(int qid) : qid_(qid) {}
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() {
    KeepErrno keep;
    static_cast<void>(msgctl(qid_, IPC_RMID, nullptr));
  }

 private:
  const int qid_;
};

// Returns how many requests were handed to `handle`.
int Serve(int qid, ReqHandler handle, void* arg, int max_requests) {
  const SigtermEndsTheServer watch;
  if (!watch.installed()) return -1;
  Outbox outbox;
  int handled = 0;
  while (max_requests < 1 || handled < max_requests) {
    // With a reply in hand we must not wait for requests alone: room for it may come without one.
    // We never wait for room alone either, because the requests may be what fills the queue.
    Message<Req> message;
    const ssize_t got = TakeRequest(qid, &message, outbox.empty() ? 0 : IPC_NOWAIT);
    if (got == -1 && errno == ECANCELED) break;
    if (got == -1 && errno != ENOMSG) return -1;
    if (got == -1) {
      static_cast<void>(Deadline(-1).SleepAMoment());
    } else if (IsRequest(message, got)) {
      if (message.data.op == kOpStop) break;
      ++handled;
      Reply reply{message.data.serial, ""};
      const bool answered = handle(&message.data, reply.text, sizeof reply.text, arg) == 0;
      reply.text[sizeof reply.text - 1] = '\0';
      if (answered && outbox.Add(message.data.client, reply) == -1) return -1;
    }
    if (outbox.SendAll(qid) == -1) return -1;
  }
  return handled;
}

}  // namespace

int server_run(int qid, ReqHandler handle, void* arg, int max_requests) {
  msqid_ds status{};
  if (msgctl(qid, IPC_STAT, &status) == -1 && errno == EINVAL) return -1;  // There is none.
  const Served served(qid);
  const int handled = Serve(qid, handle, arg, max_requests);
  return handled == -1 && QueueHasGone() ? Fail(EIDRM) : handled;
}

namespace {

std::uint32_t NextSerial() {
  // Begins anywhere: the last process that had our number may have left a reply to its first call.
  static auto serial =
      static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  return ++serial;
}

int SendBefore(const Deadline& deadline, int qid, const void* message, std::size_t n) {
  const int flags = deadline.never() ? 0 : IPC_NOWAIT;
  for (;;) {
    if (Again([&] { return msgsnd(qid, message, n, flags); }) == 0) return 0;
    if (errno != EAGAIN) return -1;
    if (!deadline.SleepAMoment()) return Fail(ETIMEDOUT);
  }
}

// The reply with this number. Throws away what else has come for us, also when time is over: then
// nothing for us is left in the queue.
int AwaitReply(const Deadline& deadline, int qid, std::uint32_t serial, Reply* reply) {
  constexpr std::size_t kHead = offsetof(Reply, text);
  const int flags = MSG_NOERROR | (deadline.never() ? 0 : IPC_NOWAIT);
  for (;;) {
    Message<Reply> message;
    const ssize_t got =
        Again([&] { return msgrcv(qid, &message, message.kRoom, RepliesTo(getpid()), flags); });
    if (got == -1 && errno != ENOMSG) return -1;
    if (got == -1) {
      if (!deadline.SleepAMoment()) return Fail(ETIMEDOUT);
      continue;
    }
    const auto size = static_cast<std::size_t>(got);
    if (size <= kHead || size > sizeof *reply || message.data.serial != serial) continue;
    if (std::memchr(message.data.text, '\0', size - kHead) == nullptr) continue;
    *reply = message.data;
    return 0;
  }
}

int Call(int qid, const Message<Req>& request, int timeout_ms, Reply* reply) {
  const Deadline deadline(timeout_ms);
  const std::uint32_t serial = request.data.serial;
  if (SendBefore(deadline, qid, &request, sizeof request.data) == 0) {
    return AwaitReply(deadline, qid, serial, reply);
  }
  // There was no room. A late reply to an earlier call may be a part of the reason.
  if (errno == ETIMEDOUT) return AwaitReply(Deadline(0), qid, serial, reply);
  return -1;
}

}  // namespace

int client_call(int qid, std::uint32_t op, const char* text, char* reply, std::size_t cap,
                int timeout_ms) {
  if (op == kOpStop) return Fail(EINVAL);
  Message<Req> request{kRequests, {getpid(), NextSerial(), op, ""}, 0};
  if (std::strlen(text) >= sizeof request.data.text) return Fail(EMSGSIZE);
  std::strcpy(request.data.text, text);
  Reply answer;
  if (Call(qid, request, timeout_ms, &answer) == -1) return QueueHasGone() ? Fail(EIDRM) : -1;
  const std::size_t size = std::strlen(answer.text) + 1;
  if (size > cap) return Fail(EMSGSIZE);
  std::memcpy(reply, answer.text, size);
  return 0;
}

int client_stop_server(int qid) {
  const Message<Req> request{kRequests, {getpid(), NextSerial(), kOpStop, ""}, 0};
  if (SendBefore(Deadline(-1), qid, &request, sizeof request.data) == 0) return 0;
  return QueueHasGone() ? Fail(EIDRM) : -1;
}

// ---- 6. Blocked, removed, interrupted ----------------------------------------------------------

namespace {

int EndsBy(End end, End* why) {
  *why = end;
  switch (end) {
    case End::kMessage:
      return 0;
    case End::kTimeout:
      return Fail(ETIMEDOUT);
    case End::kRemoved:
      return Fail(EIDRM);
    case End::kSignal:
      break;
  }
  return Fail(EINTR);
}

// Takes one of these signals, if one is pending. They are blocked, so none can come unseen.
bool TakeSignal(const sigset_t* signals) {
  const timespec no_time{0, 0};
  return signals != nullptr &&
         Again([&] { return sigtimedwait(signals, nullptr, &no_time); }) != -1;
}

}  // namespace

// A wait in msgrcv that a timer or a signal handler breaks off has two holes: what comes just
// before the call does not break it off, and what comes when a message has just been taken may lose
// it. To look, and to sleep for a moment in between, has neither.
ssize_t q_recv_until(int qid, long want, void* buf, std::size_t cap, int timeout_ms,
                     const sigset_t* stop_on, End* why) {
  Letter letter(cap);
  if (!letter) return -1;
  const Deadline deadline(timeout_ms);
  const bool no_limit = deadline.never() && stop_on == nullptr;
  for (;;) {
    const ssize_t got = Receive(qid, want, letter, no_limit ? 0 : IPC_NOWAIT);
    if (got != -1) {
      Copy(buf, letter.data(), static_cast<std::size_t>(got));
      EndsBy(End::kMessage, why);
      return got;
    }
    if (QueueHasGone()) return EndsBy(End::kRemoved, why);
    if (errno != ENOMSG) return -1;
    if (TakeSignal(stop_on)) return EndsBy(End::kSignal, why);
    if (!deadline.SleepAMoment()) return EndsBy(End::kTimeout, why);
  }
}

int q_send_until(int qid, long type, const void* data, std::size_t n, int timeout_ms, End* why) {
  if (type < 1) return Fail(EINVAL);
  msginfo limits{};
  if (SystemLimits(&limits) == -1) return -1;
  if (n > static_cast<std::size_t>(limits.msgmax)) return Fail(EMSGSIZE);
  Letter letter(n);
  if (!letter) return -1;
  letter.type() = type;
  Copy(letter.data(), data, n);
  if (SendBefore(Deadline(timeout_ms), qid, letter.get(), n) == 0) {
    return EndsBy(End::kMessage, why);
  }
  if (errno == ETIMEDOUT) return EndsBy(End::kTimeout, why);
  return QueueHasGone() ? EndsBy(End::kRemoved, why) : -1;
}

// ---- 7. Looking inside, limits, rights ---------------------------------------------------------

int q_info(int qid, QInfo* out) {
  msqid_ds status{};
  if (msgctl(qid, IPC_STAT, &status) == -1) return -1;
  // __msg_cbytes is not in POSIX, which has no name for the bytes in a queue. The mode has the nine
  // bits of permission, and some systems have others beside them.
  *out = {status.msg_qnum,     status.__msg_cbytes,
          status.msg_qbytes,   status.msg_lspid,
          status.msg_lrpid,    static_cast<mode_t>(status.msg_perm.mode & 0777),
          status.msg_perm.uid, status.msg_perm.cuid};
  return 0;
}

namespace {

// IPC_SET takes owner, group, mode and limit from the structure, whichever of them was meant. So
// those that are to stay come from IPC_STAT.
template <typename Change>
int ChangeQueue(int qid, Change change) {
  msqid_ds status{};
  if (msgctl(qid, IPC_STAT, &status) == -1) return -1;
  change(&status);
  return msgctl(qid, IPC_SET, &status);
}

}  // namespace

int q_set_mode(int qid, mode_t mode) {
  if (!GoodMode(mode)) return Fail(EINVAL);
  return ChangeQueue(
      qid, [&](msqid_ds* queue) { queue->msg_perm.mode = static_cast<unsigned short>(mode); });
}

int q_give(int qid, uid_t uid, gid_t gid) {
  return ChangeQueue(qid, [&](msqid_ds* queue) {
    queue->msg_perm.uid = uid;
    queue->msg_perm.gid = gid;
  });
}

int q_set_max(int qid, unsigned long bytes) {
  return ChangeQueue(qid, [&](msqid_ds* queue) { queue->msg_qbytes = bytes; });
}

int q_fill(int qid, std::size_t n, int* sent) {
  *sent = 0;
  msginfo limits{};
  if (SystemLimits(&limits) == -1) return -1;
  if (n > static_cast<std::size_t>(limits.msgmax)) return Fail(EMSGSIZE);
  Letter letter(n);
  if (!letter) return -1;
  letter.type() = 1;
  std::memset(letter.data(), 0, n);
  // Empty messages come to an end, too: there are never more of them than msg_qbytes.
  while (Send(qid, letter, n, IPC_NOWAIT) == 0) ++*sent;
  return errno == EAGAIN ? 0 : -1;
}

int q_limits(Limits* out) {
  msginfo limits{};
  if (SystemLimits(&limits) == -1) return -1;
  *out = {limits.msgmax, limits.msgmnb, limits.msgmni};
  return 0;
}

int q_drain(int qid) {
  // Cut to nothing, each message fits.
  Letter letter(0);
  if (!letter) return -1;
  int thrown_away = 0;
  while (Receive(qid, 0, letter, IPC_NOWAIT | MSG_NOERROR) != -1) ++thrown_away;
  return errno == ENOMSG ? thrown_away : -1;
}

}  // namespace ipclab::msgqueue
