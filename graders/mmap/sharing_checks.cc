// Exercise mmap.4: shared, private, and plain file sharing.

#include <limits.h>

#include "graders/mmap/fork_relay.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::file_relay;
using mmap::fork_see;
using mmap::patch_file;
using mmap::predict_mmap;

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
