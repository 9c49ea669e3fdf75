// Which signals the kernel was asked to send.
//
//   EXPECT_THAT(Sent(box, 0), AreSent(Repeated(signal, 3)));

#ifndef IPCLAB_GRADERS_SIGNALS_SENDS_H_
#define IPCLAB_GRADERS_SIGNALS_SENDS_H_

#include <sys/syscall.h>

#include <cstddef>
#include <vector>

#include "common/grading/exercise.h"
#include "graders/signals/actions.h"

namespace ipclab {

// The signal that a call of Family::kSignalSend sends.
inline int SignalOf(const Event& event) {
  const bool to_thread = event.number == SYS_tgkill || event.number == SYS_rt_tgsigqueueinfo;
  return static_cast<int>(event.args[to_thread ? 2 : 1]);
}

// The signals that were sent inside students' functions, in turn, from that event on.
inline std::vector<int> Sent(const Sandbox& box, std::size_t from) {
  std::vector<int> sent;
  for (std::size_t i = from; i < box.events().size(); ++i) {
    const Event& event = box.events()[i];
    const bool sends = event.kind == Event::Kind::kCall && event.family == Family::kSignalSend;
    if (!sends || event.function.empty() || !event.Succeeded()) continue;
    if (SignalOf(event) != 0) sent.push_back(SignalOf(event));
  }
  return sent;
}

inline std::vector<int> Repeated(int signal, int times) {
  return std::vector<int>(static_cast<std::size_t>(times), signal);
}

MATCHER_P(AreSent, signals, "the kernel is asked to send " + NamesOf(signals) + ", in turn") {
  *result_listener << "it was asked to send " << (arg.empty() ? "nothing" : NamesOf(arg));
  return arg == signals;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SIGNALS_SENDS_H_
