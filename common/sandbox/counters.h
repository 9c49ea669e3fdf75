// The counters of a submission that counts which of its lines run, in memory that all processes of
// a run share: what they count there stays, also if they end by _exit(2) or are killed.
//
//   SharedCounters counters;
//   if (!counters.Map(fd)) ...                // In the helper, while it holds the descriptor.
//   ... close it, dlopen(3) the submission ...
//   if (!counters.Replace(OwnCounters())) ...   // From here on it counts in shared memory.
//
// Exists only if the grader was given counters; see common/compile/counting.h for the library.

#ifndef IPCLAB_COMMON_SANDBOX_COUNTERS_H_
#define IPCLAB_COMMON_SANDBOX_COUNTERS_H_

#include <cstddef>
#include <cstdint>

namespace ipclab {

// The symbol `ipclab_counters` of such a submission.
struct SubmissionCounters {
  std::uint64_t* begin;  // Whole pages of its own.
  std::uint64_t* end;
  int (*write_counts)(int fd);  // Writes a .gcda file, see gcov(1); 0, or -1.
};

// Those of the submission that this process has loaded; nullptr if it has none.
const SubmissionCounters* OwnCounters();

class SharedCounters {
 public:
  // Maps all of the file. Like Replace, false with errno if that cannot be done.
  bool Map(int fd);

  // Adds what was counted so far (static initialisers have run), and takes the place of the
  // submission's own pages.
  bool Replace(const SubmissionCounters* own);

 private:
  std::uint64_t* shared_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_COUNTERS_H_
