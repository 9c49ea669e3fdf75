// What holds for the whole run of a grader, and what the running check has found out so far.
//
//   Session::Get().submission.get()     // the shared object under test
//   Session::Get().check.notes.push_back("descriptor 5 is still open");
//   const std::string bytes = RandomBytes(4096);   // the same again with the same --seed

#ifndef IPCLAB_COMMON_GRADING_SESSION_H_
#define IPCLAB_COMMON_GRADING_SESSION_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/base/fd.h"
#include "common/grading/result.h"

namespace ipclab {

// Filled in while a check runs; emptied before the next.
struct CheckRecord {
  std::vector<TimelineEntry> timeline;
  std::vector<Wait> waits;
  std::string function;  // The student's function that was called last.
  std::vector<std::string> leftovers;
  std::string verdict;      // The gravest ending seen: "deadlock", "killed by a signal" ...
  std::string not_graded;   // Why the check could not be judged.
  std::string not_started;  // The function that still returns ENOSYS.
};

struct Session {
  static Session& Get();

  Fd submission;
  // Shared memory for a submission that counts which of its lines run; none in an ordinary run.
  Fd counters;
  bool confine = true;
  std::uint64_t seed = 0;
  std::mt19937_64 random;  // Seeded anew for every check, from `seed` and the check's id.
  CheckRecord check;
};

// Drawn in the grader, for one helper to receive.
std::string RandomBytes(std::size_t size);
// From `low` to `high`, both included.
std::int64_t RandomInt(std::int64_t low, std::int64_t high);
// Lower-case letters: for lines, names and nonces.
std::string RandomWord(std::size_t length);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_SESSION_H_
