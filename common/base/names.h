// Names instead of numbers in everything a person reads.
//
//   ErrnoName(11)      "EAGAIN"
//   SignalName(13)     "SIGPIPE"
//   SyscallName(293)   "pipe2"      (of this machine's architecture)

#ifndef IPCLAB_COMMON_BASE_NAMES_H_
#define IPCLAB_COMMON_BASE_NAMES_H_

#include <string>

namespace ipclab {

std::string ErrnoName(int error);
// "EAGAIN (Resource temporarily unavailable)".
std::string DescribeErrno(int error);
// "SIGRTMIN+3" for real-time signals.
std::string SignalName(int signal);
std::string SyscallName(long number);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_NAMES_H_
