// Families of system calls. Checks name families, because the same library function arrives under
// several numbers: glibc's semop() is semtimedop, its fork() is clone, its open() is openat.
//
//   FamilyOf(SYS_pipe2)                        Family::kPipe
//   CallsOf({Family::kPipe, Family::kFork})    {pipe, pipe2, fork, vfork, clone}

#ifndef IPCLAB_COMMON_OBSERVE_CALLS_H_
#define IPCLAB_COMMON_OBSERVE_CALLS_H_

#include <string_view>
#include <vector>

namespace ipclab {

enum class Family {
  kNone,
  kPipe,          // pipe, pipe2
  kSocket,        // socket, socketpair
  kOpen,          // open, openat, creat, mkfifo ...
  kMode,          // chmod, fchmod, fchmodat, umask
  kName,          // rename, link, symlink and their relatives
  kStat,          // fstat, stat, lstat, statx
  kResize,        // ftruncate, truncate, fallocate
  kClose,         // close, close_range
  kDup,           // dup, dup2, dup3
  kFcntl,         // fcntl: F_DUPFD too
  kRead,          // read, readv, splice from ... : bytes leave a descriptor
  kWrite,         // write, writev, vmsplice ...
  kSplice,        // splice, tee, sendfile: both at once
  kPoll,          // poll, select, epoll_wait
  kFork,          // fork, vfork, clone
  kExec,          // execve, execveat
  kWait,          // wait4, waitid
  kExit,          // exit_group
  kSignalSend,    // kill, tgkill, rt_sigqueueinfo, pidfd_send_signal
  kSignalAction,  // rt_sigaction
  kSignalMask,    // rt_sigprocmask
  kSignalWait,    // pause, rt_sigsuspend, rt_sigtimedwait
  kSleep,         // nanosleep, clock_nanosleep
  kTimer,         // alarm, setitimer, timer_settime, timerfd_settime
  kMap,           // mmap, munmap, mremap, mprotect, msync
  kFutex,         // futex
  kMessages,      // msgget, msgsnd, msgrcv, msgctl
  kSemaphores,    // semget, semop, semtimedop, semctl
  kSharedMemory,  // shmget, shmat, shmdt, shmctl
  kQueues,        // mq_open, mq_timedsend ...
  kRestart,       // restart_syscall: an interrupted timed call going on
};

Family FamilyOf(long number);
std::vector<int> CallsOf(const std::vector<Family>& families);

// "the pipe family", for messages.
std::string_view FamilyName(Family family);

// The argument that holds the descriptor the call acts on, or -1.
int DescriptorArgument(long number);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CALLS_H_
