// A child process of a test, killed with all its descendants and reaped on scope exit.
//
//   const PipeEnds pipe = MakePipe();
//   Forked reader([&] {
//     char byte;
//     return read(pipe.read.get(), &byte, 1) == 1 ? 0 : 1;
//   });
//   ASSERT_TRUE(WaitUntilBlockedIn(reader.pid(), {SYS_read}));
//
// The child runs no test code and ends by _exit(2) with what the function returns. The test process
// becomes the reaper of orphans (PR_SET_CHILD_SUBREAPER), so that grandchildren can be reaped too.

#ifndef IPCLAB_COMMON_OBSERVE_TESTING_FORKED_H_
#define IPCLAB_COMMON_OBSERVE_TESTING_FORKED_H_

#include <sys/types.h>

#include <functional>

namespace ipclab {

class Forked {
 public:
  explicit Forked(const std::function<int()>& body);
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  ~Forked();

  pid_t pid() const { return pid_; }

  // Waits for the end and returns the status of waitpid(2).
  int Wait();

 private:
  pid_t pid_ = -1;
  bool reaped_ = false;
};

// For the bodies of such children: the same without an owner, for children of children. Ends the
// calling process if fork(2) fails.
pid_t ForkFrom(const std::function<int()>& body);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TESTING_FORKED_H_
