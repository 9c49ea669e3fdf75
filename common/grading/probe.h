// Isolation is probed, not assumed: one whole box is made, with a canary in it that tries what it
// must not be able to do.
//
//   const Isolation isolation = ProbeIsolation();
//   if (isolation.mode != "full") puts(isolation.fix.c_str());

#ifndef IPCLAB_COMMON_GRADING_PROBE_H_
#define IPCLAB_COMMON_GRADING_PROBE_H_

#include "common/grading/result.h"

namespace ipclab {

// "full"; or "practice", with the reason and the one command that mends it, if only a box without
// namespaces works; or "none". Leaves Session::confine as it must be for what works.
Isolation ProbeIsolation();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_PROBE_H_
