// The interval timers of one process, which do not show in /proc: whether they may still ring.
//
//   clock.OnCall(event);   // alarm() or setitimer() has succeeded.
//   clock.OnAlarm();       // Their SIGALRM has been delivered.
//   if (clock.Armed()) ... // The clock may end a wait.
//
// fork(2) does not copy them. Timers of timer_create(2) and timerfd_create(2) show in the census.

#ifndef IPCLAB_COMMON_OBSERVE_ALARM_CLOCK_H_
#define IPCLAB_COMMON_OBSERVE_ALARM_CLOCK_H_

#include "common/observe/trace.h"

namespace ipclab {

class AlarmClock {
 public:
  // Other calls of the timer family change nothing.
  void OnCall(const Event& event);
  void OnAlarm();
  bool Armed() const { return others_ || (set_ && (repeats_ || to_come_ > 0)); }

 private:
  bool set_ = false;      // ITIMER_REAL has been set and not been switched off.
  bool repeats_ = false;  // It had an interval at some time.
  bool others_ = false;   // ITIMER_VIRTUAL or ITIMER_PROF was set at some time.
  // A timer that rings once is over when its SIGALRM has been delivered. Older ones may have been
  // pending when it was set, so that is only said when as many have come as there were settings.
  int to_come_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_ALARM_CLOCK_H_
