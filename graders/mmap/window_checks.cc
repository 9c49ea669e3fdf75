// Exercise mmap.5: a window at any offset.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <limits>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::window_close;
using mmap::window_open;

EXERCISE(Window);

constexpr char kFile[] = "file";
constexpr std::int64_t kPage = 4096;

// ---- In the box ---------------------------------------------------------------------------------

// A file with these bytes at this offset, and a hole before them.
Fd MakeWindowFile(const Args& args) {
  const std::string bytes = args.Bytes("bytes");
  const Fd made(Check(open(kFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  const auto put = pwrite(made.get(), bytes.data(), bytes.size(), args.Int("from", 0));
  Check(static_cast<int>(put), "pwrite");
  return Fd(Check(open(kFile, static_cast<int>(args.Int("mode", O_RDWR)) | O_CLOEXEC), "open"));
}

void ReportWindow(const mmap::Window& window) {
  Report("user", static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(window.user)));
  Report("base", static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(window.base)));
  Report("base_len", static_cast<std::int64_t>(window.base_len));
}

int OpenWindow(const Args& args, int fd, mmap::Window* window) {
  return STUDENT(window_open)(fd, args.Int("off"), static_cast<std::size_t>(args.Int("len")),
                              static_cast<int>(args.Int("prot", PROT_READ)), window);
}

// Takes away what is still mapped, without a student's function.
void Tidy(const mmap::Window& window) {
  if (window.base != nullptr) munmap(window.base, window.base_len);
}

// Looks through the window when the descriptor is closed, and stores what it is told to store.
HELPER(LooksThroughWindow) {
  const Displacement nobody;  // Who takes away more than the window hits nobody else.
  mmap::Window window = {};
  const std::string text = args.Bytes("text");
  {
    const Fd file = MakeWindowFile(args);
    if (OpenWindow(args, file.get(), &window) == -1) return 1;
  }
  ReportWindow(window);
  auto* const bytes = static_cast<char*>(window.user);
  Report("seen", std::string(bytes, static_cast<std::size_t>(args.Int("len"))));
  text.copy(bytes, text.size());
  Gate();
  return STUDENT(window_close)(&window) == 0 ? 0 : 1;
}

// Opens three windows, which the kernel likes to put side by side, moves `user` of each, and closes
// the middle one; then that one again, when there is a fourth in its place.
HELPER(ClosesOneOfThree) {
  const Fd file = MakeWindowFile(args);
  const auto shift = static_cast<std::ptrdiff_t>(args.Int("shift"));
  mmap::Window windows[4] = {};
  for (int i = 0; i < 3; ++i) {
    if (OpenWindow(args, file.get(), &windows[i]) == -1) return 1;
    windows[i].user = shift == 0 ? nullptr : static_cast<char*>(windows[i].user) + shift;
  }
  if (STUDENT(window_close)(&windows[1]) == -1) return 1;
  ReportWindow(windows[1]);
  if (OpenWindow(args, file.get(), &windows[3]) == -1) return 1;
  if (STUDENT(window_close)(&windows[1]) == -1) return 1;
  for (const mmap::Window& window : windows) Tidy(window);
  return 0;
}

constexpr std::uintptr_t kPoison = 0x5a5a5000;

// With `fd` what is not the file, if given.
HELPER(OpensInVain) {
  const Fd file = MakeWindowFile(args);
  const std::string what = args.Bytes("what");
  mmap::Window window = {reinterpret_cast<void*>(kPoison + 1), reinterpret_cast<void*>(kPoison),
                         kPoison + 2};
  PipeEnds line;
  if (what == "pipe") line = MakePipe();
  const Fd directory(what == "directory" ? Check(open(".", O_RDONLY | O_CLOEXEC), "open") : -1);
  const int fd = what == "pipe"        ? line.read.get()
                 : what == "directory" ? directory.get()
                 : what == "closed"    ? kClosedFd
                                       : file.get();
  OpenWindow(args, fd, &window);
  ReportWindow(window);
  return 0;
}

HELPER(OpensAndCloses) {
  const Fd file = MakeWindowFile(args);
  Report("fd", file.get());
  mmap::Window window = {};
  if (OpenWindow(args, file.get(), &window) == -1) return 1;
  return STUDENT(window_close)(&window) == 0 ? 0 : 1;
}

// ---- In the grader ------------------------------------------------------------------------------

bool IsOfFile(const Mapping& mapping) { return mapping.object.ends_with(std::string("/") + kFile); }

// How many bytes of the file are mapped.
std::int64_t MappedBytes(const Census& census) {
  std::int64_t bytes = 0;
  for (const Mapping& mapping : census.mappings) {
    if (IsOfFile(mapping)) bytes += static_cast<std::int64_t>(mapping.end - mapping.start);
  }
  return bytes;
}

MATCHER_P(AreMapped, bytes, std::to_string(bytes) + " bytes of the file are mapped") {
  return arg == bytes;
}

// The offset in the file that `user` lies at, by what the kernel has mapped there.
std::int64_t OffsetOfUser(const Helper& helper) {
  const auto user = static_cast<std::uint64_t>(helper.Reported("user"));
  const StudentCall call = helper.call("window_open");
  const Mapping* const mapping = call.after.MappingAt(user);
  if (mapping == nullptr || !IsOfFile(*mapping)) return -1;
  return static_cast<std::int64_t>(mapping->OffsetOf(user));
}

MATCHER_P(IsOffset, want, "`user` points at byte " + std::to_string(want) + " of the file") {
  if (arg == -1) {
    *result_listener << "at that address the file is not mapped";
  } else {
    *result_listener << "it points at byte " << arg;
  }
  return arg == want;
}

std::string Words(std::int64_t off, std::int64_t len) {
  return std::to_string(len) + " bytes from offset " + std::to_string(off);
}

TEST_F(Window, ShowsTheBytesAtAnyOffset) {
  Sandbox box;
  const std::string bytes = RandomBytes(5 * kPage + 100);
  for (const std::int64_t off : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1000}, kPage - 1,
                                 kPage, RandomInt(kPage + 1, 3 * kPage)}) {
    // From the middle of a page so many bytes reach into one page more than from its beginning.
    const std::int64_t len = off == kPage - 1 ? 2 : 2 * kPage - RandomInt(0, off % kPage / 2);
    Helper looker = box.Start("LooksThroughWindow",
                              {{"bytes", Binary(bytes)}, {"off", off}, {"len", len}, {"text", ""}});
    EXPECT_THAT(OutcomeOf(looker), Succeeds()) << Words(off, len);
    EXPECT_THAT(OffsetOfUser(looker), IsOffset(off)) << Words(off, len);
    EXPECT_THAT(
        looker.ReportedBytes("seen"),
        SameBytesAs(bytes.substr(static_cast<std::size_t>(off), static_cast<std::size_t>(len))))
        << Words(off, len);
  }
}

TEST_F(Window, ReachesBeyondFourGib) {
  Sandbox box;
  const std::string bytes = RandomBytes(3000);
  for (const std::int64_t from : {(std::int64_t{2} << 30) + 777, (std::int64_t{5} << 30) + 100}) {
    Helper looker = box.Start("LooksThroughWindow", {{"bytes", Binary(bytes)},
                                                     {"from", from},
                                                     {"off", from + 100},
                                                     {"len", 2000},
                                                     {"text", ""}});
    EXPECT_THAT(OutcomeOf(looker), Succeeds()) << Words(from + 100, 2000);
    EXPECT_THAT(looker.ReportedBytes("seen"), SameBytesAs(bytes.substr(100, 2000)))
        << Words(from + 100, 2000);
  }
}

TEST_F(Window, MapsNoPageTooMany) {
  struct Case {
    std::int64_t off, len, pages;
  };
  Sandbox box;
  for (const Case& c :
       {Case{0, kPage, 1}, Case{kPage - 1, 1, 1}, Case{kPage - 1, 2, 2}, Case{kPage + 1, 10, 1}}) {
    Helper opener =
        box.Start("OpensAndCloses",
                  {{"bytes", Binary(std::string(5 * kPage, 'x'))}, {"off", c.off}, {"len", c.len}});
    EXPECT_THAT(OutcomeOf(opener), Succeeds()) << Words(c.off, c.len);
    EXPECT_THAT(MappedBytes(opener.call("window_open").after), AreMapped(c.pages * kPage))
        << Words(c.off, c.len);
  }
}

TEST_F(Window, StoresGoToTheFile) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string bytes = RandomBytes(2 * kPage), text = RandomWord(50);
  const int gate = HoldAtGate(box);
  Helper writer = box.Start("LooksThroughWindow", {{"bytes", Binary(bytes)},
                                                   {"off", 1000},
                                                   {"len", 100},
                                                   {"prot", PROT_READ | PROT_WRITE},
                                                   {"text", Binary(text)}});
  EXPECT_TRUE(SomebodyComesTo(box, gate));
  std::string want = bytes;
  want.replace(1000, text.size(), text);
  EXPECT_THAT(box.FileContents(kFile).value_or(""), SameBytesAs(want))
      << "in the file, while the window is open";
  box.Release(gate);
  EXPECT_THAT(OutcomeOf(writer), Succeeds());
}

MATCHER_P(HasRights, rights, "a mapping with the rights " + std::string(rights)) {
  if (arg == nullptr) {
    *result_listener << "the file is not mapped there";
    return false;
  }
  *result_listener << "it has " << arg->permissions;
  return arg->permissions.substr(0, 3) == rights;
}

TEST_F(Window, AsksForNoOtherRights) {
  struct Case {
    int mode, prot;
    const char* rights;
  };
  Sandbox box;
  for (const Case& c :
       {Case{O_RDONLY, PROT_READ, "r--"}, Case{O_RDWR, PROT_READ, "r--"},
        Case{O_RDWR, PROT_READ | PROT_WRITE, "rw-"}, Case{O_RDONLY, PROT_NONE, "---"}}) {
    Helper opener = box.Start("OpensAndCloses", {{"bytes", Binary(std::string(kPage, 'x'))},
                                                 {"mode", c.mode},
                                                 {"prot", c.prot},
                                                 {"off", 0},
                                                 {"len", 100}});
    const std::string what = std::string("the rights ") + c.rights + " for a descriptor that is " +
                             (c.mode == O_RDONLY ? "O_RDONLY" : "O_RDWR");
    EXPECT_THAT(OutcomeOf(opener), Succeeds()) << what;
    const Census after = opener.call("window_open").after;
    const auto mapping = std::ranges::find_if(after.mappings, IsOfFile);
    EXPECT_THAT(mapping == after.mappings.end() ? nullptr : &*mapping, HasRights(c.rights)) << what;
  }
}

TEST_F(Window, ClosesWhereverUserPoints) {
  Sandbox box;
  for (const std::int64_t shift : {std::int64_t{1}, kPage, std::int64_t{-1000}, std::int64_t{0}}) {
    const std::string what =
        shift == 0 ? "`user` is null" : "`user` was moved by " + std::to_string(shift);
    Helper closer = box.Start("ClosesOneOfThree", {{"bytes", Binary(std::string(5 * kPage, 'x'))},
                                                   {"off", kPage + 1000},
                                                   {"len", kPage},
                                                   {"shift", shift}});
    EXPECT_THAT(OutcomeOf(closer), Succeeds()) << what;
    const auto& calls = closer.process().calls;
    if (calls.size() < 6) continue;
    EXPECT_THAT(MappedBytes(calls[3].after), AreMapped(4 * kPage))
        << what << "; one of three was closed";
    EXPECT_EQ(closer.Reported("user") | closer.Reported("base") | closer.Reported("base_len"), 0)
        << what << "; not all of the closed window is null and 0";
    EXPECT_THAT(MappedBytes(calls[5].after), AreMapped(6 * kPage))
        << what << "; it was closed again, when another window was open in its place";
    EXPECT_THAT(closer.Leftovers(), NothingLeftBehind()) << what;
  }
}

TEST_F(Window, LeavesThePlaceToTheKernel) {
  Sandbox box({.watch = {Family::kMap}});
  Helper opener = box.Start(
      "OpensAndCloses", {{"bytes", Binary(std::string(kPage, 'x'))}, {"off", 1000}, {"len", 100}});
  EXPECT_THAT(OutcomeOf(opener), Succeeds());
  int maps = 0;
  for (const Event& event : box.Calls(Family::kMap)) {
    if (event.number != SYS_mmap) continue;
    ++maps;
    EXPECT_EQ(event.args[0], 0U) << "an address hint: " << Describe(event, box.names());
    EXPECT_EQ(event.args[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE), 0U)
        << "a fixed place: " << Describe(event, box.names());
  }
  EXPECT_GE(maps, 1) << "calls of mmap() in window_open()";
}

TEST_F(Window, RefusesWhatIsNotInTheFile) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  struct Case {
    const char* what;
    std::int64_t off, len;
    const char* fd = "file";
    int prot = PROT_READ;
    std::vector<int> errors = {EINVAL};
  };
  const Case cases[] = {
      {"no bytes", 10, 0},
      {"a negative offset", -1, 10},
      {"a negative offset, at a page", -kPage, 10},
      {"a byte too many", 1000, 5001},
      {"from the end on", 6000, 1},
      {"far behind the end", 10 * kPage, 10},
      {"more than an off_t can hold", kMost - 10, 100, "file", PROT_READ, {EINVAL, EOVERFLOW}},
      {"more than there is of anything", 100, -1, "file", PROT_READ, {EINVAL, EOVERFLOW}},
      {"a pipe", 0, 10, "pipe", PROT_READ, {EINVAL, ENODEV}},
      {"a directory", 0, 10, "directory", PROT_READ, {EINVAL, ENODEV}},
      {"a descriptor that is not open", 0, 10, "closed", PROT_READ, {EBADF}},
      {"a right that the descriptor does not have", 0, 10, "file", PROT_WRITE, {EACCES}},
  };
  Sandbox box;
  for (const Case& c : cases) {
    Helper opener = box.Start("OpensInVain", {{"bytes", Binary(std::string(6000, 'x'))},
                                              {"mode", O_RDONLY},
                                              {"what", c.fd},
                                              {"off", c.off},
                                              {"len", c.len},
                                              {"prot", c.prot}});
    EXPECT_THAT(OutcomeOf(opener), ComesToItsEnd()) << c.what;
    const StudentCall call = opener.call();
    const bool known = std::ranges::count(c.errors, call.error) != 0;
    EXPECT_THAT(call, FailedWith(known ? call.error : c.errors[0])) << c.what;
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << c.what;
    EXPECT_EQ(opener.Reported("base"), static_cast<std::int64_t>(kPoison))
        << c.what << ": *w has changed";
  }
}

TEST_F(Window, LeavesNothingBehind) {
  const nlohmann::json args = {
      {"bytes", Binary(std::string(3 * kPage, 'x'))}, {"off", 1000}, {"len", kPage}, {"what", ""}};
  {
    Sandbox box;
    Helper opener = box.Start("OpensAndCloses", args);
    EXPECT_THAT(OutcomeOf(opener), Succeeds());
    const StudentCall open = opener.call("window_open");
    EXPECT_EQ(open.before.descriptors.size(), open.after.descriptors.size())
        << "open descriptors, before window_open() and after it";
    EXPECT_THAT(opener.Leftovers(), NothingLeftBehind());
  }
  Sandbox box({.watch = {Family::kMap}});
  box.Fail(Family::kMap, ENOMEM);
  Helper unlucky = box.Start("OpensInVain", args);
  EXPECT_THAT(OutcomeOf(unlucky), ComesToItsEnd()) << "mmap() fails";
  EXPECT_THAT(unlucky.call(), FailedWith(ENOMEM)) << "mmap() fails";
  EXPECT_THAT(LeftBehind(box, unlucky.call()), NothingLeftBehind()) << "mmap() fails";
  EXPECT_EQ(unlucky.Reported("base"), static_cast<std::int64_t>(kPoison))
      << "mmap() fails, and *w has changed";
}

}  // namespace
}  // namespace ipclab
