// Exercise mmap.6: which fault?

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::file_zones;
using mmap::Touch;
using mmap::touch_byte;

EXERCISE(WhichFault);

constexpr std::size_t kPage = 4096;
constexpr int kUntold = 77;  // No value of a Touch.

// ---- In the box ---------------------------------------------------------------------------------

class Room {
 public:
  Room(std::size_t size, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1)
      : size_(size), at_(::mmap(nullptr, size, prot, flags, fd, 0)) {
    if (at_ == MAP_FAILED) throw SystemError(errno, "mmap");
  }
  ~Room() { munmap(at_, size_); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  char* bytes() const { return static_cast<char*>(at_); }
  void Allow(std::size_t page, int prot) const {
    Check(mprotect(bytes() + page * kPage, kPage, prot), "mprotect");
  }

 private:
  const std::size_t size_;
  void* const at_;
};

Fd MakeSized(const char* path, std::int64_t size, std::string_view bytes = "") {
  Fd file(Check(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  WriteHere(file.get(), bytes);
  Check(ftruncate(file.get(), size), "ftruncate");
  return file;
}

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
  const Room pages_;
  const Fd file_;
  const Room mapped_;
};

struct Place {
  const char* name;
  int write;
  Touch want;
  const volatile void* (*where)(const Landscape& landscape);
};

const Place kPlaces[] = {{"reading where one may read", 0, Touch::kOk,
                          [](const Landscape& l) -> const volatile void* {return l.In(kReadable);
}  // namespace
}  // namespace ipclab
, {"writing where one may only read", 1, Touch::kSegv,
   [](const Landscape& l) -> const volatile void* {return l.In(kReadable);
}
}
, {"writing where one may", 1, Touch::kOk,
   [](const Landscape& l) -> const volatile void* {return l.In(kWritable);
}
}
, {"reading a page with PROT_NONE", 0, Touch::kSegv,
   [](const Landscape& l) -> const volatile void* {return l.In(kForbidden);
}
}
, {"reading a page that was unmapped", 0, Touch::kSegv,
   [](const Landscape& l) -> const volatile void* {return l.In(kUnmapped);
}
}
, {"reading at the address null", 0, Touch::kSegv,
   [](const Landscape&) -> const volatile void* {return nullptr;
}
}
, {"writing behind the last byte of a file, in its last page", 1, Touch::kOk,
   [](const Landscape& l) -> const volatile void* {return l.InFile(0);
}
}
, {"reading a page that the file has no longer", 0, Touch::kBus,
   [](const Landscape& l) -> const volatile void* {return l.InFile(1);
}
}
, {"writing to a page that the file has no longer", 1, Touch::kBus,
   [](const Landscape& l) -> const volatile void* {return l.InFile(1);
}
}
,
}
;

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

HELPER(FindsZones) {
  MakeSized("zones", args.Int("size"), args.Bytes("bytes"));
  Touch out = static_cast<Touch>(kUntold);
  const int result =
      STUDENT(file_zones)("zones", static_cast<std::size_t>(args.Int("len")), args.Int("at"), &out);
  Report("touch", result == 0 ? static_cast<int>(out) : kUntold);
  return 0;
}

// Pages of somebody else fill every hole, so that what is mapped next lies right before them.
HELPER(FindsZonesAmongOthers) {
  MakeSized("zones", 100);
  std::vector<std::unique_ptr<Room>> others;
  int in_a_row = 0;
  for (const char* last = nullptr; in_a_row < 8 && others.size() < 2000;) {
    others.push_back(std::make_unique<Room>(kPage, PROT_READ | PROT_WRITE));
    in_a_row = others.back()->bytes() + kPage == last ? in_a_row + 1 : 0;
    last = others.back()->bytes();
  }
  Touch out = static_cast<Touch>(kUntold);
  const std::int64_t len = args.Int("len");
  const int result = STUDENT(file_zones)("zones", static_cast<std::size_t>(len),
                                         (len + 4095) / 4096 * 4096 + 17, &out);
  Report("touch", result == 0 ? static_cast<int>(out) : kUntold);
  return 0;
}

HELPER(FindsNoZones) {
  const std::string what = args.Bytes("what");
  if (what == "fifo") Check(mkfifo("zones", 0600), "mkfifo");
  if (what == "directory") Check(mkdir("zones", 0700), "mkdir");
  if (what == "file") MakeSized("zones", 100);
  Touch out = static_cast<Touch>(kUntold);
  STUDENT(file_zones)("zones", static_cast<std::size_t>(args.Int("len")), args.Int("at"), &out);
  Report("out", static_cast<int>(out));
  if (what == "fifo" || what == "file") unlink("zones");
  if (what == "directory") rmdir("zones");
  return 0;
}

// ---- In the grader ------------------------------------------------------------------------------

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

MATCHER_P(Is, want, std::string("it is ") + TouchName(static_cast<int>(want))) {
  *result_listener << "it is " << TouchName(arg);
  return arg == static_cast<int>(want);
}

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

TEST_F(WhichFault, NamesTheZonesOfAFile) {
  struct Case {
    std::int64_t size, len, at;
    Touch want;
  };
  const std::int64_t page = kPage;
  const Case cases[] = {
      {10000, 10000, 9999, Touch::kOk},
      {10000, 10000, 10000, Touch::kOk},
      {10000, 5 * page, 12287, Touch::kOk},
      {10000, 5 * page, 12288, Touch::kBus},
      {page, 2 * page, page, Touch::kBus},
      {100, 100, page - 1, Touch::kOk},
      {0, page, 0, Touch::kBus},
      {0, 1, page - 1, Touch::kBus},
  };
  Sandbox box;
  for (const Case& c : cases) {
    const std::string bytes = RandomBytes(static_cast<std::size_t>(c.size));
    Helper finder = box.Start(
        "FindsZones", {{"size", c.size}, {"bytes", Binary(bytes)}, {"len", c.len}, {"at", c.at}});
    const std::string what = "byte " + std::to_string(c.at) + " of a mapping of " +
                             std::to_string(c.len) + " bytes, where the file has " +
                             std::to_string(c.size);
    EXPECT_THAT(OutcomeOf(finder), Succeeds()) << what;
    EXPECT_THAT(finder.Reported("touch"), Is(c.want)) << what;
    EXPECT_THAT(box.FileContents("zones").value_or(""), SameBytesAs(bytes))
        << "the file, after " << what;
  }
}

TEST_F(WhichFault, FindsNobodyBehindTheMapping) {
  Sandbox box;
  for (const std::int64_t len : {1, 4096, 3 * 4096 + 5}) {
    Helper finder = box.Start("FindsZonesAmongOthers", {{"len", len}});
    const std::string what = "the page behind a mapping of " + std::to_string(len) +
                             " bytes, where the kernel likes to put it right before another one";
    EXPECT_THAT(OutcomeOf(finder), Succeeds()) << what;
    EXPECT_THAT(finder.Reported("touch"), Is(Touch::kSegv)) << what;
  }
}

TEST_F(WhichFault, RefusesWhatHasNoZones) {
  struct Case {
    const char* what;
    const char* there;
    std::int64_t len, at;
    std::vector<int> errors;
  };
  const Case cases[] = {
      {"no length", "file", 0, 0, {EINVAL}},
      {"a byte before the mapping", "file", 4096, -1, {EINVAL}},
      {"a byte two pages behind the mapping", "file", 4096, 8192, {EINVAL}},
      {"a byte two pages behind a short mapping", "file", 1, 8192, {EINVAL}},
      {"no file", "", 4096, 0, {ENOENT}},
      {"a FIFO", "fifo", 4096, 0, {EINVAL}},
      {"a directory", "directory", 4096, 0, {EINVAL, EISDIR}},
      {"more than there is of addresses", "file", std::int64_t{1} << 60, 0, {ENOMEM, EINVAL}},
  };
  Sandbox box;
  for (const Case& c : cases) {
    Helper finder = box.Start("FindsNoZones", {{"what", c.there}, {"len", c.len}, {"at", c.at}});
    EXPECT_THAT(OutcomeOf(finder), ComesToItsEnd()) << c.what;
    const StudentCall call = finder.call();
    const bool known = std::ranges::count(c.errors, call.error) != 0;
    EXPECT_THAT(call, FailedWith(known ? call.error : c.errors[0])) << c.what;
    EXPECT_EQ(finder.Reported("out"), kUntold) << c.what << ": *out has changed";
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << c.what;
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
}  // namespace ipclab
