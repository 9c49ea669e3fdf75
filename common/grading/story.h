// What happened in a box, as the result model tells it.
//
//   result.timeline = TimelineOf(box.events(), started, box.names());
//   result.waits = WaitsOf(*FindDeadlock(world), box.names());

#ifndef IPCLAB_COMMON_GRADING_STORY_H_
#define IPCLAB_COMMON_GRADING_STORY_H_

#include <vector>

#include "common/grading/result.h"
#include "common/observe/census_names.h"
#include "common/observe/deadlock.h"
#include "common/observe/trace.h"

namespace ipclab {

// From the first call of a student's function on. Of a long story the middle is left out, and a
// note says how much. Times count from `started`.
std::vector<TimelineEntry> TimelineOf(const std::vector<Event>& events, Clock::time_point started,
                                      ObjectNames& names);

// The waits of a deadlock in its order, as far as a reader can take them in.
std::vector<Wait> WaitsOf(const Deadlock& deadlock, ObjectNames& names);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_STORY_H_
