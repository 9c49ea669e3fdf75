// The programs that the box holds in /bin: what run_limited runs.
//
// They use no stdio, so that what they write is in the pipe when their write returns.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

void Say(std::string_view text) {
  if (write(STDOUT_FILENO, text.data(), text.size()) == -1) _exit(1);
}

void Burn(long milliseconds) {
  timespec used{};
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (used.tv_sec * 1000 + used.tv_nsec / 1'000'000 < milliseconds);
}

[[noreturn]] void WaitForever() {
  for (;;) pause();
}

// leads CODE: says whether it is the leader of a process group, and exits with CODE.
PROGRAM(leads) {
  Say(getpgrp() == getpid() ? "leads" : "follows");
  return argc > 1 ? std::atoi(argv[1]) : 0;
}

// dies SIGNAL: of that signal.
PROGRAM(dies) {
  raise(argc > 1 ? std::atoi(argv[1]) : SIGKILL);
  return 0;
}

// Waits until a signal ends it.
PROGRAM(waits) { WaitForever(); }

// Stops itself.
PROGRAM(stops) {
  raise(SIGSTOP);
  WaitForever();
}

[[noreturn]] void WaitWithAChild(void (*on_sigterm)(int)) {
  if (fork() == 0) {
    signal(SIGTERM, on_sigterm);
    Say("ready ");
  }
  WaitForever();
}

// Has a child, which says "ready ". Both wait until a signal ends them.
PROGRAM(has_a_child) { WaitWithAChild(SIG_DFL); }

// The same, but the child ignores SIGTERM.
PROGRAM(has_a_stubborn_child) { WaitWithAChild(SIG_IGN); }

// burns MS: uses so much processor time itself, and lets a child use as much.
PROGRAM(burns) {
  const long milliseconds = argc > 1 ? std::atol(argv[1]) : 0;
  const pid_t child = fork();
  if (child == 0) {
    Burn(milliseconds);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  Burn(milliseconds);
  return 0;
}

}  // namespace
}  // namespace ipclab
