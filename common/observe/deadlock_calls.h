// The system calls whose sleep the deadlock proof understands, and how to read their arguments.
// Private to the deadlock proof.
//
//   const CallRule* const rule = RuleOf(SYS_ppoll);   // Shape::kPoll, a timeout behind a pointer

#ifndef IPCLAB_COMMON_OBSERVE_DEADLOCK_CALLS_H_
#define IPCLAB_COMMON_OBSERVE_DEADLOCK_CALLS_H_

#include <string>

namespace ipclab::deadlock {

enum class Shape {
  kRead,     // Argument 0 is a descriptor to take from.
  kWrite,    // Argument 0 is a descriptor to give to.
  kCopy,     // Takes from one descriptor and gives to another: see CopyEnds().
  kPoll,     // An array of pollfd.
  kSelect,   // Three sets of descriptors.
  kEpoll,    // An epoll descriptor.
  kWait,     // wait4
  kWaitId,   // waitid
  kVfork,    // vfork; clone if its flags say so.
  kFutex,    // A word in memory.
  kSignal,   // Any signal that is not blocked, or one of a set.
  kReceive,  // msgrcv
  kSend,     // msgsnd
  kSemop,    // semop
  kLock,     // flock; fcntl with one of the waiting lock commands.
  kOpen,     // A FIFO without the other side.
};

enum class Timeout { kNone, kPointer, kMilliseconds };

struct CallRule {
  long call;
  Shape shape;
  const char* name;  // As the manual has it.
  Timeout timeout = Timeout::kNone;
  int timeout_argument = -1;
};

// Null for a call that proves nothing.
const CallRule* RuleOf(long call);

}  // namespace ipclab::deadlock

#endif  // IPCLAB_COMMON_OBSERVE_DEADLOCK_CALLS_H_
