// How waiting for a helper ended.
//
//   const Ending ending = helper.Wait();
//   EXPECT_THAT(ending, Exited(0));   // See matchers.h.

#ifndef IPCLAB_COMMON_GRADING_ENDING_H_
#define IPCLAB_COMMON_GRADING_ENDING_H_

#include <ostream>
#include <string>
#include <string_view>

namespace ipclab {

struct Ending {
  // The gravest last.
  enum class Kind {
    kExited,      // The helper's body returned; `code` is its value.
    kEndedEarly,  // It exited before its body returned.
    kKilled,      // By the signal `code`.
    kDeadlock,
    kBusy,       // It used a second of processor time without coming to an end.
    kTimeout,    // The wall clock, which decides no honest case.
    kFlood,      // It wrote more than anybody reads.
    kLimit,      // Too many processes or events.
    kLoadError,  // The submission could not be loaded.
  };

  Kind kind = Kind::kExited;
  int code = 0;
  std::string text;  // A sentence for the student.
};

// "deadlock", "killed by a signal": one or two words for tables.
std::string_view VerdictName(Ending::Kind kind);

inline std::ostream& operator<<(std::ostream& out, const Ending& ending) {
  return out << ending.text;
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_ENDING_H_
