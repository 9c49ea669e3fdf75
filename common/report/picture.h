// What happened, arranged for drawing: a lane for each process, a row for each event. SVG and
// Mermaid draw the same picture.
//
//   const Picture picture = DrawPicture(check, Language::kEnglish);
//   picture.lanes[0].name     "caller"
//   picture.rows[1].text      "pipe2() = 0 [3, 4]"
//
// Rows stand in the order of time and are not to scale. What belongs together is one row: a fork
// and the process that begins, execve() and the program that runs then, an end and its SIGCHLD.
// What repeats itself is folded, and of a long story the middle is left out. All texts are
// printable.

#ifndef IPCLAB_COMMON_REPORT_PICTURE_H_
#define IPCLAB_COMMON_REPORT_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

struct Picture {
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  struct Lane {
    int pid = 0;
    std::string name;
    std::size_t first = 0;  // The row in which it begins, if it is born there ...
    bool born = false;      // ... or else it stands at the top.
    std::size_t last = 0;   // The row in which it ended, if it did.
    bool ended = false;
    std::size_t column = 0;  // One that begins later stands where another has ended.
  };

  struct Row {
    enum class Kind {
      kCall,
      kRefused,
      kSignal,
      kStart,
      kExec,
      kEnd,
      kEnter,
      kLeave,
      kWait,  // It waits when the story ends.
      kFold,  // Stands for what is left out; in no lane.
    };
    Kind kind = Kind::kCall;
    std::int64_t at_us = -1;       // Microseconds since the box started; -1 if not known.
    std::size_t lane = kNowhere;   // Whose event it is.
    std::size_t other = kNowhere;  // Who forked it, sent the signal, or got SIGCHLD for the end.
    std::string text;
    std::string detail;  // A second line: what it waits for.
    bool bad = false;    // A call that failed or never returned, a process that was killed.
    int events = 1;      // How many lines of the story it stands for.
  };

  // What lasts on a lane, from one row to another.
  struct Span {
    enum class Kind { kFunction, kWaited, kStuck };
    Kind kind = Kind::kFunction;
    std::size_t lane = 0;
    std::size_t first = 0;
    std::size_t last = 0;  // The last row if it did not end.
  };

  std::vector<Lane> lanes;
  std::vector<Row> rows;  // Those of kWait are the last ones, from left to right.
  std::vector<Span> spans;
  int hidden_lanes = 0;  // Processes that are left out.

  bool empty() const { return rows.empty(); }
};

inline constexpr std::size_t kPictureLanes = 8;
inline constexpr std::size_t kPictureRows = 44;

// Empty if the check has no timeline.
Picture DrawPicture(const CheckResult& check, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_PICTURE_H_
