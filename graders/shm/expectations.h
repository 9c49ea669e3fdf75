// What only the checks of the shm lab say.
//
//   const int id = NewSegment(box, {.size = 100, .key = key});
//   EXPECT_THAT(FindSegment(box, id), IsAttached(2));
//   EXPECT_TRUE(SleepsUntilWoken(box, reader));
//
// Segments and their attachments are those of the kernel, seen from outside of the processes under
// test.

#ifndef IPCLAB_GRADERS_SHM_EXPECTATIONS_H_
#define IPCLAB_GRADERS_SHM_EXPECTATIONS_H_

#include <sys/ipc.h>
#include <sys/shm.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

// ---- In helpers ---------------------------------------------------------------------------------

inline int IdOf(const Args& args) { return static_cast<int>(args.Int("id")); }
inline key_t KeyOf(const Args& args) { return static_cast<key_t>(args.Int("key")); }

inline void* AttachHere(int id) {
  void* const address = shmat(id, nullptr, 0);
  if (address == reinterpret_cast<void*>(-1)) throw SystemError(errno, "shmat");
  return address;
}

// ---- In checks ----------------------------------------------------------------------------------

inline key_t RandomKey() {
  return static_cast<key_t>(RandomInt(1, std::numeric_limits<key_t>::max()));
}

struct NewSegmentOptions {
  std::size_t size = 4096;
  key_t key = IPC_PRIVATE;
  unsigned mode = 0600;
  std::string_view content;
};

// A segment that a process of the grader's own makes in the box; returns its id.
int NewSegment(Sandbox& box, const NewSegmentOptions& options);

// As if it were empty, if there is no such segment.
SysvObject FindSegment(const Sandbox& box, int id);
std::vector<SysvObject> Segments(const Sandbox& box);

// Serves the box until the helper sleeps in a call that only another process ends; fails if it
// returns, or sleeps for a time. The box must watch kSleep and the families of `kWakers`.
[[nodiscard]] testing::AssertionResult SleepsUntilWoken(Sandbox& box, Helper& helper);

// The calls in which a process may wait for another that shares no more than an object with it.
inline const std::vector<Family> kWakers = {Family::kSemaphores, Family::kFutex, Family::kMessages};

// Numbers whose meaning is told behind them: EXPECT_THAT(calls, Is(1)) << "calls of fn".
MATCHER_P(Is, number, testing::PrintToString(number)) {
  return static_cast<std::int64_t>(arg) == static_cast<std::int64_t>(number);
}
MATCHER_P(IsAtLeast, number, "at least " + std::to_string(number)) { return arg >= number; }

inline std::string Octal(unsigned mode) {
  std::string digits(4, '0');
  for (std::size_t i = 3; i > 0; --i, mode >>= 3) digits[i] = static_cast<char>('0' + (mode & 7));
  return digits;
}

inline void PrintTo(const SysvObject& object, std::ostream* out) {
  *out << (object.id == -1 ? "no such segment" : object.Name());
}

MATCHER_P(HasMode, mode, "the permission bits " + Octal(static_cast<unsigned>(mode))) {
  *result_listener << "they are " << Octal(arg.mode);
  return arg.id != -1 && (arg.mode & 0777) == static_cast<unsigned>(mode);
}

MATCHER_P(HasKey, key,
          key == IPC_PRIVATE ? "a segment without a key" : "the key " + std::to_string(key)) {
  *result_listener << "its key is " << arg.key;
  return arg.id != -1 && arg.key == key;
}

MATCHER_P(HasSize, size, std::to_string(size) + " bytes") {
  *result_listener << "it has " << arg.bytes << " bytes";
  return arg.id != -1 && arg.bytes == static_cast<std::uint64_t>(size);
}

MATCHER_P(IsAttached, times, "a segment that is attached " + std::to_string(times) + " times") {
  *result_listener << "it is attached " << arg.attached << " times";
  return arg.id != -1 && arg.attached == static_cast<std::uint64_t>(times);
}

inline bool Marked(const SysvObject& segment) { return (segment.mode & SHM_DEST) != 0; }

MATCHER(IsMarked, "a segment that is marked for removal") { return arg.id != -1 && Marked(arg); }
MATCHER(IsNotMarked, "a segment that is there and not marked for removal") {
  return arg.id != -1 && !Marked(arg);
}
MATCHER(IsGone, "a segment that is gone") { return arg.id == -1; }

MATCHER_P(HoldsObjects, count, std::to_string(count) + " System V objects in the box") {
  const std::vector<std::string> left = SysvLeft(arg);
  for (const std::string& name : left) *result_listener << "\n  " << name;
  return left.size() == static_cast<std::size_t>(count);
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_EXPECTATIONS_H_
