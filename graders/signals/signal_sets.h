// Signals in checks: drawn in the grader, given to helpers, looked at on both sides.
//
//   const std::vector<int> some = DrawSignals(3);
//   box.Start("BlocksSome", {{"signals", AsArgument(some)}});
//   ... SignalsIn(args, "signals") ...                     // In the box.
//   EXPECT_THAT(call.before.signals.blocked, IsSet(SetOf(some)));

#ifndef IPCLAB_GRADERS_SIGNALS_SIGNAL_SETS_H_
#define IPCLAB_GRADERS_SIGNALS_SIGNAL_SETS_H_

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

// ---- In the grader ------------------------------------------------------------------------------

// Nothing but a handler or a mask keeps these from ending a process, and nobody else sends them.
constexpr int kStandard[] = {SIGHUP,  SIGINT,    SIGQUIT, SIGUSR1,  SIGUSR2, SIGPIPE,
                             SIGALRM, SIGTERM,   SIGXCPU, SIGXFSZ,  SIGIO,   SIGPWR,
                             SIGPROF, SIGVTALRM, SIGABRT, SIGSTKFLT};

// `n` different ones out of `pool`, in random order.
inline std::vector<int> DrawFrom(std::vector<int> pool, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto j = static_cast<std::size_t>(
        RandomInt(static_cast<std::int64_t>(i), static_cast<std::int64_t>(pool.size()) - 1));
    std::swap(pool[i], pool[j]);
  }
  pool.resize(n);
  return pool;
}

inline std::vector<int> DrawSignals(std::size_t n) {
  return DrawFrom({std::begin(kStandard), std::end(kStandard)}, n);
}

inline std::vector<int> DrawRealTime(std::size_t n) {
  std::vector<int> pool;
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) pool.push_back(signal);
  return DrawFrom(std::move(pool), n);
}

// One byte for each signal.
inline nlohmann::json AsArgument(const std::vector<int>& signals) {
  return Binary(std::string(signals.begin(), signals.end()));
}

inline SignalSet SetOf(const std::vector<int>& signals) {
  SignalSet set;
  for (const int signal : signals) set.bits |= std::uint64_t{1} << (signal - 1);
  return set;
}

inline std::string NamesOf(const std::vector<int>& signals) {
  std::vector<std::string> names;
  for (const int signal : signals) names.push_back(SignalName(signal));
  return Join(names, ", ");
}

inline void PrintTo(const SignalSet& set, std::ostream* out) {
  *out << (set.bits == 0 ? "no signal" : set.Names());
}

MATCHER_P(IsSet, set, (set.bits == 0 ? "no signal" : "exactly " + set.Names())) {
  return arg.bits == set.bits;
}

// What a function that makes rows should say of a set: signals 1 to 31.
inline std::string RowOf(const SignalSet& set) {
  std::string row;
  for (int signal = 1; signal <= 31; ++signal) row += set.Has(signal) ? '1' : '0';
  return row;
}

// How often something happened.
struct Times {
  std::int64_t n;
};

inline std::string InWords(std::int64_t n) {
  if (n < 0) return "nobody knows how often";
  return n == 0 ? "never" : n == 1 ? "once" : std::to_string(n) + " times";
}

inline void PrintTo(const Times& times, std::ostream* out) { *out << InWords(times.n); }

MATCHER_P(Happens, n, InWords(n)) { return arg.n == static_cast<std::int64_t>(n); }

// How often a signal reached a process.
inline std::int64_t Arrivals(const Sandbox& box, const Helper& helper, int signal) {
  return std::ranges::count_if(box.events(), [&](const Event& event) {
    return event.kind == Event::Kind::kSignal && event.pid == helper.pid() &&
           event.status == signal;
  });
}

// ---- In the box ---------------------------------------------------------------------------------

inline std::vector<int> SignalsIn(const Args& args, const std::string& key) {
  std::vector<int> signals;
  for (const char c : args.Bytes(key)) signals.push_back(static_cast<unsigned char>(c));
  return signals;
}

inline sigset_t MaskOf(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

inline std::int64_t BitsOf(const sigset_t& set) {
  std::int64_t bits = 0;
  std::memcpy(&bits, &set, sizeof(bits));
  return bits;
}

// How often a signal has met Hears().
inline volatile sig_atomic_t g_heard[_NSIG];
inline void Hears(int signal) { g_heard[signal] = g_heard[signal] + 1; }

// Blocks signals for as long as this lives; those of them that pend at its end are taken away.
class Masked {
 public:
  explicit Masked(const std::vector<int>& signals) : set_(MaskOf(signals)) {
    Check(sigprocmask(SIG_BLOCK, &set_, &old_), "sigprocmask");
  }
  ~Masked() {
    const timespec now = {0, 0};
    while (sigtimedwait(&set_, nullptr, &now) > 0) {
    }
    sigprocmask(SIG_SETMASK, &old_, nullptr);
  }
  Masked(const Masked&) = delete;
  Masked& operator=(const Masked&) = delete;

 private:
  const sigset_t set_;
  sigset_t old_;
};

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SIGNALS_SIGNAL_SETS_H_
