// Locks of exercise 8, in the box and in the grader.
//
//   HELPER(Locks) {
//     const Folder folder(args);
//     void* lock = nullptr;
//     STUDENT(lock3_init)(KindOf(args), folder.name(), &lock);
//     const Beside child([&] {
//       Do("child_locks", "lock3_lock", lock);
//       Stop(kInside);
//     });
//     ...
//   }
//
//   const int inside = HoldPlace(box, kInside);
//   Helper parent = Start(box, "Locks", kind);
//   ASSERT_TRUE(StaysOut(box, parent, kind));

#ifndef IPCLAB_GRADERS_SEMAPHORE_LOCKS_H_
#define IPCLAB_GRADERS_SEMAPHORE_LOCKS_H_

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "common/base/names.h"
#include "common/observe/blocked.h"
#include "common/observe/calls.h"
#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {

using semaphore::Kind;

inline constexpr Kind kKinds[] = {Kind::kSysV, Kind::kRecordLock, Kind::kRobustMutex};

inline const char* KindText(Kind kind) {
  switch (kind) {
    case Kind::kSysV:
      return "kSysV";
    case Kind::kRecordLock:
      return "kRecordLock";
    case Kind::kRobustMutex:
      break;
  }
  return "kRobustMutex";
}

inline Helper Start(Sandbox& box, const std::string& name, Kind kind) {
  return box.Start(name, {{"kind", static_cast<int>(kind)}, {"dir", Binary(RandomWord(8))}});
}

inline Kind KindOf(const Args& args) { return static_cast<Kind>(args.Int("kind")); }

// ---- In helpers ---------------------------------------------------------------------------------
// A handle stands for its lock in the helper and in its children, so all that use one lock are of
// one family. What the children do, which make no marks, they report.

// A folder for the lock, which must be empty again in the end.
class Folder {
 public:
  explicit Folder(const Args& args) : name_(args.Bytes("dir")) {
    umask(0);
    Check(mkdir(name_.c_str(), 0700), "mkdir");
  }
  ~Folder() { rmdir(name_.c_str()); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const char* name() const { return name_.c_str(); }

 private:
  std::string name_;
};

// A call of the submission by a child of the helper.
template <typename Function>
Function* Unmarked(const char* name) {
  return reinterpret_cast<Function*>(SubmissionSymbol(name));
}

// Reports the result, or -errno.
inline int Do(const std::string& key, const char* name, void* handle) {
  const int result = Unmarked<int(void*)>(name)(handle);
  Report(key, result == -1 ? -errno : result);
  return result;
}

// What such a call came to, as Do() reported it.
struct Told {
  std::int64_t result;
};

constexpr std::int64_t kNothingYet = -9999;

inline Told ToldOf(const Helper& helper, const std::string& key) {
  return {helper.Reported(key, kNothingYet)};
}

inline std::string ResultText(std::int64_t result) {
  if (result == kNothingYet) return "it has not returned";
  return result < 0 ? "it returns -1 with " + ErrnoName(static_cast<int>(-result))
                    : "it returns " + std::to_string(result);
}

inline void PrintTo(const Told& told, std::ostream* out) { *out << ResultText(told.result); }

MATCHER_P(Gives, result, ResultText(result)) { return arg.result == result; }

// A named place where a process waits until the check lets it on: see HoldPlace.
constexpr std::uint64_t kNoProcess = 5'000'000;  // Above the largest process id of Linux.
enum Place { kInside, kAtTheDoor, kMade };

inline void Stop(Place place) {
  static_cast<void>(kill(static_cast<pid_t>(kNoProcess + place), 0));
}

// Holds who comes to this place next.
inline int HoldPlace(Sandbox& box, Place place) {
  const auto where = [place](const Event& event) { return event.args[0] == kNoProcess + place; };
  return box.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
}

// In which calls one waits for a lock.
inline Family WaitingCalls(Kind kind) {
  switch (kind) {
    case Kind::kSysV:
      return Family::kSemaphores;
    case Kind::kRecordLock:
      return Family::kFcntl;
    case Kind::kRobustMutex:
      break;
  }
  return Family::kFutex;
}

// Serves the box until nothing moves; fails unless the helper waits for a lock of this kind then.
[[nodiscard]] inline testing::AssertionResult StaysOut(Sandbox& box, const Helper& helper,
                                                       Kind kind) {
  const testing::AssertionResult came = ComesToRest(box);
  if (!came) return came;
  const auto& calls = helper.process().calls;
  if (calls.empty()) return testing::AssertionFailure() << "it is not there";
  if (calls.back().returned) {
    return testing::AssertionFailure() << DescribeCall(calls.back()) << " instead of waiting";
  }
  const std::optional<Blocked> call = BlockedCall(helper.pid());
  if (call && FamilyOf(call->call) == WaitingCalls(kind)) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "it does not sleep in " << FamilyName(WaitingCalls(kind)) << ", but in "
         << (call ? std::string(SyscallName(call->call)) : "another call");
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SEMAPHORE_LOCKS_H_
