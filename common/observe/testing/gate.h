// A place where a child of a test waits until the test has looked at it.
//
//   const Gate gate;
//   const Forked child([&] { gate.Wait(); return 0; });
//   ASSERT_TRUE(gate.HasArrived(child.pid()));
//   gate.Open();

#ifndef IPCLAB_COMMON_OBSERVE_TESTING_GATE_H_
#define IPCLAB_COMMON_OBSERVE_TESTING_GATE_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <optional>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/observe/blocked.h"
#include "common/observe/poll.h"

namespace ipclab {

class Gate {
 public:
  // For the child; ends it if the gate breaks.
  void Wait() const {
    char byte;
    if (read(pipe_.read.get(), &byte, 1) != 1) _exit(98);
  }

  // Waits until thread `tid` stands here; false if it ends before.
  [[nodiscard]] bool HasArrived(pid_t tid) const {
    bool here = false;
    const auto settled = [&] {
      const std::optional<Blocked> now = BlockedCall(tid);
      here =
          now && now->call == SYS_read && now->args[0] == static_cast<unsigned>(pipe_.read.get());
      const std::optional<Status> status = ReadStatus(tid);
      return here || !status || status->ended();
    };
    return PollUntil(settled) && here;
  }

  // Lets one child pass.
  void Open() const { Check(write(pipe_.write.get(), "", 1), "write"); }

 private:
  PipeEnds pipe_ = MakePipe();
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TESTING_GATE_H_
