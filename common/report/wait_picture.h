// Who waits for whom when nobody can go on: the wait-for graph of a deadlock, arranged for drawing.
//
//   const WaitPicture picture = DrawWaits(check, Language::kEnglish);
//   picture.nodes[0].text[0]   "waits in read()"
//   picture.arrows[0].why      "write end of pipe A, descriptor 4"
//
// An arrow leads from one who waits to one who alone could end the wait. All texts are printable.

#ifndef IPCLAB_COMMON_REPORT_WAIT_PICTURE_H_
#define IPCLAB_COMMON_REPORT_WAIT_PICTURE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

struct WaitPicture {
  // A process. One that waits for nothing stands here if another waits for it.
  struct Node {
    int pid = 0;
    std::string name;
    std::vector<std::string> text;  // "waits in read()", "for bytes or end of file of pipe A".
    bool circle = false;            // It waits, perhaps by way of others, for itself.
  };
  struct Arrow {
    std::size_t from = 0;
    std::size_t to = 0;
    std::string why;
    bool circle = false;  // Part of a circle.
  };
  std::vector<Node> nodes;  // The circle first.
  std::vector<Arrow> arrows;

  bool empty() const { return nodes.empty(); }
};

// Empty if the check did not end in a deadlock.
WaitPicture DrawWaits(const CheckResult& check, Language language);

// Why the end of an arrow could end the wait: "process 3 itself holds the write end of pipe A,
// descriptor 4"; empty if the words of the wait say it all.
std::string ReasonText(const WaitPicture& picture, const WaitPicture::Arrow& arrow,
                       Language language);

// "A circle: process 3 → process 2 → process 3"; empty if there is none.
std::string CircleText(const WaitPicture& picture, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_WAIT_PICTURE_H_
