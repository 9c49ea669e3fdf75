// Exercise fifo.1: make and check.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "common/grading/around.h"
#include "graders/fifo/expectations.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::fifo_is;
using fifo::fifo_make;
using fifo::fifo_remove;

EXERCISE(FifoMake);

// ---- Helpers ------------------------------------------------------------------------------------

// The umask, for as long as this lives.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(umask(mask)) {}
  ~Umask() { umask(old_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  const mode_t old_;
};

constexpr std::string_view kContent = "not yours\n";

void PutHere(const std::string& kind, const std::string& path, mode_t mode) {
  const Umask none(0);
  if (kind == "fifo") {
    Check(mkfifo(path.c_str(), mode), "mkfifo");
  } else if (kind == "file") {
    const Fd file(Check(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, mode), "open"));
    WriteHere(file.get(), kContent);
  } else if (kind == "directory") {
    Check(mkdir(path.c_str(), mode), "mkdir");
  } else {
    const std::string aim = path + ".aim";
    if (kind == "link to fifo") PutHere("fifo", aim, mode);
    Check(symlink(aim.c_str(), path.c_str()), "symlink");
  }
}

std::string Described(const std::string& path) {
  struct stat about {};
  if (lstat(path.c_str(), &about) == -1) return errno == ENOENT ? "nothing" : "out of sight";
  switch (about.st_mode & S_IFMT) {
    case S_IFIFO: {
      char mode[16];
      std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(about.st_mode & 07777));
      return std::string("a FIFO with mode ") + mode;
    }
    case S_IFREG:
      return "a file of " + std::to_string(about.st_size) + " bytes";
    case S_IFDIR:
      return "a directory";
    case S_IFLNK:
      return "a link";
    default:
      return "something else";
  }
}

HELPER(Puts) {
  PutHere(args.Bytes("kind"), args.Bytes("path"), static_cast<mode_t>(args.Int("mode")));
  return 0;
}

HELPER(LooksAt) {
  Report("there", Described(args.Bytes("path")));
  return 0;
}

std::int64_t InodeOf(const std::string& path) {
  struct stat about {};
  return lstat(path.c_str(), &about) == 0 ? static_cast<std::int64_t>(about.st_ino) : 0;
}

HELPER(MakesFifo) {
  const std::string path = args.Bytes("path");
  const auto given = static_cast<mode_t>(args.Int("umask", 022));
  const Umask mask(given);
  const std::int64_t before = InodeOf(path);
  STUDENT(fifo_make)(path.c_str(), static_cast<mode_t>(args.Int("mode", 0600)));
  Report("same", InodeOf(path) == before ? 1 : 0);
  const mode_t after = umask(given);
  Report("umask_kept", after == given ? 1 : 0);
  return 0;
}

HELPER(AsksForFifo) {
  STUDENT(fifo_is)(args.Bytes("path").c_str());
  return 0;
}

HELPER(RemovesFifo) {
  STUDENT(fifo_remove)(args.Bytes("path").c_str());
  return 0;
}

// Everything that the exercise offers, on a FIFO that is there and on the way to one that is not.
HELPER(DoesItAll) {
  const std::string there = args.Bytes("there");
  const std::string other = there + ".other";
  STUDENT(fifo_make)(there.c_str(), 0600);
  STUDENT(fifo_is)(there.c_str());
  STUDENT(fifo_make)(other.c_str(), 0600);
  STUDENT(fifo_is)(other.c_str());
  STUDENT(fifo_remove)(other.c_str());
  STUDENT(fifo_remove)(other.c_str());
  STUDENT(fifo_is)(other.c_str());
  return 0;
}

HELPER(WaitsToWrite) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_WRONLY), "open"));
  Report("opened", 1);
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

// One call of one function, in a process of its own.
StudentCall CallOf(Sandbox& box, const std::string& helper, const std::string& path) {
  Helper caller = box.Start(helper, {{"path", path}});
  EXPECT_THAT(caller.Wait(), Exited(0));
  return caller.call();
}

TEST_F(FifoMake, MakesAFifo) {
  Sandbox box;
  const std::string path = RandomWord(8);

  EXPECT_THAT(CallOf(box, "MakesFifo", path), Returned(0));

  EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0600"));
}

TEST_F(FifoMake, SetsExactlyTheMode) {
  Sandbox box({.watch = {Family::kMode}});
  struct Row {
    int umask;
    int mode;
    const char* want;
  };
  const Row rows[] = {{077, 0666, "a FIFO with mode 0666"},
                      {0777, 0640, "a FIFO with mode 0640"},
                      {0, 0604, "a FIFO with mode 0604"},
                      {022, 0, "a FIFO with mode 0000"}};
  for (const Row& row : rows) {
    const std::string path = RandomWord(8);
    char with[32];
    std::snprintf(with, sizeof(with), "with the umask %04o", static_cast<unsigned>(row.umask));

    Helper maker =
        box.Start("MakesFifo", {{"path", path}, {"umask", row.umask}, {"mode", row.mode}});

    EXPECT_THAT(maker.Wait(), Exited(0));
    EXPECT_THAT(maker.call(), Returned(0)) << with;
    EXPECT_THAT(WhatIsAt(box, path), IsText(row.want)) << with;
    EXPECT_TRUE(maker.Reported("umask_kept") == 1) << "the umask of the caller is another one now";
  }
  for (const Event& event : box.Calls(Family::kMode)) {
    const bool of_caller = box.observer().process(event.pid).helper;
    EXPECT_FALSE(of_caller && event.number == SYS_umask)
        << "fifo_make() calls umask(): until it sets it back, every file that another thread of "
           "the caller makes gets other permissions";
  }
}

TEST_F(FifoMake, KeepsAFifoThatIsThere) {
  Sandbox box;
  const std::string path = Put(box, "fifo", 0640);

  Helper maker = box.Start("MakesFifo", {{"path", path}, {"mode", 0606}});

  EXPECT_THAT(maker.Wait(), Exited(0));
  EXPECT_THAT(maker.call(), Returned(1)) << "a FIFO was there already";
  EXPECT_TRUE(maker.Reported("same") == 1) << "the FIFO was replaced by another one";
  EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0640"));
}

TEST_F(FifoMake, RefusesWhatIsInTheWay) {
  Sandbox box;
  const std::pair<const char*, const char*> rows[] = {{"file", "a file of 10 bytes"},
                                                      {"directory", "a directory"},
                                                      {"link to fifo", "a link"},
                                                      {"dangling link", "a link"}};
  for (const auto& [kind, want] : rows) {
    const std::string path = Put(box, kind, 0700);

    EXPECT_THAT(CallOf(box, "MakesFifo", path), FailedWith(EEXIST)) << "a " << kind << " is there";

    EXPECT_THAT(WhatIsAt(box, path), IsText(want));
    if (std::string_view(kind) == "dangling link") {
      EXPECT_THAT(WhatIsAt(box, path + ".aim"), IsText("nothing")) << "where the link points to";
    }
  }
}

TEST_F(FifoMake, MakesItOnceWhenTwoCallAtOnce) {
  Sandbox box({.watch = {Family::kOpen}});
  const std::string path = RandomWord(8);
  const auto makes = [](const Event& event) {
    return !event.function.empty() && (event.number == SYS_mknodat || event.number == SYS_mknod);
  };
  const int making = box.AddRule({.family = Family::kOpen, .where = makes, .hold = true});

  Helper slow = box.Start("MakesFifo", {{"path", path}, {"mode", 0606}});
  ASSERT_TRUE(box.WaitUntilHeld(making)) << "it never came to make the FIFO: " << box.failure();
  Helper fast = box.Start("MakesFifo", {{"path", path}, {"mode", 0640}});
  EXPECT_THAT(fast.Wait(), Exited(0));
  box.Release(making);
  EXPECT_THAT(slow.Wait(), Exited(0));

  EXPECT_THAT(fast.call(), Returned(0)) << "another process was just about to make the FIFO";
  EXPECT_THAT(slow.call(), Returned(1))
      << "when it came to make the FIFO, another process had just made it";
  EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0640"));
}

TEST_F(FifoMake, TellsAFifoFromTheRest) {
  Sandbox box;
  EXPECT_THAT(CallOf(box, "AsksForFifo", PutFifo(box)), Returned(1)) << "of a FIFO";
  for (const char* kind : {"file", "directory", "link to fifo", "dangling link"}) {
    EXPECT_THAT(CallOf(box, "AsksForFifo", Put(box, kind)), Returned(0)) << "of a " << kind;
  }
  EXPECT_THAT(CallOf(box, "AsksForFifo", "/dev/null"), Returned(0)) << "of a device";
  EXPECT_THAT(CallOf(box, "AsksForFifo", RandomWord(8)), FailedWith(ENOENT)) << "of nothing";
}

TEST_F(FifoMake, RemovesAFifoAndNothingElse) {
  Sandbox box;
  const std::string path = PutFifo(box);

  EXPECT_THAT(CallOf(box, "RemovesFifo", path), Returned(0));
  EXPECT_THAT(WhatIsAt(box, path), IsText("nothing")) << "after the FIFO was removed";

  const std::pair<const char*, const char*> rows[] = {{"file", "a file of 10 bytes"},
                                                      {"directory", "a directory"},
                                                      {"link to fifo", "a link"},
                                                      {"dangling link", "a link"}};
  for (const auto& [kind, want] : rows) {
    const std::string other = Put(box, kind);
    EXPECT_THAT(CallOf(box, "RemovesFifo", other), FailedWith(EINVAL)) << "of a " << kind;
    EXPECT_THAT(WhatIsAt(box, other), IsText(want));
  }
  EXPECT_THAT(CallOf(box, "RemovesFifo", path), FailedWith(ENOENT)) << "of nothing";
}

TEST_F(FifoMake, ReportsWhatFailed) {
  Sandbox box({.watch = {Family::kMode}});
  EXPECT_THAT(CallOf(box, "MakesFifo", RandomWord(8) + "/x"), FailedWith(ENOENT))
      << "in a directory that is not there";
  EXPECT_THAT(CallOf(box, "MakesFifo", Put(box, "file") + "/x"), FailedWith(ENOTDIR))
      << "in a directory that is a file";
  const std::string locked = Put(box, "directory", 0);
  EXPECT_THAT(CallOf(box, "MakesFifo", locked + "/x"), FailedWith(EACCES))
      << "in a directory with mode 0000";
  EXPECT_THAT(CallOf(box, "AsksForFifo", locked + "/x"), FailedWith(EACCES))
      << "in a directory with mode 0000";

  const auto sets = [](const Event& event) {
    return !event.function.empty() && event.number != SYS_umask;
  };
  const int rule = box.AddRule({.family = Family::kMode, .where = sets, .answer = -EPERM});
  const std::string path = RandomWord(8);
  const StudentCall call = CallOf(box, "MakesFifo", path);
  if (box.observer().Matches(rule) > 0) {
    EXPECT_THAT(call, FailedWith(EPERM)) << "chmod() failed";
    EXPECT_THAT(WhatIsAt(box, path), IsText("nothing")) << "after a call that failed";
  }
}

TEST_F(FifoMake, OpensNothingAndLeavesNothing) {
  Sandbox box;
  const std::string path = PutFifo(box);
  Helper writer = box.Start("WaitsToWrite", {{"path", path}});
  ASSERT_TRUE(writer.WaitUntilBlockedIn({Family::kOpen})) << box.failure();

  Helper caller = box.Start("DoesItAll", {{"there", path}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_TRUE(ComesToRest(box));
  EXPECT_TRUE(writer.Reported("opened") != 1)
      << "A process waited for somebody to open the FIFO for reading. One of the functions did "
         "so: it took part in the talk instead of looking at the name.";
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << "after " << call.function << "()";
  }
  EXPECT_THAT(WhatIsAt(box, path + ".other"), IsText("nothing"));
}

}  // namespace
}  // namespace ipclab
