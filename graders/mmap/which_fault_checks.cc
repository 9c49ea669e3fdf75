// Exercise mmap.6: which fault?

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "graders/mmap/which_fault.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::Touch;
using mmap::touch_byte;

// ---- In the box ---------------------------------------------------------------------------------

int TouchHere(const volatile void* at, int write) {
  Touch out = static_cast<Touch>(kUntold);
  const int result = STUDENT(touch_byte)(at, write, &out);
  return result == 0 ? static_cast<int>(out) : kUntold;
}

constexpr int kReadable = 0, kWritable = 1, kForbidden = 2, kUnmapped = 3;

// Five pages with all kinds of rights, the fourth of them gone, and a mapping of two pages of a
// file that was cut to a few bytes.
class Landscape {
 public:
  explicit Landscape(const std::string& bytes)
      : pages_(5 * kPage, PROT_READ | PROT_WRITE),
        file_(MakeSized("landscape", 2 * kPage)),
        mapped_(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get()) {
    bytes.copy(pages_.bytes(), kPage);
    bytes.copy(pages_.bytes() + kPage, kPage);
    pages_.Allow(kReadable, PROT_READ);
    pages_.Allow(kForbidden, PROT_NONE);
    Check(munmap(pages_.bytes() + kUnmapped * kPage, kPage), "munmap");
    Check(ftruncate(file_.get(), 100), "ftruncate");
  }
  ~Landscape() { unlink("landscape"); }
  char* In(int page) const { return pages_.bytes() + static_cast<std::size_t>(page) * kPage + 5; }
  char* InFile(std::size_t page) const { return mapped_.bytes() + page * kPage + 200; }
  std::string Text(int page) const { return {In(page) - 5, kPage}; }

 private:
  const Pages pages_;
  const Fd file_;
  const Pages mapped_;
};

using Address = const volatile void*;

struct Place {
  const char* name;
  int write;
  Touch want;
  const volatile void* (*where)(const Landscape& landscape);
};

const Place kPlaces[] = {
    {"reading where one may read", 0, Touch::kOk,
     [](const Landscape& l) -> Address { return l.In(kReadable); }},
    {"writing where one may only read", 1, Touch::kSegv,
     [](const Landscape& l) -> Address { return l.In(kReadable); }},
    {"writing where one may", 1, Touch::kOk,
     [](const Landscape& l) -> Address { return l.In(kWritable); }},
    {"reading a page with PROT_NONE", 0, Touch::kSegv,
     [](const Landscape& l) -> Address { return l.In(kForbidden); }},
    {"reading a page that was unmapped", 0, Touch::kSegv,
     [](const Landscape& l) -> Address { return l.In(kUnmapped); }},
    {"reading at the address null", 0, Touch::kSegv,
     [](const Landscape&) -> Address { return nullptr; }},
    {"writing behind the last byte of a file, in its last page", 1, Touch::kOk,
     [](const Landscape& l) -> Address { return l.InFile(0); }},
    {"reading a page that the file has no longer", 0, Touch::kBus,
     [](const Landscape& l) -> Address { return l.InFile(1); }},
    {"writing to a page that the file has no longer", 1, Touch::kBus,
     [](const Landscape& l) -> Address { return l.InFile(1); }},
};

// All places, or the one that is wanted, as often as is wanted.
HELPER(TouchesPlaces) {
  const std::string bytes = args.Bytes("bytes");
  const Landscape landscape(bytes);
  const std::int64_t only = args.Int("only", -1);
  for (std::int64_t round = 0; round < args.Int("rounds", 1); ++round) {
    std::int64_t number = 0;
    for (const Place& place : kPlaces) {
      const std::int64_t mine = number++;
      if (only != -1 && only != mine) continue;
      Report("touch" + std::to_string(mine), TouchHere(place.where(landscape), place.write));
    }
  }
  Report("readable", landscape.Text(kReadable));
  Report("writable", landscape.Text(kWritable));
  return 0;
}

volatile sig_atomic_t seen_bus = 0;
volatile sig_atomic_t seen_segv = 0;

void Notice(int signal) {
  if (signal == SIGBUS) seen_bus = seen_bus + 1;
  if (signal == SIGSEGV) seen_segv = seen_segv + 1;
}

constexpr int kDefault = 0, kIgnored = 1, kHandled = 2, kBlocked = 3;

// What the caller does about both signals, for as long as this lives.
class Manner {
 public:
  explicit Manner(int manner) {
    sigemptyset(&both_);
    for (const int signal : {SIGBUS, SIGSEGV}) sigaddset(&both_, signal);
    Check(sigprocmask(manner == kBlocked ? SIG_BLOCK : SIG_UNBLOCK, &both_, &mask_), "sigprocmask");
    struct sigaction action {};
    action.sa_handler = manner == kIgnored ? SIG_IGN : manner == kHandled ? Notice : SIG_DFL;
    action.sa_flags = SA_RESTART | SA_NODEFER;
    sigaddset(&action.sa_mask, SIGUSR2);
    Check(sigaction(SIGBUS, &action, &bus_), "sigaction");
    Check(sigaction(SIGSEGV, &action, &segv_), "sigaction");
  }
  // What waits is taken away.
  ~Manner() {
    sigprocmask(SIG_BLOCK, &both_, nullptr);
    const timespec now = {0, 0};
    while (sigtimedwait(&both_, nullptr, &now) > 0) {
    }
    sigaction(SIGBUS, &bus_, nullptr);
    sigaction(SIGSEGV, &segv_, nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }
  Manner(const Manner&) = delete;
  Manner& operator=(const Manner&) = delete;

 private:
  struct sigaction bus_ {};
  struct sigaction segv_ {};
  sigset_t both_;
  sigset_t mask_;
};

// Handler, flags and mask of both signals.
std::string Actions() {
  std::string text;
  for (const int signal : {SIGBUS, SIGSEGV}) {
    struct sigaction action {};
    Check(sigaction(signal, nullptr, &action), "sigaction");
    text += std::to_string(reinterpret_cast<std::uintptr_t>(action.sa_handler)) + " " +
            std::to_string(action.sa_flags) + " " +
            std::to_string(sigismember(&action.sa_mask, SIGUSR2)) + "\n";
  }
  return text;
}

// Touches what is fine, what faults, and what is fine again.
HELPER(TouchesInAManner) {
  const Landscape landscape("");
  const Manner manner(static_cast<int>(args.Int("manner")));
  const std::string before = Actions();
  Report("ok", TouchHere(landscape.In(kWritable), 1));
  Report("segv", TouchHere(landscape.In(kForbidden), 0));
  Report("bus", TouchHere(landscape.InFile(1), 0));
  Report("again", TouchHere(landscape.In(kReadable), 0));
  Report("actions", Actions() == before ? 0 : 1);
  Report("handled", seen_bus + seen_segv);
  return 0;
}

// One touch, that is all right or not, while a signal comes from somewhere else.
HELPER(TouchesMeanwhile) {
  const Landscape landscape("");
  const Manner manner(static_cast<int>(args.Int("manner")));
  const bool fine = args.Int("fine") != 0;
  Report("touch", TouchHere(landscape.In(fine ? kReadable : kForbidden), 0));
  Report("bus", seen_bus);
  Report("segv", seen_segv);
  return 0;
}

// ---- In the grader ------------------------------------------------------------------------------

TEST_F(WhichFault, TellsFaultsApart) {
  Sandbox box;
  const std::string bytes = RandomBytes(kPage);
  std::int64_t number = 0;
  for (const Place& place : kPlaces) {
    Helper toucher = box.Start("TouchesPlaces", {{"bytes", Binary(bytes)}, {"only", number}});
    EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << place.name;
    EXPECT_THAT(toucher.Reported("touch" + std::to_string(number)), Is(place.want)) << place.name;
    ++number;
  }
}

TEST_F(WhichFault, SurvivesOneAfterTheOther) {
  Sandbox box;
  Helper toucher =
      box.Start("TouchesPlaces", {{"bytes", Binary(RandomBytes(kPage))}, {"rounds", 3}});
  EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << "nine touches, three times";
  std::int64_t number = 0;
  for (const Place& place : kPlaces) {
    EXPECT_THAT(toucher.Reported("touch" + std::to_string(number++)), Is(place.want))
        << place.name << ", the third time";
  }
}

TEST_F(WhichFault, StoresTheValueItHasRead) {
  Sandbox box;
  const std::string bytes = RandomBytes(kPage);
  Helper toucher = box.Start("TouchesPlaces", {{"bytes", Binary(bytes)}});
  EXPECT_THAT(OutcomeOf(toucher), Succeeds());
  EXPECT_THAT(toucher.ReportedBytes("writable"), SameBytesAs(bytes)) << "the page after a write";
  EXPECT_THAT(toucher.ReportedBytes("readable"), SameBytesAs(bytes)) << "the page after a read";
}

const char* MannerName(int manner) {
  constexpr const char* kNames[] = {"has both signals at their default", "ignores both signals",
                                    "has a handler of its own", "blocks both signals"};
  return kNames[manner];
}

TEST_F(WhichFault, WorksWhateverTheCallerDoes) {
  Sandbox box;
  for (const int manner : {kDefault, kIgnored, kHandled, kBlocked}) {
    const std::string what = std::string("the caller ") + MannerName(manner);
    Helper toucher = box.Start("TouchesInAManner", {{"manner", manner}});
    EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << what;
    EXPECT_THAT(toucher.Reported("ok"), Is(Touch::kOk)) << what;
    EXPECT_THAT(toucher.Reported("segv"), Is(Touch::kSegv)) << what;
    EXPECT_THAT(toucher.Reported("bus"), Is(Touch::kBus)) << what;
    EXPECT_THAT(toucher.Reported("again"), Is(Touch::kOk)) << what;
    EXPECT_EQ(toucher.Reported("handled"), 0) << what << ", and its handler has met the probe";
  }
}

const std::vector<Family> kSteps = {Family::kSignalAction, Family::kSignalMask, Family::kFork,
                                    Family::kWait};

// The calls that touch_byte makes itself, by family.
std::vector<std::pair<Family, int>> StepsOf(const Sandbox& box, const Helper& helper) {
  std::map<Family, int> counts;
  std::vector<std::pair<Family, int>> steps;
  for (const Event& event : box.events()) {
    const bool mine = event.kind == Event::Kind::kCall && event.pid == helper.pid();
    if (!mine || event.function.empty()) continue;
    if (std::ranges::count(kSteps, event.family) == 0) continue;
    steps.emplace_back(event.family, ++counts[event.family]);
  }
  return steps;
}

// Touches, and gets the signal right before that call.
Helper DisturbedBefore(Sandbox& box, const std::pair<Family, int>& step, int signal,
                       const nlohmann::json& args) {
  Helper toucher = box.Start("TouchesMeanwhile", args);
  const auto where = [pid = toucher.pid()](const Event& event) {
    return event.pid == pid && !event.function.empty();
  };
  const int rule = box.AddRule(
      {.family = step.first, .nth = step.second, .where = where, .hold = true, .before = true});
  if (box.WaitUntilHeld(rule)) toucher.Signal(signal);
  box.Release(rule);
  return toucher;
}

TEST_F(WhichFault, LeavesSignalsOfOthersAlone) {
  Sandbox box({.watch = kSteps});
  for (const int fine : {1, 0}) {
    const Touch want = fine == 1 ? Touch::kOk : Touch::kSegv;
    const int signal = fine == 1 ? SIGSEGV : SIGBUS;
    const nlohmann::json args = {{"manner", kHandled}, {"fine", fine}};
    Helper alone = box.Start("TouchesMeanwhile", args);
    ASSERT_THAT(OutcomeOf(alone), Succeeds());
    for (const auto& step : StepsOf(box, alone)) {
      Helper toucher = DisturbedBefore(box, step, signal, args);
      const std::string what = "kill() sent a " + SignalName(signal) + " before call " +
                               std::to_string(step.second) + " of " +
                               std::string(FamilyName(step.first)) + " in touch_byte()";
      EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << what;
      EXPECT_EQ(toucher.Reported(signal == SIGBUS ? "bus" : "segv"), 1)
          << what << ": so often the caller's handler has run";
      EXPECT_THAT(toucher.Reported("touch"), Is(want)) << what;
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST_F(WhichFault, TakesTheCallersActionForThem) {
  Sandbox box({.watch = kSteps});
  for (const int manner : {kDefault, kIgnored, kBlocked}) {
    const nlohmann::json args = {{"manner", manner}, {"fine", 1}};
    Helper alone = box.Start("TouchesMeanwhile", args);
    ASSERT_THAT(OutcomeOf(alone), Succeeds());
    for (const auto& step : StepsOf(box, alone)) {
      Helper toucher = DisturbedBefore(box, step, SIGSEGV, args);
      const std::string what = std::string("the caller ") + MannerName(manner) +
                               "; kill() sent a SIGSEGV before call " +
                               std::to_string(step.second) + " of " +
                               std::string(FamilyName(step.first)) + " in touch_byte()";
      if (manner == kDefault) {
        EXPECT_THAT(toucher.Wait(), KilledBy(SIGSEGV)) << what;
      } else {
        EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << what;
        EXPECT_THAT(toucher.Reported("touch"), Is(Touch::kOk)) << what;
      }
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST_F(WhichFault, LeavesNothingBehind) {
  Sandbox box;
  for (const int manner : {kDefault, kIgnored, kHandled, kBlocked}) {
    const std::string what = std::string("the caller ") + MannerName(manner);
    Helper toucher = box.Start("TouchesInAManner", {{"manner", manner}});
    EXPECT_THAT(OutcomeOf(toucher), Succeeds()) << what;
    EXPECT_EQ(toucher.Reported("actions"), 0)
        << what << "; the action of SIGBUS or SIGSEGV (handler, mask or flags) is another one now";
    for (const StudentCall& call : toucher.process().calls) {
      EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << what;
    }
  }
  for (const std::int64_t at : {std::int64_t{0}, std::int64_t{8192}, std::int64_t{3 * 4096}}) {
    Helper finder = box.Start(
        "FindsZones", {{"size", 100}, {"bytes", Binary("x")}, {"len", 3 * 4096}, {"at", at}});
    EXPECT_THAT(OutcomeOf(finder), Succeeds());
    EXPECT_THAT(LeftBehind(box, finder.call()), NothingLeftBehind()) << "file_zones()";
  }
}

}  // namespace

const char* TouchName(std::int64_t touch) {
  switch (touch) {
    case static_cast<int>(Touch::kOk):
      return "kOk";
    case static_cast<int>(Touch::kBus):
      return "kBus";
    case static_cast<int>(Touch::kSegv):
      return "kSegv";
    default:
      return "a call that failed, or did not set *out";
  }
}

}  // namespace ipclab
