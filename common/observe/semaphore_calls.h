// The arguments of semget(2), semctl(2) and semop(2), in words.
//
//   DescribeSemaphoreCall(tid, SYS_semtimedop, args)  "3, [{0, -1, SEM_UNDO}], 0.04 s"
//
// Works while the thread stands at the entry of the call.

#ifndef IPCLAB_COMMON_OBSERVE_SEMAPHORE_CALLS_H_
#define IPCLAB_COMMON_OBSERVE_SEMAPHORE_CALLS_H_

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace ipclab {

std::string DescribeSemaphoreCall(pid_t tid, long number, const std::array<std::uint64_t, 6>& args);

// The timeout that is given to semtimedop(2); nothing for other calls and waits without end.
std::optional<std::chrono::nanoseconds> SemaphoreTimeLimit(
    pid_t tid, long number, const std::array<std::uint64_t, 6>& args);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_SEMAPHORE_CALLS_H_
