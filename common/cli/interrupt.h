// SIGINT, SIGTERM and SIGHUP end a run in good order: what was started is ended first.
//
//   Interrupts interrupts;                 // First thing in main: the signals wait.
//   poll(... interrupts.fd() ...);         // They arrive here, see signalfd(2).
//   if (interrupts.Take()) ...             // The signal, or 0.
//   { ImmediateInterrupts now; ... }       // Here they end the program at once.
//   DieBy(SIGINT);                         // The caller's shell sees how it ended.

#ifndef IPCLAB_COMMON_CLI_INTERRUPT_H_
#define IPCLAB_COMMON_CLI_INTERRUPT_H_

#include <signal.h>

#include "common/base/fd.h"

namespace ipclab {

class Interrupts {
 public:
  // Blocks the signals for this process, but not one that the caller chose to ignore (nohup).
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int fd() const { return fd_.get(); }
  // The signal that arrived, or 0. Never blocks.
  int Take();

 private:
  Fd fd_;
  sigset_t old_;
};

// For work that cannot be interrupted in the middle but leaves nothing behind when this process
// dies, such as a compile in a box that dies with its parent.
class ImmediateInterrupts {
 public:
  ImmediateInterrupts();
  ~ImmediateInterrupts();
  ImmediateInterrupts(const ImmediateInterrupts&) = delete;
  ImmediateInterrupts& operator=(const ImmediateInterrupts&) = delete;

 private:
  sigset_t old_;
};

// Says "interrupted" and ends this process by `signal`.
[[noreturn]] void DieBy(int signal);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_INTERRUPT_H_
