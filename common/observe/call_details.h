// What the arguments of a call mean, for its event.
//
//   event.target = TargetOf(tid, event.descriptor);   // "pipe:[4711]"
//   event.detail = PathOf(tid, call);                 // "/tmp/line"

#ifndef IPCLAB_COMMON_OBSERVE_CALL_DETAILS_H_
#define IPCLAB_COMMON_OBSERVE_CALL_DETAILS_H_

#include <sys/types.h>

#include <string>

#include "common/observe/trace.h"
#include "common/observe/tracer.h"

namespace ipclab {

// What a descriptor of a stopped task refers to, as proc(5) shows it; empty if it is closed.
std::string TargetOf(pid_t tid, int descriptor);

// The path that a call of the families kOpen and kExec names.
std::string PathOf(pid_t tid, const CallInfo& call);

// The two descriptors that a call of the families kPipe and kSocket has made: "[3, 4]".
std::string NewDescriptors(pid_t tid, const Event& event);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CALL_DETAILS_H_
