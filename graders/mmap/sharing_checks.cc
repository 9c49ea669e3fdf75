// Exercise mmap.4: shared, private, and plain file sharing.

#include <limits.h>

#include <cstring>

#include "graders/mmap/files.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::file_relay;
using mmap::fork_see;
using mmap::patch_file;
using mmap::predict_mmap;

EXERCISE(Sharing);

// ---- patch_file --------------------------------------------------------------------------------

// Somebody else has the file mapped before.
HELPER(Patches) {
  const std::string bytes = args.Bytes("bytes");
  const std::string patch = args.Bytes("patch");
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  MakeFile("file", bytes, static_cast<mode_t>(args.Int("mode", 0600)));
  const Pages other = MapHere("file", bytes.size());
  std::string view(cap + 8, '?');
  STUDENT(patch_file)
  ("file", args.Int("at"), patch.data(), patch.size(), static_cast<int>(args.Int("private")),
   cap == 0 ? nullptr : view.data(), cap);
  Report("view", view);
  Report("other", other.Text(bytes.size()));
  return 0;
}

std::string Patched(std::string bytes, std::size_t at, const std::string& patch) {
  return bytes.replace(at, patch.size(), patch);
}

struct PatchCase {
  std::string bytes = RandomBytes(static_cast<std::size_t>(RandomInt(9000, 12000)));
  std::string patch = RandomBytes(static_cast<std::size_t>(RandomInt(1000, 5000)));
  std::size_t at = static_cast<std::size_t>(RandomInt(1, 4000));
  std::size_t cap = static_cast<std::size_t>(RandomInt(6000, 8000));
  std::string patched = Patched(bytes, at, patch);

  nlohmann::json Args(int keep_private, int mode = 0600) const {
    return {{"bytes", Binary(bytes)},
            {"patch", Binary(patch)},
            {"at", at},
            {"cap", cap},
            {"private", keep_private},
            {"mode", mode}};
  }
  std::string View() const {
    const std::size_t size = std::min(cap, bytes.size());
    return patched.substr(0, size) + std::string(cap + 8 - size, '?');
  }
};

TEST_F(Sharing, PatchReachesTheFileAndOtherMappings) {
  for (const std::size_t cap : {7000u, 20000u, 0u}) {
    Sandbox box;
    PatchCase c;
    c.cap = cap;

    Helper caller = box.Start("Patches", c.Args(0));

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call(), Returned(0));
    EXPECT_THAT(Contents(box, "file"), SameBytesAs(c.patched)) << "in the file";
    EXPECT_THAT(caller.ReportedBytes("other"), SameBytesAs(c.patched)) << "in another mapping";
    EXPECT_THAT(caller.ReportedBytes("view"), SameBytesAs(c.View()))
        << "in view, which has " << cap << " bytes";
  }
}

TEST_F(Sharing, PrivatePatchIsSeenByNobodyElse) {
  Sandbox box;
  const PatchCase c;

  Helper caller = box.Start("Patches", c.Args(5, 0444));

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(0)) << "the file may be read, but not written";
  EXPECT_THAT(Contents(box, "file"), SameBytesAs(c.bytes)) << "the file was to stay as it was";
  EXPECT_THAT(caller.ReportedBytes("other"), SameBytesAs(c.bytes)) << "in another mapping";
  EXPECT_THAT(caller.ReportedBytes("view"), SameBytesAs(c.View())) << "in view";
}

TEST_F(Sharing, PatchTravelsByMapping) {
  for (const int keep_private : {0, 1}) {
    const std::vector<Family> transfers = {Family::kRead, Family::kWrite, Family::kSplice};
    Sandbox box({.watch = {Family::kMap, Family::kRead, Family::kWrite, Family::kSplice}});

    Helper caller = box.Start("Patches", PatchCase().Args(keep_private));

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call(), Returned(0));
    EXPECT_THAT(MmapCallsOf(box, "file"), testing::Not(testing::IsEmpty()))
        << "No mmap() of the file was seen.";
    EXPECT_THAT(TransfersOf(box, "file", transfers), ByMappingOnly());
  }
}

// Lines "AT N".
HELPER(PatchesOutside) {
  MakeFile("file", args.Bytes("bytes"));
  const auto size = static_cast<off_t>(args.Bytes("bytes").size());
  const std::string patch(5000, 'p');
  char view[10];
  for (const int keep_private : {0, 1}) {
    const auto try_to = [&](off_t at, std::size_t n) {
      STUDENT(patch_file)("file", at, patch.data(), n, keep_private, view, sizeof(view));
    };
    try_to(size, 1);
    try_to(size - 1, 2);
    try_to(static_cast<off_t>(PageSize()) - 1, 1);
    try_to(-1, 1);
    try_to(0, 0);
    try_to(LONG_MAX, 1);
    try_to(1, SIZE_MAX);
  }
  return 0;
}

TEST_F(Sharing, PatchNeverGrowsTheFile) {
  Sandbox box;
  const std::string bytes = RandomBytes(static_cast<std::size_t>(RandomInt(100, 4000)));
  const char* const places[] = {"one byte behind the end",
                                "from the last byte, two bytes",
                                "one byte behind the end, in the last page",
                                "a negative offset",
                                "no bytes",
                                "the largest offset there is",
                                "SIZE_MAX bytes"};

  Helper caller = box.Start("PatchesOutside", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < 14; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << places[i % 7];
  }
  EXPECT_THAT(Contents(box, "file"), SameBytesAs(bytes));
}

// ---- fork_see ----------------------------------------------------------------------------------

HELPER(SeesThroughAFork) {
  const std::string before = args.Bytes("before");
  const std::string after = args.Bytes("after");
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string saw(cap + 1, '?');
  {
    const AtBirth gate(&Gate);
    STUDENT(fork_see)
    (static_cast<int>(args.Int("flags")), before.c_str(), after.c_str(), saw.data(), cap);
  }
  Report("saw", saw.substr(0, saw.find('\0')));
  Report("whole", saw[cap] == '?');
  return 0;
}

struct ForkCase {
  std::string before = RandomWord(static_cast<std::size_t>(RandomInt(5, 50)));
  std::string after = RandomWord(static_cast<std::size_t>(RandomInt(5, 50)));

  nlohmann::json Args(int flags, std::size_t cap = 100) const {
    return {{"before", Binary(before)}, {"after", Binary(after)}, {"flags", flags}, {"cap", cap}};
  }
};

void ExpectSeen(const Helper& caller, const ForkCase& c, int flags) {
  const bool shared = flags == MAP_SHARED;
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(caller.ReportedBytes("saw"), IsText(shared ? c.after : c.before))
      << "The child overwrote \"" << c.before << "\" with \"" << c.after << "\" in a page that was "
      << (shared ? "shared." : "private.");
}

TEST_F(Sharing, ForkSharesOnlySharedPages) {
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    Sandbox box({.watch = {Family::kMap}});
    const ForkCase c;

    Helper caller =
        box.Start("SeesThroughAFork", c.Args(flags, std::max(c.before.size(), c.after.size()) + 1));

    EXPECT_THAT(caller.Wait(), Exited(0));
    ExpectSeen(caller, c, flags);
    EXPECT_TRUE(std::ranges::any_of(
        MmapCalls(box),
        [&](const Event& event) { return static_cast<int>(event.args[3] & MAP_TYPE) == flags; }))
        << "No mmap() with " << (flags == MAP_SHARED ? "MAP_SHARED" : "MAP_PRIVATE")
        << " was seen.";
    EXPECT_TRUE(box.Children().size() == 1) << "There was no child to write into the page.";
  }
}

TEST_F(Sharing, ForkedChildIsWaitedFor) {
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
    const ForkCase c;
    const int birth = HoldBirth(box, 1);

    Helper caller = box.Start("SeesThroughAFork", c.Args(flags));
    EXPECT_TRUE(WaitsForTheHeld(box, caller, birth));
    box.Release(birth);

    EXPECT_THAT(caller.Wait(), Exited(0));
    ExpectSeen(caller, c, flags);
  }
}

// ---- file_relay --------------------------------------------------------------------------------

constexpr off_t kUntouchedOffset = 777;

HELPER(Relays) {
  const std::string path = args.Bytes("path");
  const std::string msg = args.Bytes("msg");
  const std::string old = args.Bytes("old");
  if (!old.empty()) MakeFile(path, old);
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string back(cap + 1, '?');
  off_t offset = kUntouchedOffset;
  {
    const AtBirth gate(&Gate);
    STUDENT(file_relay)(path.c_str(), msg.data(), msg.size(), &offset, back.data(), cap);
  }
  Report("back", back);
  Report("offset", offset);
  return 0;
}

Helper StartRelay(Sandbox& box, const std::string& path, const std::string& msg, std::size_t cap,
                  const std::string& old = "") {
  return box.Start(
      "Relays", {{"path", Binary(path)}, {"msg", Binary(msg)}, {"old", Binary(old)}, {"cap", cap}});
}

void ExpectRelayed(const Sandbox& box, const Helper& caller, const std::string& path,
                   const std::string& msg, std::size_t cap) {
  const std::string back = msg.substr(0, cap);
  EXPECT_THAT(caller.call(), Returned(back.size()));
  EXPECT_THAT(caller.ReportedBytes("back"),
              SameBytesAs(back + std::string(cap + 1 - back.size(), '?')));
  EXPECT_TRUE(caller.Reported("offset") == static_cast<std::int64_t>(msg.size()))
      << "The child has written " << msg.size() << " bytes; *offset is "
      << caller.Reported("offset") << ".";
  EXPECT_THAT(Contents(box, path), SameBytesAs(msg)) << "the file stays";
}

TEST_F(Sharing, RelayGoesThroughOneOpenFile) {
  Sandbox box({.watch = {Family::kOpen, Family::kWrite, Family::kRead, Family::kMap}});
  const std::string path = RandomWord(8);
  const std::string msg = RandomBytes(static_cast<std::size_t>(RandomInt(3000, 6000)));

  Helper caller = StartRelay(box, path, msg, 10000);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectRelayed(box, caller, path, msg, 10000);
  std::int64_t by_child = 0;
  for (const Event& event : box.Calls(Family::kWrite)) {
    const bool childs = event.pid != caller.pid() && event.Succeeded();
    if (childs && EndsWithPath(event.target, path)) by_child += *event.result;
  }
  EXPECT_TRUE(by_child == static_cast<std::int64_t>(msg.size()))
      << "The child has written " << by_child << " of the " << msg.size() << " bytes.";
  for (const Event& event : box.Calls(Family::kOpen)) {
    EXPECT_TRUE(event.pid == caller.pid() || !EndsWithPath(event.detail, path))
        << "The child opens the file itself: an open file of its own has an offset of its own.";
  }
  EXPECT_THAT(MmapCallsOf(box, path), testing::IsEmpty()) << "This works without a mapping.";
  EXPECT_TRUE(EntryAt(box, path).permissions == 0600) << "A new file is to have the mode 0600.";
}

TEST_F(Sharing, RelayTakesAllSizes) {
  Sandbox box({.watch = {Family::kWrite, Family::kRead}});
  box.Shorten(Family::kWrite, 700);
  box.Shorten(Family::kRead, 300);
  const std::string msg = RandomBytes(3000);

  Helper part = StartRelay(box, "part", msg, 1000);
  EXPECT_THAT(part.Wait(), Exited(0));
  ExpectRelayed(box, part, "part", msg, 1000);

  Helper old = StartRelay(box, "old", msg, 5000, RandomBytes(9000));
  EXPECT_THAT(old.Wait(), Exited(0)) << "the file was there, and longer";
  ExpectRelayed(box, old, "old", msg, 5000);

  Helper empty = StartRelay(box, "empty", "", 10);
  EXPECT_THAT(empty.Wait(), Exited(0));
  ExpectRelayed(box, empty, "empty", "", 10);
}

TEST_F(Sharing, RelayedFileIsReadAfterTheChild) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::string msg = RandomBytes(500);
  const int birth = HoldBirth(box, 1);

  Helper caller = StartRelay(box, "relay", msg, 1000);
  EXPECT_TRUE(WaitsForTheHeld(box, caller, birth));
  box.Release(birth);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectRelayed(box, caller, "relay", msg, 1000);
}

// ---- predict_mmap ------------------------------------------------------------------------------

struct Question {
  int open_flags;
  int prot;
  int map_flags;
  std::size_t len;
  off_t off;
};

std::vector<Question> AllQuestions() {
  const auto page = static_cast<off_t>(PageSize());
  std::vector<Question> all;
  for (const int open_flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    for (const int prot : {PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE}) {
      for (const int map_flags : {MAP_SHARED, MAP_PRIVATE, 0}) {
        for (const off_t len : {off_t{0}, off_t{1}, page, page + 1, off_t{1} << 20}) {
          for (const off_t off : {off_t{0}, off_t{1}, page / 2, page, 5 * page, off_t{1} << 30}) {
            all.push_back({open_flags, prot, map_flags, static_cast<std::size_t>(len), off});
          }
        }
      }
    }
  }
  return all;
}

std::string Describe(const Question& q) {
  const char* const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR"};
  const char* const rights[] = {"PROT_NONE", "PROT_READ", "PROT_WRITE", "PROT_READ|PROT_WRITE"};
  const char* const kind = q.map_flags == MAP_SHARED    ? "MAP_SHARED"
                           : q.map_flags == MAP_PRIVATE ? "MAP_PRIVATE"
                                                        : "flags 0";
  return std::string(modes[q.open_flags]) + ", " + rights[q.prot & 3] + ", " + kind + ", len " +
         std::to_string(q.len) + ", off " + std::to_string(q.off);
}

HELPER(AsksOnce) {
  STUDENT(predict_mmap)(O_RDWR, PROT_WRITE, MAP_SHARED, PageSize(), 0);
  return 0;
}

// What mmap(2) does, and what the student's function says of it: a number for each question.
HELPER(AsksAndTries) {
  MakeFile("file", std::string(3 * PageSize() - 5, 'x'));
  const Fd files[] = {Fd(Check(open("file", O_RDONLY), "open")),
                      Fd(Check(open("file", O_WRONLY), "open")),
                      Fd(Check(open("file", O_RDWR), "open"))};
  STUDENT(predict_mmap)(O_RDONLY, PROT_READ, MAP_SHARED, PageSize(), 0);
  // Not by STUDENT: each of its calls is two stops.
  const auto predict = reinterpret_cast<decltype(&predict_mmap)>(SubmissionSymbol("predict_mmap"));
  std::string told, happened;
  for (const Question& q : AllQuestions()) {
    told += static_cast<char>(predict(q.open_flags, q.prot, q.map_flags, q.len, q.off));
    void* const mapped =
        ::mmap(nullptr, q.len, q.prot, q.map_flags, files[q.open_flags].get(), q.off);
    happened += static_cast<char>(mapped == MAP_FAILED ? errno : 0);
    if (mapped != MAP_FAILED) munmap(mapped, q.len);
  }
  Report("told", told);
  Report("happened", happened);
  return 0;
}

std::string Outcome(char error) {
  return error == 0 ? "success" : ErrnoName(static_cast<unsigned char>(error));
}

TEST_F(Sharing, PredictionAgreesWithTheKernel) {
  Sandbox watched({.watch = {Family::kMap, Family::kOpen, Family::kStat}});
  Helper one = watched.Start("AsksOnce");
  EXPECT_THAT(one.Wait(), Exited(0));
  EXPECT_FALSE(one.call().made_calls)
      << "predict_mmap() is to know the answer; it makes system calls to find it out.";

  Sandbox box;
  Helper caller = box.Start("AsksAndTries");
  EXPECT_THAT(caller.Wait(), Exited(0));
  const std::string told = caller.ReportedBytes("told");
  const std::string happened = caller.ReportedBytes("happened");
  const std::vector<Question> questions = AllQuestions();
  ASSERT_TRUE(told.size() == questions.size() && happened.size() == questions.size());
  std::string wrong;
  int shown = 0;
  int count = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (told[i] == happened[i]) continue;
    ++count;
    if (++shown > 3) continue;
    wrong +=
        "\n  " + Describe(questions[i]) + ": " + Outcome(happened[i]) + ", not " + Outcome(told[i]);
  }
  EXPECT_TRUE(count == 0) << count << " of " << questions.size()
                          << " predictions are wrong, for example:" << wrong;
}

// ---- Errors and clean-up -----------------------------------------------------------------------

HELPER(SharesWhatIsWrong) {
  const std::string page(PageSize(), 'x');
  std::string saw(2 * PageSize(), '?');
  char view[10];
  off_t offset = kUntouchedOffset;
  Check(mkdir("directory", 0700), "mkdir");
  Check(mkfifo("fifo", 0600), "mkfifo");
  for (const int flags : {0, MAP_ANONYMOUS, MAP_SHARED | MAP_POPULATE}) {
    STUDENT(fork_see)(flags, "before", "after", saw.data(), saw.size());
  }
  STUDENT(fork_see)(MAP_SHARED, "before", "after", saw.data(), 6);
  STUDENT(fork_see)(MAP_SHARED, "a", "after", saw.data(), 5);
  STUDENT(fork_see)(MAP_SHARED, page.c_str(), "after", saw.data(), saw.size());
  STUDENT(fork_see)(MAP_PRIVATE, "before", page.c_str(), saw.data(), saw.size());
  STUDENT(patch_file)("missing", 0, "x", 1, 0, view, sizeof(view));
  STUDENT(patch_file)("fifo", 0, "x", 1, 1, view, sizeof(view));
  STUDENT(file_relay)("nowhere/file", "x", 1, &offset, view, sizeof(view));
  STUDENT(file_relay)("fifo", "x", 1, &offset, view, sizeof(view));
  STUDENT(file_relay)("directory", "x", 1, &offset, view, sizeof(view));
  Report("offset", offset);
  return 0;
}

TEST_F(Sharing, ErrorsAreReported) {
  Sandbox box;
  Helper caller = box.Start("SharesWhatIsWrong");
  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << "map_flags is neither of the two";
  }
  const char* const texts[] = {"the first text does not fit into cap",
                               "the second text does not fit into cap",
                               "the first text fills a page, and its NUL does not fit",
                               "the second text fills a page, and its NUL does not fit"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(caller.call(3 + i), FailedWith(EMSGSIZE)) << texts[i];
  }
  EXPECT_THAT(caller.call(7), FailedWith(ENOENT)) << "there is no file";
  EXPECT_THAT(caller.call(8), FailedWith(EINVAL)) << "it is a FIFO";
  EXPECT_THAT(caller.call(9), FailedWith(ENOENT)) << "there is no such directory";
  EXPECT_THAT(caller.call(10), FailedWith(EINVAL)) << "it is a FIFO";
  const StudentCall directory = caller.call(11);
  EXPECT_TRUE(directory.value == -1 && (directory.error == EISDIR || directory.error == EINVAL))
      << DescribeCall(directory) << ": it is a directory.";
  EXPECT_TRUE(box.Children().empty()) << "A child was started although nothing could be done.";
  EXPECT_TRUE(caller.Reported("offset") == kUntouchedOffset)
      << "file_relay() failed and yet changed *offset.";

  Sandbox full({.watch = {Family::kWrite}});
  full.AddRule({.family = Family::kWrite, .nth = 2, .where = InChildren(full), .answer = -ENOSPC});
  full.Shorten(Family::kWrite, 100);
  Helper relay = StartRelay(full, "relay", RandomBytes(500), 1000);
  EXPECT_THAT(relay.Wait(), Exited(0));
  EXPECT_THAT(relay.call(), FailedWith(ECANCELED)) << "a write() of the child failed with ENOSPC";
  EXPECT_TRUE(relay.Reported("offset") == kUntouchedOffset)
      << "file_relay() failed and yet changed *offset.";
  EXPECT_FALSE(AnyChildStrayed(full)) << "A child came back into the caller's code.";
}

TEST_F(Sharing, KilledChildIsMissed) {
  for (const bool relay : {false, true}) {
    Sandbox box({.watch = {Family::kSignalSend}});
    const int birth = HoldBirth(box, 1);

    Helper caller = relay ? StartRelay(box, "relay", RandomBytes(500), 1000)
                          : box.Start("SeesThroughAFork", ForkCase().Args(MAP_SHARED));
    EXPECT_TRUE(SomebodyComesTo(box, birth));
    for (const pid_t child : box.observer().Held(birth)) {
      Check(kill(child, SIGKILL), "kill");
      EXPECT_TRUE(Ends(box, child));
    }

    EXPECT_THAT(caller.Wait(), Exited(0)) << "its child was killed";
    EXPECT_THAT(caller.call(), FailedWith(ECANCELED)) << "its child was killed";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  }
}

TEST_F(Sharing, NothingIsLeftBehind) {
  Sandbox box({.watch = {Family::kMap}});
  const PatchCase c;
  std::vector<Helper> callers = {box.Start("Patches", c.Args(0))};
  EXPECT_THAT(callers.back().Wait(), Exited(0));
  callers.push_back(box.Start("SeesThroughAFork", ForkCase().Args(MAP_SHARED)));
  callers.push_back(box.Start("SeesThroughAFork", ForkCase().Args(MAP_PRIVATE)));
  callers.push_back(StartRelay(box, "relay", RandomBytes(500), 1000));
  callers.push_back(box.Start("SharesWhatIsWrong"));
  for (Helper& caller : callers) {
    EXPECT_THAT(caller.Wait(), Exited(0));
    for (const StudentCall& call : caller.process().calls) {
      EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
    }
    EXPECT_THAT(MapsLeft(box, caller), NothingLeftBehind());
  }
  for (const bool fork : {false, true}) {
    Sandbox poor({.watch = {Family::kMap}});
    if (fork) poor.Fail(Family::kFork, EAGAIN);
    if (!fork) FailMmap(poor, ENOMEM, 1, /*files=*/false);
    Helper caller = poor.Start("SeesThroughAFork", ForkCase().Args(MAP_SHARED));
    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call(), FailedWith(fork ? EAGAIN : ENOMEM));
    EXPECT_THAT(LeftBehind(poor, caller.call()), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
