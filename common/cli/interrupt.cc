#include "common/cli/interrupt.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>

#include "common/base/error.h"

namespace ipclab {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

bool IsIgnored(int signal) {
  struct sigaction action;
  Check(sigaction(signal, nullptr, &action), "sigaction");
  return action.sa_handler == SIG_IGN;
}

// A shell without job control starts what runs in the background with SIGINT ignored; whoever sends
// one all the same means it. Only an ignored SIGHUP is a wish: nohup(1).
const sigset_t& Watched() {
  static const sigset_t set = [] {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : kSignals) {
      if (signal != SIGHUP || !IsIgnored(signal)) sigaddset(&signals, signal);
    }
    return signals;
  }();
  return set;
}

void SetHandlers(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  sigfillset(&action.sa_mask);
  for (const int signal : kSignals) {
    if (sigismember(&Watched(), signal)) Check(sigaction(signal, &action, nullptr), "sigaction");
  }
}

}  // namespace

Interrupts::Interrupts() {
  // An ignored signal would be dropped before it reaches the descriptor.
  SetHandlers(SIG_DFL);
  Check(sigprocmask(SIG_BLOCK, &Watched(), &old_), "sigprocmask");
  fd_ = Fd(Check(signalfd(-1, &Watched(), SFD_CLOEXEC | SFD_NONBLOCK), "signalfd"));
}

// A program that this one becomes inherits the mask.
Interrupts::~Interrupts() { sigprocmask(SIG_SETMASK, &old_, nullptr); }

int Interrupts::Take() {
  signalfd_siginfo info;
  const ssize_t size = read(fd_.get(), &info, sizeof(info));
  if (size == -1 && (errno == EAGAIN || errno == EINTR)) return 0;
  Check(size, "read of a signalfd");
  return static_cast<int>(info.ssi_signo);
}

ImmediateInterrupts::ImmediateInterrupts() {
  SetHandlers(&DieBy);
  Check(sigprocmask(SIG_UNBLOCK, &Watched(), &old_), "sigprocmask");
}

ImmediateInterrupts::~ImmediateInterrupts() { sigprocmask(SIG_SETMASK, &old_, nullptr); }

// Runs inside a signal handler too, so only what signal-safety(7) allows.
void DieBy(int signal) {
  static constexpr char kWords[] = "\nlab: interrupted\n";
  // Nothing can be done about a standard error that is gone.
  if (write(STDERR_FILENO, kWords, sizeof(kWords) - 1) == -1) errno = 0;
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  _exit(128 + signal);
}

}  // namespace ipclab
