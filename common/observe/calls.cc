#include "common/observe/calls.h"

#include <sys/syscall.h>

#include <map>

namespace ipclab {
namespace {

struct Row {
  Family family;
  int descriptor;  // Index of the descriptor argument, or -1.
};

// Calls that only some architectures have stand behind #ifdef.
const std::map<long, Row>& Table() {
  static const std::map<long, Row> table = {
#ifdef SYS_pipe
      {SYS_pipe, {Family::kPipe, -1}},
      {SYS_open, {Family::kOpen, -1}},
      {SYS_creat, {Family::kOpen, -1}},
      {SYS_mknod, {Family::kOpen, -1}},
      {SYS_unlink, {Family::kOpen, -1}},
      {SYS_chmod, {Family::kMode, -1}},
      {SYS_rename, {Family::kName, -1}},
      {SYS_link, {Family::kName, -1}},
      {SYS_symlink, {Family::kName, -1}},
      {SYS_stat, {Family::kStat, -1}},
      {SYS_lstat, {Family::kStat, -1}},
      {SYS_dup2, {Family::kDup, 0}},
      {SYS_poll, {Family::kPoll, -1}},
      {SYS_select, {Family::kPoll, -1}},
      {SYS_epoll_wait, {Family::kPoll, -1}},
      {SYS_fork, {Family::kFork, -1}},
      {SYS_vfork, {Family::kFork, -1}},
      {SYS_pause, {Family::kSignalWait, -1}},
      {SYS_alarm, {Family::kTimer, -1}},
#endif
      {SYS_pipe2, {Family::kPipe, -1}},
      {SYS_socket, {Family::kSocket, -1}},
      {SYS_socketpair, {Family::kSocket, -1}},
      {SYS_openat, {Family::kOpen, -1}},
      {SYS_openat2, {Family::kOpen, -1}},
      {SYS_mknodat, {Family::kOpen, -1}},
      {SYS_unlinkat, {Family::kOpen, -1}},
      {SYS_memfd_create, {Family::kOpen, -1}},
      {SYS_fchmod, {Family::kMode, 0}},
      {SYS_fchmodat, {Family::kMode, -1}},
      {SYS_umask, {Family::kMode, -1}},
      {SYS_renameat, {Family::kName, -1}},
      {SYS_renameat2, {Family::kName, -1}},
      {SYS_linkat, {Family::kName, -1}},
      {SYS_symlinkat, {Family::kName, -1}},
      {SYS_fstat, {Family::kStat, 0}},
      {SYS_newfstatat, {Family::kStat, 0}},
      {SYS_statx, {Family::kStat, 0}},
      {SYS_ftruncate, {Family::kResize, 0}},
      {SYS_truncate, {Family::kResize, -1}},
      {SYS_fallocate, {Family::kResize, 0}},
      {SYS_close, {Family::kClose, 0}},
      {SYS_close_range, {Family::kClose, -1}},
      {SYS_dup, {Family::kDup, 0}},
      {SYS_dup3, {Family::kDup, 0}},
      {SYS_fcntl, {Family::kFcntl, 0}},
      {SYS_read, {Family::kRead, 0}},
      {SYS_readv, {Family::kRead, 0}},
      {SYS_pread64, {Family::kRead, 0}},
      {SYS_preadv, {Family::kRead, 0}},
      {SYS_preadv2, {Family::kRead, 0}},
      {SYS_recvfrom, {Family::kRead, 0}},
      {SYS_recvmsg, {Family::kRead, 0}},
      {SYS_write, {Family::kWrite, 0}},
      {SYS_writev, {Family::kWrite, 0}},
      {SYS_pwrite64, {Family::kWrite, 0}},
      {SYS_pwritev, {Family::kWrite, 0}},
      {SYS_pwritev2, {Family::kWrite, 0}},
      {SYS_vmsplice, {Family::kWrite, 0}},
      {SYS_sendto, {Family::kWrite, 0}},
      {SYS_sendmsg, {Family::kWrite, 0}},
      {SYS_sendmmsg, {Family::kWrite, 0}},
      {SYS_splice, {Family::kSplice, 2}},
      {SYS_tee, {Family::kSplice, 1}},
      {SYS_sendfile, {Family::kSplice, 0}},
      {SYS_copy_file_range, {Family::kSplice, 2}},
      {SYS_ppoll, {Family::kPoll, -1}},
      {SYS_pselect6, {Family::kPoll, -1}},
      {SYS_epoll_pwait, {Family::kPoll, -1}},
      {SYS_clone, {Family::kFork, -1}},
      {SYS_execve, {Family::kExec, -1}},
      {SYS_execveat, {Family::kExec, -1}},
      {SYS_wait4, {Family::kWait, -1}},
      {SYS_waitid, {Family::kWait, -1}},
      {SYS_exit_group, {Family::kExit, -1}},
      {SYS_kill, {Family::kSignalSend, -1}},
      {SYS_tkill, {Family::kSignalSend, -1}},
      {SYS_tgkill, {Family::kSignalSend, -1}},
      {SYS_rt_sigqueueinfo, {Family::kSignalSend, -1}},
      {SYS_rt_tgsigqueueinfo, {Family::kSignalSend, -1}},
#ifdef SYS_pidfd_send_signal
      {SYS_pidfd_send_signal, {Family::kSignalSend, -1}},
#endif
      {SYS_rt_sigaction, {Family::kSignalAction, -1}},
      {SYS_rt_sigprocmask, {Family::kSignalMask, -1}},
      {SYS_rt_sigsuspend, {Family::kSignalWait, -1}},
      {SYS_rt_sigtimedwait, {Family::kSignalWait, -1}},
      {SYS_nanosleep, {Family::kSleep, -1}},
      {SYS_clock_nanosleep, {Family::kSleep, -1}},
      {SYS_setitimer, {Family::kTimer, -1}},
      {SYS_timer_create, {Family::kTimer, -1}},
      {SYS_timer_settime, {Family::kTimer, -1}},
      {SYS_timerfd_settime, {Family::kTimer, 0}},
      {SYS_mmap, {Family::kMap, 4}},
      {SYS_munmap, {Family::kMap, -1}},
      {SYS_mremap, {Family::kMap, -1}},
      {SYS_mprotect, {Family::kMap, -1}},
      {SYS_msync, {Family::kMap, -1}},
      {SYS_futex, {Family::kFutex, -1}},
      {SYS_msgget, {Family::kMessages, -1}},
      {SYS_msgsnd, {Family::kMessages, -1}},
      {SYS_msgrcv, {Family::kMessages, -1}},
      {SYS_msgctl, {Family::kMessages, -1}},
      {SYS_semget, {Family::kSemaphores, -1}},
      {SYS_semop, {Family::kSemaphores, -1}},
      {SYS_semtimedop, {Family::kSemaphores, -1}},
      {SYS_semctl, {Family::kSemaphores, -1}},
      {SYS_shmget, {Family::kSharedMemory, -1}},
      {SYS_shmat, {Family::kSharedMemory, -1}},
      {SYS_shmdt, {Family::kSharedMemory, -1}},
      {SYS_shmctl, {Family::kSharedMemory, -1}},
      {SYS_mq_open, {Family::kQueues, -1}},
      {SYS_mq_unlink, {Family::kQueues, -1}},
      {SYS_mq_timedsend, {Family::kQueues, 0}},
      {SYS_mq_timedreceive, {Family::kQueues, 0}},
      {SYS_mq_notify, {Family::kQueues, 0}},
      {SYS_restart_syscall, {Family::kRestart, -1}},
  };
  return table;
}

}  // namespace

Family FamilyOf(long number) {
  const auto row = Table().find(number);
  return row == Table().end() ? Family::kNone : row->second.family;
}

std::vector<int> CallsOf(const std::vector<Family>& families) {
  std::vector<int> calls;
  for (const auto& [number, row] : Table()) {
    for (const Family family : families) {
      if (row.family == family) calls.push_back(static_cast<int>(number));
    }
  }
  return calls;
}

std::string_view FamilyName(Family family) {
  switch (family) {
    case Family::kPipe:
      return "pipe()";
    case Family::kSocket:
      return "socket()";
    case Family::kOpen:
      return "open()";
    case Family::kMode:
      return "chmod()";
    case Family::kName:
      return "rename()";
    case Family::kStat:
      return "stat()";
    case Family::kResize:
      return "ftruncate()";
    case Family::kClose:
      return "close()";
    case Family::kDup:
      return "dup()";
    case Family::kFcntl:
      return "fcntl()";
    case Family::kRead:
      return "read()";
    case Family::kWrite:
      return "write()";
    case Family::kSplice:
      return "splice()";
    case Family::kPoll:
      return "poll()";
    case Family::kFork:
      return "fork()";
    case Family::kExec:
      return "execve()";
    case Family::kWait:
      return "waitpid()";
    case Family::kExit:
      return "_exit()";
    case Family::kSignalSend:
      return "kill()";
    case Family::kSignalAction:
      return "sigaction()";
    case Family::kSignalMask:
      return "sigprocmask()";
    case Family::kSignalWait:
      return "sigsuspend()";
    case Family::kSleep:
      return "sleep()";
    case Family::kTimer:
      return "setitimer()";
    case Family::kMap:
      return "mmap()";
    case Family::kFutex:
      return "futex()";
    case Family::kMessages:
      return "msgget()";
    case Family::kSemaphores:
      return "semop()";
    case Family::kSharedMemory:
      return "shmget()";
    case Family::kQueues:
      return "mq_open()";
    case Family::kRestart:
      return "restart_syscall()";
    case Family::kNone:
      break;
  }
  return "another call";
}

int DescriptorArgument(long number) {
  const auto row = Table().find(number);
  return row == Table().end() ? -1 : row->second.descriptor;
}

}  // namespace ipclab
