#include "common/report/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/report/examples.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Kind = TimelineKind;
using Row = Picture::Row;
using Span = Picture::Span;

Picture Draw(std::vector<TimelineEntry> timeline, std::vector<Wait> waits = {}) {
  CheckResult check;
  check.timeline = std::move(timeline);
  check.waits = std::move(waits);
  return DrawPicture(check, Language::kEnglish);
}

std::vector<std::string> Texts(const Picture& picture) {
  std::vector<std::string> texts;
  for (const Row& row : picture.rows) {
    texts.push_back(row.text + (row.detail.empty() ? "" : " | " + row.detail));
  }
  return texts;
}

TimelineEntry Call(std::int64_t at, int pid, const std::string& what, std::int64_t until) {
  return {at, pid, "in f", what, Kind::kCall, until};
}

TEST(Picture, TellsADeadlockFromTheCallToThoseWhoNeverReturn) {
  const CheckResult check = MixedRun().labs[0].checks[2];
  const Picture picture = DrawPicture(check, Language::kEnglish);
  EXPECT_THAT(
      Texts(picture),
      ElementsAre("reader() is called", "pipe2(0) = 0 [3, 4]", "clone() = 3",
                  "wait4(3) ... | never returns: waits for process 3",
                  "read(3 <pipe A>, 4096) ... | never returns: waits for bytes or end of file of "
                  "pipe A"));
  ASSERT_THAT(picture.lanes, SizeIs(2));
  EXPECT_EQ(picture.lanes[0].name, "the caller");
  EXPECT_EQ(picture.lanes[1].name, "child of Reads");
  EXPECT_FALSE(picture.lanes[0].born);
  EXPECT_TRUE(picture.lanes[1].born);
  EXPECT_EQ(picture.lanes[1].first, 2u);
}

TEST(Picture, IsEmptyWithoutATimeline) { EXPECT_TRUE(DrawPicture({}, Language::kEnglish).empty()); }

TEST(Picture, GivesACallThatWasNotWatchedARowIfItNeverReturns) {
  const Picture picture = Draw({{10, 2, "in f", "f() is called", Kind::kEnter}},
                               {{2, 0, "in f", "read", "for bytes of pipe A", {}}});
  EXPECT_THAT(Texts(picture),
              ElementsAre("f() is called", "read() never returns | waits for bytes of pipe A"));
  EXPECT_EQ(picture.rows[1].at_us, -1);
  EXPECT_EQ(picture.spans.back().kind, Span::Kind::kStuck);
}

TEST(Picture, ShowsAForkAndTheProcessThatBeginsAsOneArrow) {
  const Picture picture = Draw({Call(10, 2, "clone() = 3", 40),
                                Call(15, 2, "getpid() = 2", 16),
                                {20, 3, "child of f", "starts", Kind::kStart, -1, 2}});
  EXPECT_THAT(Texts(picture), ElementsAre("getpid() = 2", "clone() = 3"));
  EXPECT_EQ(picture.rows[1].kind, Row::Kind::kStart);
  EXPECT_EQ(picture.rows[1].other, 0u);
  EXPECT_EQ(picture.rows[1].lane, 1u);
}

TEST(Picture, KeepsAForkWhoseChildIsNotSeen) {
  EXPECT_THAT(Texts(Draw({Call(10, 2, "clone() = -1 EAGAIN", 40)})),
              ElementsAre("clone() = -1 EAGAIN"));
}

TEST(Picture, ShowsAnEndAndItsSignalAsOneArrow) {
  const Picture picture = Draw({{5, 3, "child of f", "starts", Kind::kStart, -1, 2},
                                Call(10, 3, "exit_group(7)", -1),
                                {20, 3, "child of f", "exited with code 7", Kind::kEnd},
                                {25, 2, "in f", "gets SIGCHLD", Kind::kSignal, -1, 3}});
  EXPECT_THAT(Texts(picture), ElementsAre("starts", "exited with code 7 | SIGCHLD"));
  EXPECT_EQ(picture.rows[1].other, 1u);
  EXPECT_TRUE(picture.lanes[0].ended);
  EXPECT_FALSE(picture.rows[1].bad);
}

TEST(Picture, ShowsExecAndTheNewProgramAsOneRow) {
  EXPECT_THAT(Texts(Draw({Call(10, 3, "execve(/bin/copies) = 0", 30),
                          {20, 3, "copies", "now runs copies", Kind::kExec}})),
              ElementsAre("execve(/bin/copies) = 0"));
}

TEST(Picture, MarksWhoWasKilled) {
  const Picture picture = Draw({{20, 3, "x", "killed by SIGKILL (signal 9)", Kind::kEnd}});
  EXPECT_TRUE(picture.rows[0].bad);
}

TEST(Picture, DrawsAFunctionFromItsCallToItsReturn) {
  const Picture picture = Draw({{10, 2, "in f", "f() is called", Kind::kEnter},
                                Call(11, 2, "pipe2(0) = 0 [3, 4]", 12),
                                {13, 2, "in f", "f() returns 0", Kind::kLeave},
                                {14, 2, "in g", "g() is called", Kind::kEnter}});
  ASSERT_THAT(picture.spans, SizeIs(2));
  EXPECT_EQ(picture.spans[0].kind, Span::Kind::kFunction);
  EXPECT_EQ(picture.spans[0].first, 0u);
  EXPECT_EQ(picture.spans[0].last, 2u);
  // It has not returned.
  EXPECT_EQ(picture.spans[1].first, 3u);
  EXPECT_EQ(picture.spans[1].last, 3u);
}

TEST(Picture, SaysHowLongACallTookThatWaited) {
  const Picture picture =
      Draw({Call(1000, 2, "read(3, 1) = 1", 6500), Call(2000, 3, "write(4, 1) = 1", 2100),
            Call(9000, 3, "write(4, 1) = 1", 9001)});
  EXPECT_THAT(Texts(picture),
              ElementsAre("read(3, 1) = 1 | took 5.5 ms", "write(4, 1) = 1", "write(4, 1) = 1"));
  ASSERT_THAT(picture.spans, SizeIs(1));
  EXPECT_EQ(picture.spans[0].kind, Span::Kind::kWaited);
  EXPECT_EQ(picture.spans[0].last, 1u);
}

TEST(Picture, DrawsASignalFromItsSender) {
  const Picture picture = Draw({Call(1, 2, "kill(3, SIGTERM) = 0", 2),
                                {3, 3, "child", "gets SIGTERM", Kind::kSignal, -1, 2},
                                {4, 3, "child", "gets SIGALRM", Kind::kSignal}});
  EXPECT_EQ(picture.rows[1].other, 0u);
  EXPECT_EQ(picture.rows[2].other, Picture::kNowhere);
}

TEST(Picture, FoldsEqualCalls) {
  std::vector<TimelineEntry> timeline;
  for (int i = 0; i < 37; ++i) timeline.push_back(Call(i, 2, "write(4 <pipe A>, 100) = 100", i));
  const Picture picture = Draw(timeline);
  EXPECT_THAT(Texts(picture), ElementsAre("write(4 <pipe A>, ...) × 37"));
  EXPECT_EQ(picture.rows[0].events, 37);
}

TEST(Picture, DoesNotFoldWhatOnlyLooksAlike) {
  EXPECT_THAT(
      Draw({Call(1, 2, "write(4 <pipe A>, 1) = 1", 1), Call(2, 2, "write(4 <pipe A>, 1) = 1", 2),
            Call(3, 3, "write(4 <pipe A>, 1) = 1", 3), Call(4, 2, "write(5 <pipe B>, 1) = 1", 4),
            Call(5, 2, "write(5 <pipe B>, 1) = -1 EPIPE", 5)})
          .rows,
      SizeIs(5));
}

TEST(Picture, ShowsAGroupThatComesAgainOnce) {
  std::vector<TimelineEntry> timeline = {{0, 2, "in f", "f() is called", Kind::kEnter}};
  for (int i = 0; i < 20; ++i) {
    timeline.push_back(Call(i, 2, "write(4, 1) = 1", i));
    timeline.push_back(Call(i, 3, "read(3, 1) = 1", i));
  }
  timeline.push_back({99, 2, "in f", "f() returns 0", Kind::kLeave});
  const Picture picture = Draw(timeline);
  EXPECT_THAT(Texts(picture), ElementsAre("f() is called", "write(4, 1) = 1", "read(3, 1) = 1",
                                          "the 2 steps above, 19 times more", "f() returns 0"));
  EXPECT_EQ(picture.spans[0].last, 4u);
}

TEST(Picture, LeavesOutTheMiddleOfALongStoryAndCountsIt) {
  std::vector<TimelineEntry> timeline;
  for (int i = 0; i < 200; ++i) {
    timeline.push_back(Call(i, 2, "call" + std::to_string(i) + "() = 0", i));
  }
  const Picture picture = Draw(timeline);
  ASSERT_THAT(picture.rows, SizeIs(kPictureRows));
  EXPECT_EQ(picture.rows.front().text, "call0() = 0");
  EXPECT_EQ(picture.rows.back().text, "call199() = 0");
  int events = 0;
  for (const Row& row : picture.rows) {
    events += row.events;
    if (row.kind == Row::Kind::kFold) {
      EXPECT_EQ(row.text, "157 events left out");
    }
  }
  EXPECT_EQ(events, 200);
}

TEST(Picture, PutsAProcessWhoseBeginningIsLeftOutAtTheTop) {
  std::vector<TimelineEntry> timeline;
  for (int i = 0; i < 200; ++i) {
    timeline.push_back(Call(i, i < 100 ? 2 : 3, "call" + std::to_string(i) + "() = 0", i));
    if (i == 60) timeline.push_back({i, 3, "child of f", "starts", Kind::kStart, -1, 2});
  }
  const Picture picture = Draw(timeline);
  ASSERT_THAT(picture.lanes, SizeIs(2));
  EXPECT_FALSE(picture.lanes[1].born);
  EXPECT_EQ(picture.lanes[1].first, 0u);
}

TEST(Picture, KeepsThoseWhoWaitIfThereAreTooManyProcesses) {
  std::vector<TimelineEntry> timeline;
  for (int pid = 2; pid < 32; ++pid) timeline.push_back(Call(pid, pid, "getpid() = 1", pid));
  const Picture picture =
      Draw(timeline, {{5, 0, "x", "read", "", {{9, "y", "write end of pipe A, descriptor 4"}}}});
  ASSERT_THAT(picture.lanes, SizeIs(kPictureLanes));
  EXPECT_EQ(picture.lanes[0].pid, 5);
  EXPECT_EQ(picture.lanes[1].pid, 9);
  EXPECT_EQ(picture.lanes[7].pid, 31);
  EXPECT_EQ(picture.hidden_lanes, 22);
}

TEST(Picture, UsesAColumnAgainWhenItsProcessHasEnded) {
  const Picture picture = Draw({{1, 2, "the caller", "starts", Kind::kStart},
                                {2, 3, "child of f", "starts", Kind::kStart, -1, 2},
                                {3, 3, "child of f", "exited with code 0", Kind::kEnd},
                                {4, 2, "called f", "exited with code 0", Kind::kEnd},
                                {5, 4, "the caller", "starts", Kind::kStart},
                                {6, 5, "child of f", "starts", Kind::kStart, -1, 4}});
  std::vector<std::size_t> columns;
  for (const Picture::Lane& lane : picture.lanes) columns.push_back(lane.column);
  EXPECT_THAT(columns, ElementsAre(0, 1, 0, 1));
}

TEST(Picture, MakesEveryTextPrintable) {
  const Picture picture = Draw({{1, 2, "a\x1b[2J", "b\xe2\x80\xae\n", Kind::kSignal}});
  EXPECT_EQ(picture.rows[0].text, "b\\xe2\\x80\\xae\\n");
  EXPECT_EQ(picture.lanes[0].name, "a\\x1b[2J");
}

TEST(Picture, SpeaksChinese) {
  const Picture picture = DrawPicture(MixedRun().labs[0].checks[2], Language::kChinese);
  EXPECT_EQ(picture.lanes[0].name, "调用者");
  EXPECT_THAT(picture.rows[3].detail, HasSubstr("一直没有返回"));
}

}  // namespace
}  // namespace ipclab
