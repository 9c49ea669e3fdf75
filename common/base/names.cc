#include "common/base/names.h"

#include <seccomp.h>
#include <signal.h>
#include <string.h>

#include <cstdlib>
#include <memory>

namespace ipclab {

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

std::string DescribeErrno(int error) {
  const char* text = strerrordesc_np(error);
  return ErrnoName(error) + (text != nullptr ? " (" + std::string(text) + ")" : "");
}

std::string SignalName(int signal) {
  if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
    return signal == SIGRTMIN ? "SIGRTMIN" : "SIGRTMIN+" + std::to_string(signal - SIGRTMIN);
  }
  const char* name = sigabbrev_np(signal);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

std::string SyscallName(long number) {
  const std::unique_ptr<char, decltype(&free)> name(
      seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), &free);
  return name != nullptr ? name.get() : "system call " + std::to_string(number);
}

}  // namespace ipclab
