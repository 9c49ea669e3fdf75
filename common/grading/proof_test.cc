#include "common/grading/proof.h"

#include <gmock/gmock.h>

#include "common/base/error.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CheckResult ResultOf(const std::string& id, CheckStatus status, const std::string& verdict) {
  CheckResult result;
  result.id = id;
  result.status = status;
  result.verdict = verdict;
  result.expected = "this";
  result.observed = "that";
  return result;
}

Run RunOf(std::vector<CheckResult> checks) {
  Run run;
  run.lab.checks = std::move(checks);
  return run;
}

const CheckResult kOnePassed = ResultOf("A.One", CheckStatus::kPassed, "passed");
const CheckResult kOneFailed = ResultOf("A.One", CheckStatus::kFailed, "deadlock");
const CheckResult kTwoFailed = ResultOf("A.Two", CheckStatus::kFailed, "failed");

Expectation Caught(std::vector<std::string> by) {
  return {Expectation::Kind::kCaught, std::move(by)};
}

TEST(ReadMistake, NeedsOneCheckThatIsMeantForIt) {
  const Expectation mistake =
      ReadMistake("What: it forgets\nCaught-by: A.One\nAlso: A.Two, B.One\n--- a/pipe.cc\n");
  EXPECT_THAT(mistake.failing, ElementsAre("A.One", "A.Two", "B.One"));
  EXPECT_THROW(ReadMistake("What: it forgets\n--- a/pipe.cc\n"), GraderError);
  EXPECT_THROW(ReadMistake("Caught-by: A.One\n--- a/pipe.cc\n"), GraderError);
}

TEST(ChecksFor, AreThoseOfTheExercisesThatAMistakeNames) {
  Rubric rubric;
  for (const char* id : {"A", "B", "C"}) {
    RubricExercise exercise;
    for (const char* name : {".One", ".Two"}) {
      exercise.checks.emplace_back().id = std::string(id) + name;
    }
    rubric.exercises.push_back(exercise);
  }
  EXPECT_THAT(ChecksFor(Caught({"A.Two", "C.One"}), rubric),
              ElementsAre("A.One", "A.Two", "C.One", "C.Two"));
  EXPECT_THROW(ChecksFor(Caught({"D.One"}), rubric), GraderError);
}

TEST(IsCaught, OnlyByTheCheckThatIsMeantForIt) {
  EXPECT_TRUE(IsCaught(Caught({"A.One", "A.Two"}), RunOf({kOneFailed})));
  EXPECT_FALSE(IsCaught(Caught({"A.One", "A.Two"}), RunOf({kOnePassed, kTwoFailed})));
  EXPECT_FALSE(
      IsCaught(Caught({"A.One"}), RunOf({ResultOf("A.One", CheckStatus::kFailed, "timeout")})));
  EXPECT_FALSE(IsCaught({}, RunOf({kOneFailed})));
}

TEST(Contradictions, AreNoneWhenExactlyTheNamedChecksFail) {
  EXPECT_THAT(Contradictions(Caught({"A.One"}), RunOf({kOneFailed})), IsEmpty());
}

TEST(Contradictions, NameACheckThatLetTheMistakePass) {
  EXPECT_THAT(Contradictions(Caught({"A.One"}), RunOf({kOnePassed})),
              ElementsAre("not caught by A.One"));
}

TEST(Contradictions, NameACheckThatFailsUnannounced) {
  EXPECT_THAT(Contradictions(Caught({"A.One"}), RunOf({kOneFailed, kTwoFailed})),
              ElementsAre(HasSubstr("failed too, which the patch does not say: A.Two")));
}

TEST(Contradictions, NameAVerdictThatOnlyTheClockReached) {
  const CheckResult late = ResultOf("A.One", CheckStatus::kFailed, "timeout");
  EXPECT_THAT(Contradictions(Caught({"A.One"}), RunOf({late})),
              ElementsAre(HasSubstr("only the clock: A.One")));
}

TEST(Contradictions, NameWhatIsNotPerfectAboutASolution) {
  CheckResult untidy = kOnePassed;
  untidy.notes = {"left behind: descriptor 4"};
  EXPECT_THAT(Contradictions({}, RunOf({untidy, kTwoFailed})),
              ElementsAre("A.One: left behind: descriptor 4", HasSubstr("not passed: A.Two")));
}

TEST(Illegible, AreMessagesWithRawMemory) {
  CheckResult raw = ResultOf("A.One", CheckStatus::kFailed, "failed");
  raw.observed = "184-byte object <2A-00 00-00>";
  EXPECT_THAT(Illegible(RunOf({raw, kTwoFailed})),
              ElementsAre(HasSubstr("prints raw memory: A.One")));
}

TEST(Contradictions, CallARunWithoutChecksAFault) {
  EXPECT_THAT(Contradictions({}, RunOf({})), ElementsAre("no check ran"));
}

TEST(Contradictions, CallACheckThatWasNotGradedAFaultWhateverIsExpected) {
  const CheckResult ours = ResultOf("A.One", CheckStatus::kNotGraded, "grader error");
  EXPECT_THAT(Contradictions(Caught({"A.One"}), RunOf({ours})),
              ElementsAre(HasSubstr("not graded: A.One")));
}

}  // namespace
}  // namespace ipclab
