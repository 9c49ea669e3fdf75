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

// True if the helper has shown exactly this when nothing moves any more.
inline testing::AssertionResult Shows(Sandbox& box, const Helper& helper, const std::string& text) {
  const testing::AssertionResult rest = ComesToRest(box);
  if (!rest) return rest;
  // What it wrote waits in a pipe until we look again.
  int looks = 0;
  const auto result = Comes(box, [&] { return helper.output() == text || ++looks == 3; });
  if (!result || helper.output() == text) return result;
  return testing::AssertionFailure() << DescribeDifference(text, helper.output());
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_CHAT_H_
