// The action of a signal as the kernel holds it: handler, flags and mask. Only the process itself
// can ask for it, so helpers report it; the census shows beside it what is caught and ignored.
//
//   ReportAction("after", SIGUSR1);                          // In the box.
//   EXPECT_THAT(ActionOf(helper, "after"), IsTheCallersAction(SA_SIGINFO, SetOf({SIGUSR2})));

#ifndef IPCLAB_GRADERS_SIGNALS_ACTIONS_H_
#define IPCLAB_GRADERS_SIGNALS_ACTIONS_H_

#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "graders/signals/signal_sets.h"

namespace ipclab {

// The C library adds this one to every action; nobody asks for it.
constexpr int kRestorer = 0x04000000;

inline void OtherHandler(int) {}
inline void CallersHandler(int, siginfo_t*, void*) {}

// A handler in words that mean the same in the box and in the grader.
inline std::string WordFor(void (*handler)(int)) {
  if (handler == SIG_DFL) return "SIG_DFL";
  if (handler == SIG_IGN) return "SIG_IGN";
  if (handler == SIG_ERR) return "SIG_ERR";
  if (handler == &Hears) return "the first handler";
  if (handler == &OtherHandler) return "the second handler";
  return "another handler";
}

inline void ReportAction(const std::string& key, int signal) {
  struct sigaction action {};
  Check(sigaction(signal, nullptr, &action), "sigaction");
  const bool callers =
      (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &CallersHandler;
  Report(key + " handler", callers ? "the caller's handler" : WordFor(action.sa_handler));
  Report(key + " flags", action.sa_flags & ~kRestorer);
  Report(key + " mask", BitsOf(action.sa_mask));
}

struct SeenAction {
  std::string handler;
  std::int64_t flags;
  SignalSet mask;
};

inline SeenAction ActionOf(const Helper& helper, const std::string& key) {
  return {helper.ReportedBytes(key + " handler"),
          helper.Reported(key + " flags"),
          {static_cast<std::uint64_t>(helper.Reported(key + " mask"))}};
}

inline std::string FlagNames(std::int64_t flags) {
  static constexpr std::pair<std::int64_t, const char*> kNames[] = {
      {SA_NOCLDSTOP, "SA_NOCLDSTOP"}, {SA_NOCLDWAIT, "SA_NOCLDWAIT"}, {SA_SIGINFO, "SA_SIGINFO"},
      {SA_ONSTACK, "SA_ONSTACK"},     {SA_RESTART, "SA_RESTART"},     {SA_NODEFER, "SA_NODEFER"},
      {SA_RESETHAND, "SA_RESETHAND"}};
  std::vector<std::string> names;
  for (const auto& [flag, name] : kNames) {
    if ((flags & flag) != 0) names.emplace_back(name);
  }
  return names.empty() ? "no flags" : Join(names, "|");
}

inline void PrintTo(const SeenAction& action, std::ostream* out) {
  *out << action.handler << " with " << FlagNames(action.flags) << ", sa_mask ";
  if (action.mask.bits == 0) {
    *out << "empty";
  } else if (action.mask.Members().size() > 20) {
    *out << "of " << action.mask.Members().size() << " signals";
  } else {
    *out << "with " << action.mask.Names();
  }
}

MATCHER_P2(IsTheCallersAction, flags, mask,
           "the caller's handler with " + FlagNames(flags) + ", sa_mask with " + mask.Names()) {
  return arg.handler == "the caller's handler" && arg.flags == flags && arg.mask == mask;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SIGNALS_ACTIONS_H_
