// Exercise fifo.1: make and check.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>

#include "common/base/text.h"
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

HELPER(PutsOneOfEach) {
  const std::string name = args.Bytes("name");
  const auto mode = static_cast<mode_t>(args.Int("mode"));
  const Umask none(0);
  Check(mkfifo((name + ".fifo").c_str(), mode), "mkfifo");
  const Fd file(Check(open((name + ".file").c_str(), O_WRONLY | O_CREAT | O_EXCL, mode), "open"));
  WriteHere(file.get(), "not yours\n");
  Check(mkdir((name + ".directory").c_str(), mode), "mkdir");
  Check(symlink((name + ".fifo").c_str(), (name + ".link").c_str()), "symlink");
  Check(symlink((name + ".aim").c_str(), (name + ".dangling").c_str()), "symlink");
  return 0;
}

HELPER(PutsFifo) {
  Check(mkfifo(args.Bytes("path").c_str(), 0600), "mkfifo");
  return 0;
}

HELPER(StandsBy) {
  Gate();
  return 0;
}

// One call for each line of `paths`.
std::vector<std::string> Paths(const Args& args) {
  std::istringstream lines(args.Bytes("paths"));
  std::vector<std::string> paths;
  for (std::string line; std::getline(lines, line);) paths.push_back(line);
  return paths;
}

HELPER(MakesFifo) {
  const auto given = static_cast<mode_t>(args.Int("umask", 022));
  const Umask mask(given);
  for (const std::string& path : Paths(args)) {
    STUDENT(fifo_make)(path.c_str(), static_cast<mode_t>(args.Int("mode", 0600)));
  }
  Report("umask_kept", umask(given) == given ? 1 : 0);
  return 0;
}

HELPER(AsksForFifo) {
  for (const std::string& path : Paths(args)) STUDENT(fifo_is)(path.c_str());
  return 0;
}

HELPER(RemovesFifo) {
  for (const std::string& path : Paths(args)) STUDENT(fifo_remove)(path.c_str());
  return 0;
}

// Everything that the exercise offers, on a FIFO that is there and on one that is not.
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

// One process calls a function for each of the paths.
std::vector<StudentCall> CallsFor(Sandbox& box, const std::string& helper,
                                  const std::vector<std::string>& paths) {
  Helper caller = box.Start(helper, {{"paths", Join(paths, "\n")}});
  EXPECT_THAT(caller.Wait(), Exited(0));
  std::vector<StudentCall> calls = caller.process().calls;
  calls.resize(paths.size());
  return calls;
}

StudentCall CallFor(Sandbox& box, const std::string& helper, const std::string& path) {
  return CallsFor(box, helper, {path}).front();
}

// NAME.KIND for each kind of kNoFifos.
std::vector<std::string> NoFifos(const std::string& name) {
  std::vector<std::string> paths;
  for (const auto& [kind, look] : kNoFifos) paths.push_back(name + "." + kind);
  return paths;
}

TEST_F(FifoMake, MakesAFifo) {
  Sandbox box;
  const std::string path = RandomWord(8);

  EXPECT_THAT(CallFor(box, "MakesFifo", path), Returned(0));

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
        box.Start("MakesFifo", {{"paths", path}, {"umask", row.umask}, {"mode", row.mode}});

    EXPECT_THAT(maker.Wait(), Exited(0));
    EXPECT_THAT(maker.call(), Returned(0)) << with;
    EXPECT_THAT(WhatIsAt(box, path), IsText(row.want)) << with;
    EXPECT_TRUE(maker.Reported("umask_kept") == 1) << "the umask of the caller is another one now";
  }
  for (const Event& event : box.Calls(Family::kMode)) {
    const bool of_caller = box.observer().process(event.pid).helper;
    EXPECT_FALSE(of_caller && event.number == SYS_umask)
        << "fifo_make() calls umask(): until it is set back, every file that another thread of "
           "the caller makes gets other permissions";
  }
}

TEST_F(FifoMake, KeepsAFifoThatIsThere) {
  Sandbox box;
  const std::string path = PutOneOfEach(box, 0640) + ".fifo";
  const ino_t before = EntryAt(box, path).inode;

  Helper maker = box.Start("MakesFifo", {{"paths", path}, {"mode", 0606}});

  EXPECT_THAT(maker.Wait(), Exited(0));
  EXPECT_THAT(maker.call(), Returned(1)) << "a FIFO was there already";
  EXPECT_TRUE(EntryAt(box, path).inode == before) << "the FIFO was replaced by another one";
  EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0640"));
}

TEST_F(FifoMake, RefusesWhatIsInTheWay) {
  Sandbox box;
  const std::string name = PutOneOfEach(box, 0700);

  const std::vector<StudentCall> calls = CallsFor(box, "MakesFifo", NoFifos(name));

  for (std::size_t i = 0; i < kNoFifos.size(); ++i) {
    const auto& [kind, look] = kNoFifos[i];
    EXPECT_THAT(calls[i], FailedWith(EEXIST)) << look << " (" << kind << ") is there";
    EXPECT_THAT(WhatIsAt(box, name + "." + kind), IsText(look));
  }
  EXPECT_THAT(WhatIsAt(box, name + ".aim"), IsText("nothing")) << "where a dangling link points to";
}

TEST_F(FifoMake, MakesItOnceWhenTwoCallAtOnce) {
  Sandbox box({.watch = {Family::kOpen}});
  const std::string path = RandomWord(8);
  const auto makes = [](const Event& event) {
    return !event.function.empty() && (event.number == SYS_mknodat || event.number == SYS_mknod);
  };
  const int making = box.AddRule({.family = Family::kOpen, .where = makes, .hold = true});

  Helper slow = box.Start("MakesFifo", {{"paths", path}, {"mode", 0606}});
  ASSERT_TRUE(box.WaitUntilHeld(making)) << "it never came to make the FIFO: " << box.failure();
  Helper fast = box.Start("MakesFifo", {{"paths", path}, {"mode", 0640}});
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
  const std::string name = PutOneOfEach(box);
  std::vector<std::string> paths = NoFifos(name);
  paths.insert(paths.end(), {"/dev/null", name + ".fifo", name + ".not"});

  const std::vector<StudentCall> calls = CallsFor(box, "AsksForFifo", paths);

  std::size_t i = 0;
  for (const auto& [kind, look] : kNoFifos) {
    EXPECT_THAT(calls[i++], Returned(0)) << "of " << look << " (" << kind << ")";
  }
  EXPECT_THAT(calls[i++], Returned(0)) << "of a device";
  EXPECT_THAT(calls[i++], Returned(1)) << "of a FIFO";
  EXPECT_THAT(calls[i++], FailedWith(ENOENT)) << "of nothing";
}

TEST_F(FifoMake, RemovesAFifoAndNothingElse) {
  Sandbox box;
  const std::string name = PutOneOfEach(box);
  std::vector<std::string> paths = NoFifos(name);
  paths.insert(paths.end(), {name + ".fifo", name + ".fifo"});

  const std::vector<StudentCall> calls = CallsFor(box, "RemovesFifo", paths);

  std::size_t i = 0;
  for (const auto& [kind, look] : kNoFifos) {
    EXPECT_THAT(calls[i++], FailedWith(EINVAL)) << "of " << look << " (" << kind << ")";
    EXPECT_THAT(WhatIsAt(box, name + "." + kind), IsText(look));
  }
  EXPECT_THAT(calls[i++], Returned(0)) << "of a FIFO";
  EXPECT_THAT(calls[i++], FailedWith(ENOENT)) << "of a FIFO that has been removed";
  EXPECT_THAT(WhatIsAt(box, name + ".fifo"), IsText("nothing"));
}

TEST_F(FifoMake, ReportsWhatFailed) {
  Sandbox box({.watch = {Family::kMode}});
  const std::string name = PutOneOfEach(box, 0);
  const std::string locked = name + ".directory/x";
  const auto makes = CallsFor(box, "MakesFifo", {name + ".not/x", name + ".file/x", locked});
  EXPECT_THAT(makes[0], FailedWith(ENOENT)) << "in a directory that is not there";
  EXPECT_THAT(makes[1], FailedWith(ENOTDIR)) << "in a directory that is a file";
  if (ModesCount()) {
    EXPECT_THAT(makes[2], FailedWith(EACCES)) << "in a directory with mode 0000";
    EXPECT_THAT(CallFor(box, "AsksForFifo", locked), FailedWith(EACCES))
        << "in a directory with mode 0000";
  }

  const auto sets = [](const Event& event) {
    return !event.function.empty() && event.number != SYS_umask;
  };
  const int rule = box.AddRule({.family = Family::kMode, .where = sets, .answer = -EPERM});
  const StudentCall call = CallFor(box, "MakesFifo", name + ".new");
  if (box.observer().Matches(rule) > 0) {
    EXPECT_THAT(call, FailedWith(EPERM)) << "chmod() failed";
    EXPECT_THAT(WhatIsAt(box, name + ".new"), IsText("nothing")) << "after a call that failed";
  }
}

TEST_F(FifoMake, OpensNothingAndLeavesNothing) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const Bystander bystander(box);
  Helper writer = box.Start("WaitsToWrite", {{"path", path}});
  ASSERT_TRUE(writer.WaitUntilBlockedIn({Family::kOpen})) << box.failure();

  Helper caller = box.Start("DoesItAll", {{"there", path}});

  EXPECT_TRUE(Leaves(box, caller));
  EXPECT_TRUE(ComesToRest(box));
  EXPECT_TRUE(writer.Reported("opened") != 1)
      << "A process waited for somebody to open the FIFO for reading. One of the functions did "
         "so: it took part in the talk instead of looking at the name.";
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << "after " << call.function << "()";
  }
  EXPECT_THAT(NamesLeft(box), testing::ElementsAre("FIFO /tmp/" + path));
}

}  // namespace
}  // namespace ipclab
