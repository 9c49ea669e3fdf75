#include "common/grading/results_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>

#include "common/base/fd.h"
#include "common/grading/grader.h"
#include "common/grading/matchers.h"

namespace ipclab {
// Not in the namespace below: GoogleTest tells the type of what has a readable name.
struct Queue {
  int mode[6];
};

namespace {

// The message that an assertion would leave behind.
template <typename Value, typename Matcher>
std::string MessageOf(const Value& value, const Matcher& matcher) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&results);
    EXPECT_THAT(value, matcher);
  }
  return results.size() == 1 ? results.GetTestPartResult(0).message() : "";
}

StudentCall CallOf(std::int64_t value, int error) {
  StudentCall call;
  call.function = "send_to_child";
  call.returned = true;
  call.value = value;
  call.error = error;
  return call;
}

TEST(Finding, IsWhatAMatcherExpectedAndSaw) {
  const Ending ending{Ending::Kind::kKilled, SIGPIPE, "was killed by SIGPIPE (signal 13)"};
  const Finding finding = ReadFinding(MessageOf(ending, Exited(0)));
  EXPECT_EQ(finding.expected, "the calling process ends with code 0");
  EXPECT_EQ(finding.observed, "was killed by SIGPIPE (signal 13)");
}

TEST(Finding, NamesErrnoInWords) {
  const Finding finding = ReadFinding(MessageOf(CallOf(-1, EPIPE), FailedWith(EMFILE)));
  EXPECT_EQ(finding.expected, "it returns -1 with EMFILE");
  EXPECT_EQ(finding.observed, "send_to_child() returned -1 with EPIPE");
}

TEST(Finding, SaysOfACallThatNeverCame) {
  EXPECT_EQ(ReadFinding(MessageOf(StudentCall(), Returned(0))).observed,
            "the function was never called");
}

TEST(Finding, ListsWhatIsLeftBehind) {
  const std::vector<std::string> leftovers = {"descriptor 5, write end of pipe A, is still open"};
  const Finding finding = ReadFinding(MessageOf(leftovers, NothingLeftBehind()));
  EXPECT_EQ(finding.expected, "nothing is left behind");
  EXPECT_EQ(finding.observed, "left behind: descriptor 5, write end of pipe A, is still open");
}

TEST(Finding, ShowsTheFirstByteThatDiffers) {
  const std::string want = "abcd";
  const std::string got = "abXd";
  const Finding finding = ReadFinding(MessageOf(got, SameBytesAs(want)));
  EXPECT_EQ(finding.observed, "4 bytes arrived of 4; byte 2 is 0x58 instead of 0x63");
}

TEST(Finding, ShowsNoneOfManyBytes) {
  const std::string got(
      "a\"b\\ \x1"
      "2\xff, \n\0\xff",
      13);
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += got;
  EXPECT_EQ(ReadFinding(MessageOf(got, SameBytesAs(std::string()))).expected,
            "exactly the bytes that were sent");
  EXPECT_THAT(ReadFinding(MessageOf(many, SameBytesAs(std::string()))).observed,
              testing::StartsWith("1300000 bytes arrived of 0; behind the right ones"));
}

TEST(Finding, OfATruthIsTheSentenceBehindIt) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&results);
    const bool slept = false;
    EXPECT_TRUE(slept) << "The process never slept in waitpid().";
  }
  const Finding finding = ReadFinding(results.GetTestPartResult(0).message());
  EXPECT_EQ(finding.expected, "");
  EXPECT_EQ(finding.observed, "The process never slept in waitpid().");
}

MATCHER(IsPrivate, "the queue has the mode 0600") {
  *result_listener << "mode 0644";
  return arg.mode[0] == 0600;
}

TEST(Finding, HasNoBytesOfAnObjectThatIsExplained) {
  const Finding finding = ReadFinding(MessageOf(Queue{{0644}}, IsPrivate()));
  EXPECT_EQ(finding.expected, "the queue has the mode 0600");
  EXPECT_EQ(finding.observed, "mode 0644");
}

TEST(Finding, OfATruthThatSaysWhyIsThat) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&results);
    EXPECT_TRUE(testing::AssertionFailure() << "it sleeps elsewhere (in f)") << "it is open";
  }
  EXPECT_EQ(ReadFinding(results.GetTestPartResult(0).message()).observed,
            "it sleeps elsewhere (in f)\nit is open");
}

TEST(Finding, OfAnEqualityIsBothValuesWithoutTheirExpressions) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&results);
    const std::string name = "pipe";
    const int actions = 1;
    EXPECT_EQ(actions, 0U + 0) << "the action is another one now";
    EXPECT_EQ(actions, 384U);
    EXPECT_EQ(name, "fifo") << "its name";
  }
  Finding finding = ReadFinding(results.GetTestPartResult(0).message());
  EXPECT_EQ(finding.expected, "0");
  EXPECT_EQ(finding.observed, "1\nthe action is another one now");
  finding = ReadFinding(results.GetTestPartResult(1).message());
  EXPECT_EQ(finding.expected, "384");
  EXPECT_EQ(finding.observed, "1");
  finding = ReadFinding(results.GetTestPartResult(2).message());
  EXPECT_EQ(finding.expected, "\"fifo\"");
  EXPECT_EQ(finding.observed, "\"pipe\"\nits name");
}

TEST(Finding, OfAComparisonIsTheLimitAndTheValue) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&results);
    const int calls = 0;
    const int* const none = nullptr;
    EXPECT_GE(calls, 1) << "calls of mmap()";
    EXPECT_NE(none, nullptr) << "Nothing is mapped there.";
  }
  Finding finding = ReadFinding(results.GetTestPartResult(0).message());
  EXPECT_EQ(finding.expected, ">= 1");
  EXPECT_EQ(finding.observed, "0\ncalls of mmap()");
  finding = ReadFinding(results.GetTestPartResult(1).message());
  EXPECT_EQ(finding.expected, "");
  EXPECT_EQ(finding.observed, "Nothing is mapped there.");
}

TEST(DescribeDifference, CountsWhatIsMissingAndShowsWhatIsTooMuch) {
  EXPECT_EQ(DescribeDifference("abc", "ab"),
            "2 bytes arrived of 3; what arrived is right as far as it goes");
  EXPECT_EQ(DescribeDifference("abc", ""), "0 bytes arrived of 3");
  EXPECT_EQ(DescribeDifference("abc", std::string_view("abc\0", 4)),
            "4 bytes arrived of 3; behind the right ones come 1 byte too many: \"\\x00\"");
}

TEST(WriteLine, SaysWhenNobodyReads) {
  PipeEnds pipe = MakePipe();
  pipe.read.Reset();
  signal(SIGPIPE, SIG_IGN);
  EXPECT_THROW(WriteLine(pipe.write.get(), {{"type", "end"}}), GraderError);
  signal(SIGPIPE, SIG_DFL);
}

}  // namespace
}  // namespace ipclab
