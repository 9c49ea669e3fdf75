#include "common/observe/alarm_clock.h"

#include <sys/syscall.h>
#include <sys/time.h>

#include "common/observe/memory.h"

namespace ipclab {

void AlarmClock::OnCall(const Event& event) {
  itimerval timer{};
  if (event.number == SYS_alarm) {
    timer.it_value.tv_sec = static_cast<unsigned>(event.args[0]);
  } else if (event.number == SYS_setitimer && event.args[1] != 0) {
    if (!ReadMemory(event.tid, event.args[1], &timer, sizeof(timer))) return;
  } else {
    return;
  }
  const bool set = timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0;
  if (event.number == SYS_setitimer && event.args[0] != ITIMER_REAL) {
    others_ |= set;
    return;
  }
  set_ = set;
  repeats_ |= set && (timer.it_interval.tv_sec != 0 || timer.it_interval.tv_usec != 0);
  if (set) ++to_come_;
}

void AlarmClock::OnAlarm() {
  if (to_come_ > 0) --to_come_;
}

}  // namespace ipclab
