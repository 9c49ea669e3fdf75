// A submission that counts its lines counts them in every process, however that ends.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "common/compile/coverage.h"
#include "common/grading/matchers.h"
#include "common/grading/sandbox.h"
#include "common/grading/testdata/counted.h"
#include "common/sandbox/counters.h"
#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

using counted::ends;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kNoLine = -1;

HELPER(Ends) { return STUDENT(ends)(args.Bytes("how").c_str()) & 0xff; }
HELPER(CountsItsDescriptors) {
  int open = 0;
  for (int fd = 0; fd < 64; ++fd) open += fcntl(fd, F_GETFD) == -1 ? 0 : 1;
  return open;
}
PROGRAM(succeeds) { return 0; }

std::string FileText(const char* variable) {
  const char* const path = std::getenv(variable);
  std::ostringstream text;
  text << std::ifstream(path == nullptr ? "" : path).rdbuf();
  return text.str();
}

// How often each line of counted.cc ran since the beginning of the test.
class Counting : public testing::Test {
 protected:
  Counting() { Session::Get().counters = MakeCounters(); }
  ~Counting() override { Session::Get().counters.Reset(); }

  Ending Run(const std::string& how) {
    Sandbox box;
    return box.Start("Ends", {{"how", Binary(how)}}).Wait();
  }
  // Of the line that holds `words`.
  int HitsOf(const std::string& words) {
    if (cobertura_.empty()) cobertura_ = Report();
    std::istringstream lines(source_);
    int number = 1;
    for (std::string line; std::getline(lines, line); ++number) {
      if (line.ends_with("// " + words)) return HitsOf(number);
    }
    return kNoLine;
  }

 private:
  std::string Report() {
    Sandbox box;
    Helper writer = box.Start("WritesCounts");
    EXPECT_THAT(writer.Wait(), Exited(0));
    const CountedFile file{"counted.cc", source_, Session::Get().submission.get(), writer.output()};
    return ReportCoverage({file}, {}).cobertura;
  }
  int HitsOf(int number) const {
    const std::string start = "<line number=\"" + std::to_string(number) + "\" hits=\"";
    const std::size_t at = cobertura_.find(start);
    return at == std::string::npos ? kNoLine : std::atoi(&cobertura_[at + start.size()]);
  }

  const std::string source_ = FileText("IPCLAB_TEST_SOURCE");
  std::string cobertura_;
};

TEST_F(Counting, SeesAChildThatEndsByUnderscoreExit) {
  EXPECT_THAT(Run("exit"), Exited(0));  // Its status is 3 << 8.
  EXPECT_EQ(HitsOf("in a child that ends by _exit"), 1);
  EXPECT_EQ(HitsOf("in the parent"), 1);
}

TEST_F(Counting, SeesAChildUpToTheProgramThatItBecomes) {
  EXPECT_THAT(Run("exec"), Exited(0));
  EXPECT_EQ(HitsOf("in a child that becomes another program"), 1);
  EXPECT_EQ(HitsOf("behind an exec that succeeded"), 0);
}

TEST_F(Counting, SeesAChildUpToTheCallInWhichItIsKilled) {
  EXPECT_THAT(Run("be killed"), Exited(SIGKILL));
  EXPECT_EQ(HitsOf("in a child that is killed"), 1);
  EXPECT_EQ(HitsOf("behind the call in which it was killed"), 0);
}

TEST_F(Counting, SeesADeadlockUpToTheCallThatWaits) {
  EXPECT_EQ(Run("wait for itself").kind, Ending::Kind::kDeadlock);
  EXPECT_EQ(HitsOf("in a process that waits for ever"), 1);
  EXPECT_EQ(HitsOf("behind a wait for ever"), 0);
}

TEST_F(Counting, AddsUpWhatAllBoxesRan) {
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Run("exit"), Exited(0));
  EXPECT_EQ(HitsOf("in the parent"), 3);
}

TEST_F(Counting, SeesStaticInitialisersWhichRunBeforeTheMemoryIsShared) {
  EXPECT_THAT(Run("exit"), Exited(0));
  EXPECT_EQ(HitsOf("in a static initialiser"), 2);  // In this helper, and in the one that writes.
}

TEST_F(Counting, LeavesAHelperNoMoreDescriptorsThanItHasAnyway) {
  Sandbox box;
  EXPECT_THAT(box.Start("CountsItsDescriptors").Wait(), Exited(3));
}

TEST_F(Counting, LeavesNothingBehindThatACheckWouldFind) {
  Sandbox box;
  Helper helper = box.Start("Ends", {{"how", Binary("exit")}});
  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.Leftovers(), Each(testing::HasSubstr("pipe")));
}

TEST(WithoutCounters, SubmissionCountsForItselfAndNobodyFindsOut) {
  Sandbox box;
  EXPECT_THAT(box.Start("Ends", {{"how", Binary("exit")}}).Wait(), Exited(0));
  EXPECT_FALSE(Session::Get().counters);
}

TEST(CountersOfNoUse, MakeTheCheckNotGraded) {
  Session::Get().counters = Fd(Check(memfd_create("too small", MFD_CLOEXEC), "memfd_create"));
  Check(ftruncate(Session::Get().counters.get(), 8), "ftruncate");
  Sandbox box;
  EXPECT_THROW(box.Start("Ends", {{"how", Binary("exit")}}), GraderError);
  Session::Get().counters.Reset();
}

}  // namespace
}  // namespace ipclab
