#include "common/report/wrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipclab {
namespace {

using testing::ElementsAre;

TEST(Columns, CountAChineseCharacterAsTwo) {
  EXPECT_EQ(Columns("pipe"), 4);
  EXPECT_EQ(Columns("管道 ok"), 7);
  EXPECT_EQ(Columns("ü"), 1);
  EXPECT_EQ(Columns(""), 0);
}

TEST(Wrapping, BreaksAtSpacesAndDropsThem) {
  EXPECT_THAT(Wrap("the write end is open", 10), ElementsAre("the write", "end is", "open"));
}

TEST(Wrapping, FillsALineToItsLastColumn) {
  EXPECT_THAT(Wrap("12345 789 123", 9), ElementsAre("12345 789", "123"));
}

TEST(Wrapping, CutsAWordThatIsLongerThanALine) {
  EXPECT_THAT(Wrap("aaaaabbbbbccc", 5), ElementsAre("aaaaa", "bbbbb", "ccc"));
}

TEST(Wrapping, BreaksBetweenChineseCharactersButNotBeforeAFullStop) {
  EXPECT_THAT(Wrap("管道的写端还开着。", 8), ElementsAre("管道的写", "端还开", "着。"));
}

TEST(Wrapping, KeepsALatinWordInsideChineseTextWhole) {
  EXPECT_THAT(Wrap("进程waitpid返回", 10), ElementsAre("进程", "waitpid返", "回"));
}

TEST(Wrapping, GivesOneEmptyLineForNoText) { EXPECT_THAT(Wrap("", 10), ElementsAre("")); }

TEST(Wrapping, EndsWhenALineIsNarrowerThanACharacter) {
  EXPECT_THAT(Wrap("管道", 1), ElementsAre("管", "道"));
}

TEST(Padding, FillsUpToColumnsNotBytes) {
  EXPECT_EQ(Padded("管", 4), "管  ");
  EXPECT_EQ(Padded("long", 2), "long");
}

TEST(Shortening, SaysThatSomethingWasLeftOut) {
  EXPECT_EQ(Shortened("SendToChild", 8), "SendT...");
  EXPECT_EQ(Shortened("short", 8), "short");
}

}  // namespace
}  // namespace ipclab
