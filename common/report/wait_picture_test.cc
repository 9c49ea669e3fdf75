#include "common/report/wait_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/report/examples.h"

namespace ipclab {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

WaitPicture Draw(std::vector<Wait> waits) {
  CheckResult check;
  check.waits = std::move(waits);
  return DrawWaits(check, Language::kEnglish);
}

TEST(WaitPicture, ShowsWhoWaitsForItself) {
  const WaitPicture picture = DrawWaits(MixedRun().labs[0].checks[2], Language::kEnglish);
  ASSERT_THAT(picture.nodes, SizeIs(2));
  EXPECT_THAT(picture.nodes[0].text,
              ElementsAre("waits in read()", "for bytes or end of file of pipe A"));
  EXPECT_TRUE(picture.nodes[0].circle);
  EXPECT_FALSE(picture.nodes[1].circle);
  ASSERT_THAT(picture.arrows, SizeIs(2));
  EXPECT_TRUE(picture.arrows[0].circle);
  EXPECT_EQ(ReasonText(picture, picture.arrows[0], Language::kEnglish),
            "process 3 itself holds the write end of pipe A, descriptor 4");
  EXPECT_EQ(ReasonText(picture, picture.arrows[1], Language::kEnglish), "");
  EXPECT_EQ(CircleText(picture, Language::kEnglish), "It waits for itself: process 3");
}

TEST(WaitPicture, ShowsACircleOfTwoAndWhoWaitsForIt) {
  const WaitPicture picture =
      Draw({{3, 0, "child", "read", "for bytes", {{2, "caller", "write end of pipe A"}}},
            {2, 0, "caller", "wait4", "for process 3", {{3, "child", ""}}},
            {4, 0, "third", "wait4", "for process 2", {{2, "caller", ""}}}});
  EXPECT_EQ(CircleText(picture, Language::kEnglish), "A circle: process 3 → process 2 → process 3");
  EXPECT_TRUE(picture.nodes[0].circle);
  EXPECT_TRUE(picture.nodes[1].circle);
  EXPECT_FALSE(picture.nodes[2].circle);
  EXPECT_FALSE(picture.arrows[2].circle);
}

TEST(WaitPicture, NamesAProcessOnceIfItIsSaidWhatItHolds) {
  const WaitPicture picture = Draw(
      {{3, 0, "child", "read", "", {{2, "caller", "write end of pipe A"}, {2, "caller", ""}}}});
  ASSERT_THAT(picture.arrows, SizeIs(1));
  EXPECT_EQ(picture.arrows[0].why, "write end of pipe A");
}

TEST(WaitPicture, NamesTheThreadAndSaysThatNobodyIsLeft) {
  const WaitPicture picture = Draw({{3, 5, "child", "futex", "", {}}, {3, 0, "child", "", "", {}}});
  ASSERT_THAT(picture.nodes, SizeIs(1));
  EXPECT_THAT(picture.nodes[0].text,
              ElementsAre("thread 5: waits in futex()", "nobody is left who could end this",
                          "stopped by a signal", "nobody is left who could end this"));
  EXPECT_EQ(CircleText(picture, Language::kEnglish), "");
}

TEST(WaitPicture, FindsTheCircleThatItsFirstArrowDoesNotLeadTo) {
  const WaitPicture picture = Draw(
      {{2, 0, "a", "x", "", {{3, "b", ""}, {4, "c", ""}}}, {4, 0, "c", "x", "", {{2, "a", ""}}}});
  EXPECT_EQ(CircleText(picture, Language::kEnglish), "A circle: process 2 → process 4 → process 2");
}

TEST(WaitPicture, IsEmptyWithoutWaits) { EXPECT_TRUE(Draw({}).empty()); }

}  // namespace
}  // namespace ipclab
