// Has another thread run on the caller's processor for a while.
//
//   {
//     const SharedProcessor shared(tid);
//     ...  // Each of the two wakes the other again and again.
//   }
//
// Two threads that take turns switch several times faster on one processor than between two. Only a
// matter of speed: where it cannot be had (sched_setaffinity(2)), nothing happens.

#ifndef IPCLAB_COMMON_OBSERVE_SHARED_PROCESSOR_H_
#define IPCLAB_COMMON_OBSERVE_SHARED_PROCESSOR_H_

#include <sched.h>
#include <sys/types.h>

namespace ipclab {

class SharedProcessor {
 public:
  explicit SharedProcessor(pid_t tid);
  // Both may run again where they might before.
  ~SharedProcessor();
  SharedProcessor(const SharedProcessor&) = delete;
  SharedProcessor& operator=(const SharedProcessor&) = delete;

 private:
  pid_t tid_;
  bool shared_ = false;
  cpu_set_t theirs_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_SHARED_PROCESSOR_H_
