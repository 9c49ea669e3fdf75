#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/names.h"
#include "common/base/spawn.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

TEST(Names, SayEagainRatherThanEleven) {
  EXPECT_EQ(ErrnoName(EAGAIN), "EAGAIN");
  EXPECT_EQ(DescribeErrno(EMFILE), "EMFILE (Too many open files)");
  EXPECT_EQ(ErrnoName(9999), "errno 9999");
}

TEST(Names, KnowOrdinaryAndRealTimeSignals) {
  EXPECT_EQ(SignalName(SIGPIPE), "SIGPIPE");
  EXPECT_EQ(SignalName(SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(SignalName(SIGRTMIN + 3), "SIGRTMIN+3");
}

TEST(Names, KnowSystemCalls) {
  EXPECT_EQ(SyscallName(SYS_pipe2), "pipe2");
  EXPECT_EQ(SyscallName(99999), "system call 99999");
}

TEST(Text, EscapesWhatCouldMoveTheCursorOrForgeALine) {
  EXPECT_EQ(Printable("a\x1b[2J\nb", 80), "a\\x1b[2J\\nb");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J",
                      80),
            "\\xc2\\x9b2J");
  EXPECT_EQ(Printable("\xe2\x80\xae", 80), "\\xe2\\x80\\xae");
}

TEST(Text, ShowsWhatNobodyWouldSee) {
  EXPECT_EQ(Printable("pass\xc2\xad", 80), "pass\\xc2\\xad");
  EXPECT_EQ(Printable("a\xe2\x80\x8b", 80), "a\\xe2\\x80\\x8b");
  EXPECT_EQ(Printable("\xe2\x81\xa6", 80), "\\xe2\\x81\\xa6");
  EXPECT_EQ(Printable("\xef\xbb\xbf", 80), "\\xef\\xbb\\xbf");
  EXPECT_EQ(Printable("\xf3\xa0\x81\x81", 80), "\\xf3\\xa0\\x81\\x81");
}

TEST(Text, KeepsWhatPeopleWrite) { EXPECT_EQ(Printable("管道 ü ✓ 𝛼 한글", 80), "管道 ü ✓ 𝛼 한글"); }

TEST(Text, SaysHowMuchItLeftOut) { EXPECT_EQ(Printable("abcdef", 4), "abcd... (2 bytes more)"); }

TEST(Text, PrefixesEveryLine) {
  EXPECT_EQ(Quoted("one\n[  PASSED  ]\nthree", "  | ", 2),
            "  | one\n  | [  PASSED  ]\n  | ... (5 bytes more)\n");
}

TEST(FdTest, ClosesItsDescriptorOnScopeExit) {
  int number = -1;
  {
    PipeEnds pipe = MakePipe();
    number = pipe.write.get();
    EXPECT_NE(fcntl(number, F_GETFD), -1);
  }
  EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

TEST(CheckTest, NamesTheCallAndTheError) {
  try {
    Check(open("/does/not/exist", O_RDONLY), "open /does/not/exist");
    FAIL() << "the open succeeded";
  } catch (const GraderError& error) {
    EXPECT_STREQ(error.what(), "open /does/not/exist: ENOENT (No such file or directory)");
  }
}

// What a shell command writes to its standard output, given that and nothing else.
std::string OutputOf(const std::string& command) {
  PipeEnds pipe = MakePipe();
  SpawnPlan plan;
  plan.argv = {"/bin/sh", "-c", command};
  plan.environment = {"GREETING=hello"};
  plan.fds = {{pipe.write.get(), STDOUT_FILENO}};
  plan.directory = "/usr";
  const pid_t pid = Spawn(plan);
  pipe.write.Reset();
  std::string text(1000, '\0');
  std::size_t size = 0;
  ssize_t part = 0;
  while ((part = read(pipe.read.get(), text.data() + size, text.size() - size)) > 0) {
    size += static_cast<std::size_t>(part);
  }
  Check(waitpid(pid, nullptr, 0), "waitpid");
  text.resize(size);
  return text;
}

TEST(SpawnTest, GivesTheEnvironmentTheFolderAndTheDescriptorsOfThePlan) {
  EXPECT_EQ(OutputOf("echo $GREETING; pwd"), "hello\n/usr\n");
}

TEST(SpawnTest, LeavesNoOtherDescriptorOpen) {
  const Fd inherited(Check(open("/dev/null", O_RDONLY), "open"));  // Not close-on-exec.
  EXPECT_EQ(OutputOf("for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do"
                     "  [ -e /proc/$$/fd/$fd ] && printf '%s ' $fd; done"),
            "0 1 2 ");
}

TEST(SpawnTest, StartsWithoutBlockedOrIgnoredSignals) {
  signal(SIGPIPE, SIG_IGN);
  const std::string text = OutputOf("kill -PIPE $$; echo alive");
  signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(text, "");
}

TEST(SpawnTest, NamesTheProgramThatCannotBeStarted) {
  try {
    Spawn({.argv = {"/does/not/exist"}});
    FAIL() << "it was started";
  } catch (const GraderError& error) {
    EXPECT_STREQ(error.what(), "cannot start /does/not/exist: ENOENT (No such file or directory)");
  }
}

}  // namespace
}  // namespace ipclab
