// What only the checks of the semaphore lab say.
//
//   const int id = NewSet(box, {1, 0});
//   Helper second = box.Start("Enters", {{"id", id}});
//   EXPECT_TRUE(SleepsInSemop(box, second));
//   EXPECT_THAT(SemaphoreOf(box, id, 0), IsWaitedFor(1));
//   EXPECT_THAT(ValuesOf(box, id), HasValues({0, 0}));
//
// Values and waiting counts are those of the kernel, seen from outside of the processes under test.

#ifndef IPCLAB_GRADERS_SEMAPHORE_EXPECTATIONS_H_
#define IPCLAB_GRADERS_SEMAPHORE_EXPECTATIONS_H_

#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/observe/blocked.h"

namespace ipclab {

constexpr int kLargestValue = 32767;  // SEMVMX

// ---- In helpers ---------------------------------------------------------------------------------

// As semctl(2) wants it; no header declares it.
union SemctlValue {
  int val;
  semid_ds* buf;
  unsigned short* array;
};

// An array of values travels to a helper as bytes.
inline std::string Packed(const std::vector<int>& values) {
  std::string bytes;
  for (const int value : values) {
    const auto member = static_cast<unsigned short>(value);
    bytes.append(reinterpret_cast<const char*>(&member), sizeof member);
  }
  return bytes;
}

inline std::vector<unsigned short> Unpacked(const std::string& bytes) {
  std::vector<unsigned short> values(bytes.size() / sizeof(unsigned short));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(values.data()));
  return values;
}

inline int IdOf(const Args& args) { return static_cast<int>(args.Int("id")); }
inline int NumberOf(const Args& args) { return static_cast<int>(args.Int("num", 0)); }

// Handlers for SIGUSR1, without SA_RESTART, and SIGUSR2, with it, for as long as this lives.
// semop(2) is interrupted by both.
class TwoHandlers {
 public:
  TwoHandlers() {
    struct sigaction action {};
    action.sa_handler = DoNothing;
    action.sa_flags = SA_RESTART;
    Check(sigaction(SIGUSR2, &action, &old_), "sigaction");
  }
  ~TwoHandlers() { sigaction(SIGUSR2, &old_, nullptr); }
  TwoHandlers(const TwoHandlers&) = delete;
  TwoHandlers& operator=(const TwoHandlers&) = delete;

 private:
  const Action plain_{SIGUSR1, DoNothing};
  struct sigaction old_ {};
};

inline int ValueHere(int id, int num) { return Check(semctl(id, num, GETVAL), "semctl(GETVAL)"); }

inline void SetHere(int id, int num, int value) {
  Check(semctl(id, num, SETVAL, SemctlValue{.val = value}), "semctl(SETVAL)");
}

// Makes a set in the helper itself; returns its id.
inline int MakeSetHere(key_t key, std::vector<unsigned short> values, int mode) {
  const int id = Check(semget(key, static_cast<int>(values.size()), IPC_CREAT | 0600), "semget");
  Check(semctl(id, 0, SETALL, SemctlValue{.array = values.data()}), "semctl(SETALL)");
  semid_ds about{};
  Check(semctl(id, 0, IPC_STAT, SemctlValue{.buf = &about}), "semctl(IPC_STAT)");
  about.sem_perm.mode = static_cast<unsigned short>(mode);
  Check(semctl(id, 0, IPC_SET, SemctlValue{.buf = &about}), "semctl(IPC_SET)");
  return id;
}

// ---- In checks ----------------------------------------------------------------------------------

inline key_t RandomKey() {
  return static_cast<key_t>(RandomInt(1, std::numeric_limits<key_t>::max()));
}

// A set that a process of the grader's own makes in the box; returns its id.
int NewSet(Sandbox& box, const std::vector<int>& values, key_t key = IPC_PRIVATE,
           unsigned mode = 0600);

// Another process changes a value by `amount`, or removes the set, in one call.
void ChangeFromOutside(Sandbox& box, int id, int num, int amount);
void RemoveFromOutside(Sandbox& box, int id);

// As if it were empty, if there is no such set.
SysvObject FindSet(const Sandbox& box, int id);
std::vector<int> ValuesOf(const Sandbox& box, int id);
SysvSemaphore SemaphoreOf(const Sandbox& box, int id, int num);

// Serves the box until the helper sleeps in semop; fails if it does not.
[[nodiscard]] testing::AssertionResult SleepsInSemop(Sandbox& box, Helper& helper);

// The n-th call to a System V semaphore that the helper makes in a student's function.
int HoldCallOf(Sandbox& box, const Helper& helper, int nth);

// Serves the box until the rule holds somebody, or the helper has ended or sleeps. True if held.
bool StopsAt(Sandbox& box, const Helper& helper, int rule);

MATCHER_P(HasValues, values, "the values " + testing::PrintToString(std::vector<int>(values))) {
  return arg == std::vector<int>(values);
}

// Numbers whose meaning is told behind them: EXPECT_THAT(calls, Is(1)) << "calls of fn".
MATCHER_P(Is, number, testing::PrintToString(number)) {
  return static_cast<std::int64_t>(arg) == static_cast<std::int64_t>(number);
}

MATCHER_P(IsAtLeast, number, "at least " + std::to_string(number)) { return arg >= number; }
MATCHER_P(IsAtMost, number, "at most " + std::to_string(number)) { return arg <= number; }

inline std::string Octal(unsigned mode) {
  std::string digits(4, '0');
  for (std::size_t i = 3; i > 0; --i, mode >>= 3) digits[i] = static_cast<char>('0' + (mode & 7));
  return digits;
}

MATCHER_P(HasMode, mode, "the permission bits " + Octal(static_cast<unsigned>(mode))) {
  *result_listener << "they are " << Octal(arg.mode);
  return (arg.mode & 0777) == static_cast<unsigned>(mode);
}

MATCHER_P(HasKey, key,
          key == IPC_PRIVATE ? "a set without a key" : "the key " + std::to_string(key)) {
  *result_listener << "its key is " << arg.key;
  return arg.key == key;
}

// What a matcher says of them tells more.
inline void PrintTo(const Helper&, std::ostream* out) { *out << "the caller"; }
inline void PrintTo(const Process& process, std::ostream* out) {
  *out << "process " << process.inner_pid;
}

inline void PrintTo(const SysvObject& object, std::ostream* out) {
  *out << (object.id == -1 ? "no such set" : object.Name());
}

MATCHER_P(HoldsSets, count, std::to_string(count) + " sets of semaphores in the box") {
  const std::vector<std::string> left = SysvLeft(arg);
  for (const std::string& name : left) *result_listener << "\n  " << name;
  return left.size() == static_cast<std::size_t>(count);
}

inline auto HasValue(int value) { return HasValues(std::vector<int>{value}); }

MATCHER_P(IsWaitedFor, count,
          "the kernel counts " + std::to_string(count) + " that wait for more") {
  *result_listener << "it counts " << arg.waiting_for_increase;
  return arg.waiting_for_increase == count;
}

MATCHER_P(IsWaitedForZero, count,
          "the kernel counts " + std::to_string(count) + " that wait for zero") {
  *result_listener << "it counts " << arg.waiting_for_zero;
  return arg.waiting_for_zero == count;
}

inline void PrintTo(const SysvSemaphore& semaphore, std::ostream* out) {
  *out << "a semaphore with the value " << semaphore.value;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SEMAPHORE_EXPECTATIONS_H_
