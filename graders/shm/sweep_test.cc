// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. In a storm of signals it comes to the same end as without.

#include "common/grading/sweep.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using namespace shm;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kSharedMemory, Family::kSemaphores, Family::kFork,
                                      Family::kWait,         Family::kRead,       Family::kWrite,
                                      Family::kOpen,         Family::kExec,       Family::kMap};

void ExpectSound(const std::string& helper) { ipclab::ExpectSound(helper, {.watch = kWatched}); }

HELPER(SweepsSegments) {
  const key_t key = 0x5e3;
  const int id = STUDENT(seg_create)(key, 100, 0600);
  if (id == -1) return 1;
  SegInfo info{};
  bool good = STUDENT(seg_open)(key, 100) == id;
  void* const mem = STUDENT(seg_attach)(id, 0);
  good &= mem != nullptr && STUDENT(seg_info)(id, &info) == 0;
  if (mem != nullptr) good &= STUDENT(seg_detach)(mem) == 0;
  good &= STUDENT(seg_remove)(id) == 0;
  return good ? 0 : 1;
}

TEST(ErrorSweep, Segments) { ExpectSound("SweepsSegments"); }

int Fills(void* mem, void*) {
  *static_cast<char*>(mem) = 'x';
  return 3;
}

HELPER(SweepsLifetime) {
  bool good = true;
  int id = -1;
  char out[100] = {};
  if (void* const mem = STUDENT(seg_scratch)(100, &id); mem != nullptr) {
    unsigned long n = 0;
    good &= STUDENT(seg_attached)(id, &n) == 0 && n == 1;
    shmdt(mem);
  } else {
    good = false;
  }
  id = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
  good &= STUDENT(seg_remove_when_idle)(id, 0) == 0;
  good &= STUDENT(seg_compute)(100, Fills, nullptr, out) == 3 && out[0] == 'x';
  return good ? 0 : 1;
}

TEST(ErrorSweep, Lifetime) { ExpectSound("SweepsLifetime"); }

// What runs beside the swept function, without marks, so that its own calls do not fail.
template <typename Function>
Function* Plain(const char* name) {
  return reinterpret_cast<Function*>(SubmissionSymbol(name));
}

constexpr char kLines[] = "a\nb\n";

PipeEnds FullPipe() {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), std::string(kLines) + "end\n");
  line.write.Reset();
  return line;
}

// Whatever fails: in the end it is all gone, and the other one has come to its end.
bool Finish(key_t key, bool good) {
  const bool removed = STUDENT(line_remove)(key) == 0;
  if (!removed) Plain<decltype(line_remove)>("line_remove")(key);
  return removed && good;
}

HELPER(SweepsLineRead) {
  const key_t key = 0x5e4;
  if (STUDENT(line_create)(key) == -1) return 1;
  const PipeEnds lines = FullPipe();
  const PipeEnds out = MakePipe();
  const Beside writer([&] { Plain<decltype(line_write)>("line_write")(key, lines.read.get()); });
  const bool good = STUDENT(line_read)(key, out.write.get()) == 2;
  return Finish(key, good) ? 0 : 1;
}

TEST(ErrorSweep, LineRead) { ExpectSound("SweepsLineRead"); }

HELPER(SweepsLineWrite) {
  const key_t key = 0x5e5;
  if (STUDENT(line_create)(key) == -1) return 1;
  const PipeEnds lines = FullPipe();
  const PipeEnds out = MakePipe();
  const Beside reader([&] { Plain<decltype(line_read)>("line_read")(key, out.write.get()); });
  const bool good = STUDENT(line_write)(key, lines.read.get()) == 2;
  return Finish(key, good) ? 0 : 1;
}

TEST(ErrorSweep, LineWrite) { ExpectSound("SweepsLineWrite"); }

// Its standard input is empty.
HELPER(SweepsControl) {
  Dl_info info{};
  if (dladdr(SubmissionSymbol("line_read"), &info) == 0) return 1;
  const char* const reader[] = {"reads", info.dli_fname, nullptr};
  const char* const writer[] = {"writes", info.dli_fname, nullptr};
  int statuses[2] = {-1, -1};
  const int result = STUDENT(line_control)("key_file", reader, writer, statuses);
  return result == 0 && statuses[0] == 0 && statuses[1] == 0 ? 0 : 1;
}

// Not the families of which the loader of the programs makes many.
TEST(ErrorSweep, Control) {
  ipclab::ExpectSound("SweepsControl",
                      {.watch = {Family::kSharedMemory, Family::kSemaphores, Family::kFork,
                                 Family::kWait, Family::kOpen, Family::kExec}});
}

// ---- The ring, POSIX shared memory, the census --------------------------------------------------

const std::vector<Family> kFiles = {Family::kOpen, Family::kMap,  Family::kStat, Family::kResize,
                                    Family::kMode, Family::kWait, Family::kFork};

// A child puts in what the caller takes out, through two slots.
HELPER(SweepsRing) {
  constexpr int kItems = 50;
  void* const mem =
      mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mem == MAP_FAILED) throw SystemError(errno, "mmap");
  bool good = STUDENT(ring_bytes)(2, sizeof(int)) > 0;
  good &= STUDENT(ring_init)(mem, 2, sizeof(int)) == 0;
  {
    const Beside putter([&] {
      for (int i = 0; i < kItems; ++i) STUDENT(ring_put)(mem, &i, -1);
      STUDENT(ring_close)(mem);
    });
    int item = 0;
    for (int i = 0; i < kItems; ++i) good &= STUDENT(ring_get)(mem, &item, -1) == 0 && item == i;
    good &= STUDENT(ring_get)(mem, &item, -1) == -1;
  }
  munmap(mem, 1 << 16);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Ring) { EXPECT_EQ(RideOutStorm("SweepsRing", {.watch = {Family::kFutex}}), ""); }

HELPER(SweepsPosix) {
  const char* const name = "/swept";
  std::size_t size = 0;
  const int fd = STUDENT(pshm_create)(name, 100, 0640);
  bool good = fd != -1;
  if (fd != -1) {
    const int other = STUDENT(pshm_open)(name, 1, -1, &size);
    void* const mem = STUDENT(pshm_map)(fd, 100, 0);
    good &= other != -1 && size == 100 && mem != nullptr;
    if (mem != nullptr) munmap(mem, 100);
    if (other != -1) close(other);
    close(fd);
    good &= STUDENT(pshm_destroy)(name) == 0;
  }
  return good ? 0 : 1;
}

TEST(ErrorSweep, Posix) { ipclab::ExpectSound("SweepsPosix", {.watch = kFiles}); }

int PassesAMessage(int timeout) {
  const char* const name = "/swept";
  char buffer[10] = {};
  ssize_t got = -1;
  {
    const Beside producer([&] { STUDENT(produce)(name, "hello", 5, timeout); });
    got = STUDENT(consume)(name, buffer, sizeof(buffer), timeout);
  }
  return got == 5 && std::memcmp(buffer, "hello", 5) == 0 ? 0 : 1;
}

HELPER(SweepsConsumer) { return PassesAMessage(150); }
HELPER(SweepsParcel) { return PassesAMessage(-1); }

// The producer may be the one whose call fails, and then the consumer waits in vain.
TEST(ErrorSweep, Parcel) {
  EXPECT_THAT(SweepErrors("SweepsConsumer", {.watch = kFiles}), testing::IsEmpty());
  EXPECT_EQ(RideOutStorm("SweepsParcel", {.watch = {Family::kFutex}}), "");
}

HELPER(SweepsCensus) {
  const int queue = Check(msgget(IPC_PRIVATE, 0600), "msgget");
  const int set = Check(semget(IPC_PRIVATE, 2, 0600), "semget");
  const int segment = Check(shmget(IPC_PRIVATE, 10, 0600), "shmget");
  close(Check(shm_open("/swept", O_CREAT | O_RDWR, 0600), "shm_open"));
  Item items[10];
  bool good = STUDENT(ipc_census)(items, 10) == 4;
  const Filter filter = {kQueue | kSemaphores | kSegment | kPosix, 0, 0, "/swept"};
  good &= STUDENT(ipc_clean)(&filter, 0, nullptr, 0) == 4;
  msgctl(queue, IPC_RMID, nullptr);
  semctl(set, 0, IPC_RMID);
  shmctl(segment, IPC_RMID, nullptr);
  shm_unlink("/swept");
  return good ? 0 : 1;
}

TEST(ErrorSweep, Census) { ipclab::ExpectSound("SweepsCensus", {.watch = kFiles}); }

}  // namespace
}  // namespace ipclab
