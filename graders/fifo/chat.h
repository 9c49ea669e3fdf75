// What the checks of chat and those of chat_lockstep share.

#ifndef IPCLAB_GRADERS_FIFO_CHAT_H_
#define IPCLAB_GRADERS_FIFO_CHAT_H_

#include <string>

#include "graders/fifo/peers.h"

namespace ipclab {

EXERCISE(Chat);

// What the first side writes, and what it reads.
inline constexpr char kThere[] = "there";
inline constexpr char kBack[] = "back";

inline void MakeFifos(Sandbox& box) {
  Helper maker = box.Start("MakesBothFifos");
  if (maker.Wait().kind != Ending::Kind::kExited) throw GraderError("no FIFOs");
}

inline std::string RandomLines(int count, std::size_t length = 30) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += RandomWord(length) + "\n";
  return lines;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_CHAT_H_
