#include "common/observe/shared_processor.h"

#include <optional>

namespace ipclab {
namespace {

std::optional<cpu_set_t> ProcessorsOf(pid_t tid) {
  cpu_set_t set;
  if (sched_getaffinity(tid, sizeof set, &set) == -1) return std::nullopt;
  return set;
}

// Where the caller might run before the first of all that share its processor.
const std::optional<cpu_set_t>& Ours() {
  static const std::optional<cpu_set_t> ours = ProcessorsOf(0);
  return ours;
}

}  // namespace

SharedProcessor::SharedProcessor(pid_t tid) : tid_(tid) {
  const std::optional<cpu_set_t> theirs = ProcessorsOf(tid);
  const int here = sched_getcpu();
  if (!theirs || !Ours() || here == -1) return;
  theirs_ = *theirs;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  shared_ = sched_setaffinity(0, sizeof one, &one) == 0;
  static_cast<void>(sched_setaffinity(tid, sizeof one, &one));
}

SharedProcessor::~SharedProcessor() {
  if (!shared_) return;
  static_cast<void>(sched_setaffinity(tid_, sizeof theirs_, &theirs_));
  static_cast<void>(sched_setaffinity(0, sizeof *Ours(), &*Ours()));
}

}  // namespace ipclab
