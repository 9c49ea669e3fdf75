// What a sleeping thread waits for: from a call and its registers to an edge of the wait-for graph.
// Private to the deadlock proof.
//
//   const std::optional<WaitEdge> edge = DecodeWait(sample, members, world);
//   if (!edge) ...  // It may end by itself, or nothing certain can be said.

#ifndef IPCLAB_COMMON_OBSERVE_DEADLOCK_WAIT_H_
#define IPCLAB_COMMON_OBSERVE_DEADLOCK_WAIT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/observe/blocked.h"
#include "common/observe/census.h"
#include "common/observe/deadlock.h"
#include "common/observe/deadlock_calls.h"

namespace ipclab::deadlock {

// The living processes of a box, by outer process id.
using Members = std::map<pid_t, Census>;

// True if the call may end by the clock.
bool HasTimeout(const Blocked& blocked);

// True if the thread sleeps in a call that is known here, or is stopped, and neither the clock nor
// a signal already sent is going to wake it.
bool SleepsForGood(const TaskSample& task, const World& world);

Party PartyOf(const Census& process, const World& world);

// The wait of a thread that SleepsForGood().
std::optional<WaitEdge> DecodeWait(const TaskSample& task, const Members& members,
                                   const World& world);

// For DecodeWait: the part of `edge` that calls on descriptors fill in. False if nothing certain
// can be said.
bool DecodeObjects(const TaskSample& task, Shape shape, const Members& members, const World& world,
                   WaitEdge& edge);

}  // namespace ipclab::deadlock

#endif  // IPCLAB_COMMON_OBSERVE_DEADLOCK_WAIT_H_
