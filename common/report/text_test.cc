#include "common/report/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "common/report/examples.h"
#include "common/report/json.h"
#include "common/report/summary.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(TextReport, TellsTheFirstFailureInFullAndTheOthersInALine) {
  EXPECT_EQ(ToText(MixedRun(), {}),
            R"(demo  labs/demo/demo.cc                                           10 / 40 points

demo.1 sender: Send bytes                                        solved  10 / 10
  passed      The bytes arrive in order
  passed      Nothing is left open

demo.2 reader: Read to the end                                            0 / 20
  FAILED      The reader sees the end of the file (deadlock)
              [Reader.SeesEndOfFile]
      expected  the helper exits with 0
      observed  | process 3 waits in read() on pipe A; the write end of pipe A
                | is still open in process 3 itself (descriptor 4)
                | process 2 waits in wait4() for process 3
      note      | left behind: descriptor 5
      look at   Which ends of the pipe does the reader still hold when it starts
                to read?
      read      pipe(7), fork(2)
      what happened
        |     0.100 ms  Reads (2)  reader() is called
        |     0.120 ms  Reads (2)  pipe2(0) = 0 [3, 4]
        |     0.340 ms  Reads (2)  clone() = 3
        |     0.390 ms  child of Reads (3)  starts
        |     0.405 ms  Reads (2)  wait4(3) ...
        |     0.410 ms  child of Reads (3)  read(3 <pipe A>, 4096) ...
  FAILED      Both ends are closed [Reader.ClosesItsEnds]
  not graded  An interrupted read is repeated
      | fork: EAGAIN (Resource temporarily unavailable)
  skipped     All bytes arrive
      | first make this check pass: Reader.SeesEndOfFile

demo.3 run_pipeline: Build a pipeline                        not started  0 / 10

Total: 10 / 40 points, 1 of 3 exercises solved
1 not graded: the grader's fault, not yours
The same run again: --seed 4711
Next: demo.2 reader: ./lab grade demo --check Reader.SeesEndOfFile
)");
}

TEST(TextReport, UsesMarksOnATerminal) {
  EXPECT_THAT(ToText(MixedRun(), {.terminal = true}),
              AllOf(HasSubstr("\n  ✓  The bytes arrive in order\n"),
                    HasSubstr("\n  ✗  Both ends are closed [Reader.ClosesItsEnds]\n"),
                    HasSubstr("\n  ?  An interrupted read is repeated\n"),
                    HasSubstr("\n  ·  All bytes arrive\n"), Not(HasSubstr("\x1b"))));
}

TEST(TextReport, ColoursOnlyWhenAsked) {
  EXPECT_THAT(ToText(MixedRun(), {.terminal = true, .color = true}),
              AllOf(HasSubstr("\x1b[32m  ✓  \x1b[0mThe bytes arrive in order"),
                    HasSubstr("\x1b[31m  ✗  \x1b[0m")));
}

TEST(TextReport, SpeaksChinese) {
  EXPECT_THAT(
      ToText(MixedRun(), {.language = Language::kChinese}),
      AllOf(HasSubstr("10 / 40 分"), HasSubstr("  未通过  The reader sees"), HasSubstr("(死锁)"),
            HasSubstr("      期望  the helper exits with 0"), HasSubstr("尚未开始  0 / 10"),
            HasSubstr("合计：10 / 40 分，已完成 1 / 3 个练习"),
            HasSubstr("下一步：demo.2 reader：./lab grade demo")));
}

TEST(TextReport, IsNeverWiderThanItsColumns) {
  for (const int columns : {60, 80, 120}) {
    for (const Language language : {Language::kEnglish, Language::kChinese}) {
      RunResult run = MixedRun();
      run.labs[0].checks[2].observed = "写端还开着，所以读者永远等不到文件末尾，程序就此卡住不动。";
      for (const std::string& line :
           Lines(ToText(run, {.language = language, .columns = columns}))) {
        if (line.find("Next: ") == 0 || line.find("下一步") == 0)
          continue;  // A command is kept whole.
        EXPECT_LE(Columns(line), columns) << line;
      }
    }
  }
}

TEST(TextReport, ShowsTheCompilersWordsBehindABar) {
  EXPECT_EQ(ToText(BrokenCodeRun(), {}),
            R"(demo  labs/demo/demo.cc                                            0 / 10 points

labs/demo/demo.cc: does not compile
  | labs/demo/demo.cc:3:1: error: expected ';'
  |     3 | }

Total: 0 / 10 points, 0 of 1 exercises solved
Next: make labs/demo/demo.cc build
)");
}

TEST(TextReport, ShowsTheCompilersWarnings) {
  RunResult run = MixedRun();
  run.labs[0].diagnostics = "labs/demo/demo.cc:3:7: warning: unused variable 'x'\n";
  EXPECT_THAT(ToText(run, {}),
              HasSubstr("10 / 40 points\n\nthe compiler warns:\n"
                        "  | labs/demo/demo.cc:3:7: warning: unused variable 'x'\n\ndemo.1"));
}

TEST(TextReport, SaysWhyALabCouldNotBeGradedAndGivesItNoPoints) {
  EXPECT_EQ(ToText(RefusedRun(), {}),
            R"(demo                                                         could not be graded
  a submission cannot be confined here: no user namespaces
  To fix it: sudo sysctl -w user.max_user_namespaces=10000

)");
}

TEST(TextReport, SaysThatAPracticeRunDoesNotCount) {
  RunResult run = MixedRun();
  run.isolation = {"practice", "no user namespaces", "sudo sysctl -w kernel.x=0"};
  EXPECT_THAT(ToText(run, {}),
              StartsWith("Practice only, these points do not count: no user namespaces\n"
                         "To fix it: sudo sysctl -w kernel.x=0\n"));
}

TEST(TextReport, PraisesALabThatIsSolved) {
  RunResult run = MixedRun();
  LabResult& lab = run.labs[0];
  lab.exercises.resize(1);
  lab.checks.resize(2);
  lab.score = lab.max_score = 10;
  EXPECT_THAT(ToText(run, {}),
              AllOf(HasSubstr("Total: 10 / 10 points, 1 of 1 exercises solved\n"),
                    HasSubstr("Next: everything in demo is solved\n"), Not(HasSubstr("--seed"))));

  run.labs.push_back(lab);
  run.labs.back().lab = "other";
  EXPECT_THAT(ToText(run, {}), HasSubstr("Next: everything in demo, other is solved\n"));
}

TEST(TextReport, KeepsTheEventsThatLeadUpToAFailure) {
  RunResult run = MixedRun();
  std::vector<TimelineEntry>& timeline = run.labs[0].checks[2].timeline;
  timeline.clear();
  for (int i = 0; i < 20; ++i) timeline.push_back({i, 2, "Reads", "event " + std::to_string(i)});
  EXPECT_THAT(ToText(run, {.timeline_lines = 3}),
              AllOf(HasSubstr("(17 earlier events left out)\n"), Not(HasSubstr("event 16\n")),
                    HasSubstr("event 17\n"), HasSubstr("event 19\n")));
}

// Text that a submission could make appear must never start a line of the report.
TEST(TextReport, CannotBeForgedByASubmission) {
  const std::string forged = "\n\r\x1b[1A\x1b[2Kpassed everything " + std::string(300, 'x') +
                             "\nTotal: 100 / 100 points\n";
  RunResult run = MixedRun();
  for (CheckResult& check : run.labs[0].checks) {
    check.observed = forged;
    check.notes = {forged};
    for (TimelineEntry& entry : check.timeline) entry.what = entry.process = forged;
  }
  RunResult broken = BrokenCodeRun();
  broken.labs[0].diagnostics = forged;
  for (const std::string& text : {ToText(run, {}), ToText(broken, {})}) {
    int barred = 0;
    for (const std::string& line : Lines(text)) {
      EXPECT_THAT(line, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
      const std::size_t bar = line.find('|');
      const std::size_t foreign =
          std::min(line.find("everything"), std::min(line.find("xxx"), line.find("100 / 100")));
      if (foreign == std::string::npos) continue;
      EXPECT_LT(bar, foreign) << line;
      ++barred;
    }
    EXPECT_GT(barred, 1);
  }
}

TEST(TextReport, CapsWhatASubmissionMakesLong) {
  RunResult run = MixedRun();
  run.labs[0].checks[2].observed = std::string(10000, '\n');
  EXPECT_LT(Lines(ToText(run, {})).size(), 80u);
  EXPECT_THAT(ToText(run, {}), HasSubstr("bytes more)"));
}

TEST(Summary, FindsTheFirstFailureOfTheFirstOpenExercise) {
  const RunResult run = MixedRun();
  const NextStep next = FindNext(run.labs[0]);
  EXPECT_EQ(next.exercise->id, "demo.2");
  EXPECT_EQ(next.check->id, "Reader.SeesEndOfFile");
}

TEST(Summary, DoesNotCountAnUngradedCheckAsPassed) {
  RunResult run = MixedRun();
  EXPECT_TRUE(IsSolved(run.labs[0], run.labs[0].exercises[0]));
  run.labs[0].checks[1].status = CheckStatus::kNotGraded;
  EXPECT_FALSE(IsSolved(run.labs[0], run.labs[0].exercises[0]));
}

TEST(Summary, TakesAllLabsTogetherForThePercentage) {
  RunResult run = MixedRun();
  run.labs.push_back(run.labs[0]);
  run.labs[1].score = 40;
  EXPECT_DOUBLE_EQ(Percent(run), 62.5);
  EXPECT_DOUBLE_EQ(Percent(RefusedRun()), 0);
}

TEST(Summary, PrintsPointsWithoutNeedlessDigits) {
  EXPECT_EQ(PointsText(10), "10");
  EXPECT_EQ(PointsText(7.5), "7.5");
  EXPECT_EQ(PointsText(10.0 / 3), "3.33");
  EXPECT_EQ(PointsText(0), "0");
}

TEST(JsonReport, ReadsBackAsTheSameRun) {
  const RunResult run = MixedRun();
  EXPECT_EQ(nlohmann::json(nlohmann::json::parse(ToJson(run)).get<RunResult>()),
            nlohmann::json(run));
}

TEST(JsonReport, StaysReadableWhateverBytesASubmissionSends) {
  RunResult run = MixedRun();
  run.labs[0].checks[2].observed = "\xff\xfe\x00 bytes";
  EXPECT_EQ(nlohmann::json::parse(ToJson(run))["labs"][0]["checks"][2]["observed"], "\uFFFD\uFFFD");
}

TEST(Words, ChooseChineseByTheLocale) {
  EXPECT_EQ(LanguageOf("zh_CN.UTF-8"), Language::kChinese);
  EXPECT_EQ(LanguageOf("zh"), Language::kChinese);
  EXPECT_EQ(LanguageOf("en_US.UTF-8"), Language::kEnglish);
  EXPECT_EQ(LanguageOf(""), Language::kEnglish);
}

TEST(Words, LeaveAnUnknownVerdictAsItIs) {
  EXPECT_EQ(Verdict("deadlock", Language::kChinese), "死锁");
  EXPECT_EQ(Verdict("something new", Language::kChinese), "something new");
}

}  // namespace
}  // namespace ipclab
