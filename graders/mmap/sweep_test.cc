// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. In a storm of signals it comes to the same end as without.

#include "common/grading/sweep.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/sandbox/helper.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using namespace mmap;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kOpen, Family::kStat, Family::kMap,  Family::kResize,
                                      Family::kFork, Family::kWait, Family::kRead, Family::kWrite};

void ExpectSound(const std::string& helper) { ipclab::ExpectSound(helper, {.watch = kWatched}); }

void MakeSource() {
  const Fd file(Check(::open("src", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  Check(::ftruncate(file.get(), 5000), "ftruncate");
}

// ---- Exercises 1 to 4 --------------------------------------------------------------------------

HELPER(SweepsMapFile) {
  MakeSource();
  MappedFile m{};
  const bool mapped = STUDENT(map_file)("src", 1, &m) == 0;
  const bool unmapped = !mapped || STUDENT(unmap)(&m) == 0;
  const bool counted = STUDENT(count_byte)("src", 0) == 5000;
  unlink("src");
  return mapped && unmapped && counted ? 0 : 1;
}

TEST(ErrorSweep, MapFile) { ExpectSound("SweepsMapFile"); }

HELPER(SweepsMmapCopy) {
  MakeSource();
  const bool copied = STUDENT(mmap_copy)("src", "new", 0600) == 0;
  const bool again = !copied || STUDENT(mmap_copy)("src", "new", 0600) == 0;
  if (copied) unlink("new");
  unlink("src");
  return copied && again ? 0 : 1;
}

TEST(ErrorSweep, MmapCopy) { ExpectSound("SweepsMmapCopy"); }

HELPER(SweepsWorkers) {
  void* const memory = STUDENT(shared_alloc)(5000, 1);
  const bool freed = memory == nullptr || STUDENT(shared_free)(memory, 5000) == 0;
  const std::int32_t v[] = {1, 2, 3};
  std::int64_t sum = 0;
  const bool summed = STUDENT(parallel_sum)(v, 3, 2, &sum) == 0;
  return memory != nullptr && freed && summed ? 0 : 1;
}

TEST(ErrorSweep, Workers) { ExpectSound("SweepsWorkers"); }

HELPER(SweepsSharing) {
  MakeSource();
  char view[10];
  off_t offset = 0;
  bool good = STUDENT(patch_file)("src", 10, "abc", 3, 0, view, sizeof(view)) == 0;
  good &= STUDENT(patch_file)("src", 10, "abc", 3, 1, view, sizeof(view)) == 0;
  good &= STUDENT(fork_see)(MAP_SHARED, "a", "b", view, sizeof(view)) == 0;
  good &= STUDENT(file_relay)("relay", "hello", 5, &offset, view, sizeof(view)) == 5;
  unlink("relay");
  unlink("src");
  return good ? 0 : 1;
}

TEST(ErrorSweep, Sharing) { ExpectSound("SweepsSharing"); }

// ---- Exercise 5 ---------------------------------------------------------------------------------

HELPER(SweepsWindow) {
  const int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd == -1 || ftruncate(fd, 20'000) == -1) return 1;
  mmap::Window window = {};
  const int opened = STUDENT(window_open)(fd, 5000, 5000, PROT_READ, &window);
  const int closed = opened == 0 ? STUDENT(window_close)(&window) : -1;
  close(fd);
  unlink("file");
  return closed == 0 ? 0 : 1;
}

TEST(ErrorSweep, Window) {
  ipclab::ExpectSound("SweepsWindow", {.watch = {Family::kStat, Family::kMap}});
}

// ---- Exercise 6 ---------------------------------------------------------------------------------

HELPER(SweepsFileZones) {
  const int fd = open("zones", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd == -1 || ftruncate(fd, 100) == -1) return 1;
  close(fd);
  int failed = 0;
  for (const off_t at : {0, 4096, 8192}) {
    mmap::Touch out = {};
    if (STUDENT(file_zones)("zones", 8192, at, &out) == -1) ++failed;
  }
  unlink("zones");
  return failed == 0 ? 0 : 1;
}

TEST(ErrorSweep, FileZones) {
  ipclab::ExpectSound("SweepsFileZones", {.watch = {Family::kOpen, Family::kStat, Family::kMap}});
}

// ---- Exercise 7 ---------------------------------------------------------------------------------

HELPER(SweepsMailbox) {
  int failed = 0;
  for (int i = 0; i < 2; ++i) {
    mmap::Mbox* m = nullptr;
    if (STUDENT(mbox_open)("mailbox", 100, &m) == -1) {
      ++failed;
      continue;
    }
    char buffer[100];
    if (STUDENT(mbox_post)(m, "hello", 5, -1) == -1) ++failed;
    if (STUDENT(mbox_fetch)(m, buffer, sizeof buffer, -1) != 5) ++failed;
    if (STUDENT(mbox_fetch)(m, buffer, sizeof buffer, 5) == 5) ++failed;
    if (STUDENT(mbox_close)(m) == -1) ++failed;
  }
  if (STUDENT(mbox_destroy)("mailbox") == -1) ++failed;
  unlink("mailbox");
  return failed == 0 ? 0 : 1;
}

TEST(ErrorSweep, Mailbox) {
  const std::vector<Family> watched = {Family::kOpen, Family::kStat, Family::kMap,  Family::kResize,
                                       Family::kRead, Family::kName, Family::kFcntl};
  ipclab::ExpectSound("SweepsMailbox", {.watch = watched});
}

// ---- Exercise 8 ---------------------------------------------------------------------------------
// No call of it fails without a fault of its caller; it may be disturbed.

HELPER(SweepsMonitor) {
  void* const memory =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  int failed = 0;
  const auto count = [&](int result, int want) { failed += result == want ? 0 : 1; };
  count(STUDENT(monitor_init)(memory), 0);
  for (int i = 0; i < 5; ++i) {
    count(STUDENT(monitor_lock)(memory), 0);
    count(STUDENT(monitor_wait)(memory, 5), -1);
    count(STUDENT(monitor_unlock)(memory), 0);
    count(STUDENT(gate_wait)(memory, 5), -1);
  }
  count(STUDENT(gate_open)(memory), 0);
  count(STUDENT(gate_wait)(memory, -1), 0);
  count(STUDENT(monitor_notify)(memory, 1), 0);
  count(STUDENT(monitor_destroy)(memory), 0);
  munmap(memory, 4096);
  return failed == 0 ? 0 : 1;
}

TEST(ErrorSweep, Monitor) { EXPECT_EQ(RideOutStorm("SweepsMonitor", {}), ""); }

}  // namespace
}  // namespace ipclab
