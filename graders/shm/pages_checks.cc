// Guarded pages; see pages.h.

#include <csignal>

#include "common/grading/steering.h"
#include "graders/shm/pages.h"

namespace ipclab {
namespace {

// What the handler needs. Plain memory: it runs in the middle of anything.
struct Guard {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  volatile int opened[64] = {};
  volatile int count = 0;
};
Guard g_guard;

void OpenPage(int signal, siginfo_t* info, void* /*context*/) {
  const int error = errno;
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (at < g_guard.begin || at >= g_guard.end) {
    // A fault of the student's own: it strikes again, and then for good.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    return;
  }
  const std::uintptr_t page = at / kPage * kPage;
  mprotect(reinterpret_cast<void*>(page), kPage, PROT_READ | PROT_WRITE);
  const int count = g_guard.count;
  if (count < 64) {
    g_guard.opened[count] = static_cast<int>((page - g_guard.begin) / kPage);
    g_guard.count = count + 1;
  }
  kill(getpid(), 0);  // Gate(), but without an exception.
  errno = error;
}

}  // namespace

GuardedPages::GuardedPages(void* begin, std::size_t size, int protection) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  g_guard.begin = (first + kPage - 1) / kPage * kPage;
  g_guard.end = (first + size) / kPage * kPage;
  g_guard.count = 0;
  if (g_guard.end <= g_guard.begin) throw GraderError("no whole page to guard");
  struct sigaction action {};
  action.sa_sigaction = OpenPage;
  action.sa_flags = SA_SIGINFO;
  Check(sigaction(SIGSEGV, &action, &old_), "sigaction");
  Check(mprotect(reinterpret_cast<void*>(g_guard.begin), g_guard.end - g_guard.begin, protection),
        "mprotect");
}

GuardedPages::~GuardedPages() {
  mprotect(reinterpret_cast<void*>(g_guard.begin), g_guard.end - g_guard.begin,
           PROT_READ | PROT_WRITE);
  sigaction(SIGSEGV, &old_, nullptr);
}

std::vector<int> GuardedPages::Opened() const {
  return {g_guard.opened, g_guard.opened + g_guard.count};
}

}  // namespace ipclab
