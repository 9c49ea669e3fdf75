#include "common/observe/deadlock_calls.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>

namespace ipclab::deadlock {
namespace {

// A call that only waits for the clock (nanosleep), or goes on with a wait that had a timeout
// (restart_syscall), is missing here on purpose. Newer architectures lack the older calls.
constexpr CallRule kRules[] = {
    {SYS_read, Shape::kRead, "read"},
    {SYS_readv, Shape::kRead, "readv"},
    {SYS_preadv2, Shape::kRead, "preadv2"},
    {SYS_recvfrom, Shape::kRead, "recv"},
    {SYS_recvmsg, Shape::kRead, "recvmsg"},
    {SYS_recvmmsg, Shape::kRead, "recvmmsg", Timeout::kPointer, 4},
    {SYS_accept, Shape::kRead, "accept"},
    {SYS_accept4, Shape::kRead, "accept4"},
    {SYS_mq_timedreceive, Shape::kRead, "mq_receive", Timeout::kPointer, 4},
    {SYS_write, Shape::kWrite, "write"},
    {SYS_writev, Shape::kWrite, "writev"},
    {SYS_pwritev2, Shape::kWrite, "pwritev2"},
    {SYS_vmsplice, Shape::kWrite, "vmsplice"},
    {SYS_sendto, Shape::kWrite, "send"},
    {SYS_sendmsg, Shape::kWrite, "sendmsg"},
    {SYS_sendmmsg, Shape::kWrite, "sendmmsg"},
    {SYS_connect, Shape::kWrite, "connect"},
    {SYS_mq_timedsend, Shape::kWrite, "mq_send", Timeout::kPointer, 4},
    {SYS_splice, Shape::kCopy, "splice"},
    {SYS_tee, Shape::kCopy, "tee"},
    {SYS_sendfile, Shape::kCopy, "sendfile"},
    {SYS_ppoll, Shape::kPoll, "poll", Timeout::kPointer, 2},
    {SYS_pselect6, Shape::kSelect, "select", Timeout::kPointer, 4},
    {SYS_epoll_pwait, Shape::kEpoll, "epoll_wait", Timeout::kMilliseconds, 3},
    {SYS_wait4, Shape::kWait, "wait4"},
    {SYS_waitid, Shape::kWaitId, "waitid"},
    {SYS_clone, Shape::kVfork, "posix_spawn"},
    {SYS_clone3, Shape::kVfork, "posix_spawn"},
    {SYS_futex, Shape::kFutex, "futex", Timeout::kPointer, 3},
    {SYS_rt_sigsuspend, Shape::kSignal, "sigsuspend"},
    {SYS_rt_sigtimedwait, Shape::kSignal, "sigwait", Timeout::kPointer, 2},
    {SYS_msgrcv, Shape::kReceive, "msgrcv"},
    {SYS_msgsnd, Shape::kSend, "msgsnd"},
    {SYS_semop, Shape::kSemop, "semop"},
    {SYS_semtimedop, Shape::kSemop, "semop", Timeout::kPointer, 3},
    {SYS_flock, Shape::kLock, "flock"},
    {SYS_fcntl, Shape::kLock, "fcntl"},
    {SYS_openat, Shape::kOpen, "open"},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, Shape::kEpoll, "epoll_wait", Timeout::kPointer, 3},
#endif
#ifdef SYS_poll
    {SYS_poll, Shape::kPoll, "poll", Timeout::kMilliseconds, 2},
    {SYS_select, Shape::kSelect, "select", Timeout::kPointer, 4},
    {SYS_epoll_wait, Shape::kEpoll, "epoll_wait", Timeout::kMilliseconds, 3},
    {SYS_vfork, Shape::kVfork, "vfork"},
    {SYS_pause, Shape::kSignal, "pause"},
    {SYS_open, Shape::kOpen, "open"},
#endif
};

}  // namespace

const CallRule* RuleOf(long call) {
  const auto* const rule = std::ranges::find(kRules, call, &CallRule::call);
  return rule == std::end(kRules) ? nullptr : rule;
}

}  // namespace ipclab::deadlock
