// What only the checks of the pipe lab say.

#ifndef IPCLAB_GRADERS_PIPE_EXPECTATIONS_H_
#define IPCLAB_GRADERS_PIPE_EXPECTATIONS_H_

#include <signal.h>

#include <algorithm>
#include <cctype>
#include <string>

#include "common/base/text.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

// Of a program that would write for ever. A pipe sends SIGPIPE, a socket may also just refuse.
MATCHER(EndedForLackOfAReader, "it ends by SIGPIPE, or because its write fails") {
  return arg.raw == SIGPIPE || arg.raw == 1 << 8;
}

// What `upper` and `answers` make of a text.
inline std::string InCapitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_PIPE_EXPECTATIONS_H_
