// Exercise fifo.7: chat_lockstep. The two sides stand in chat_checks.cc.

#include "graders/fifo/chat.h"

namespace ipclab {
namespace {

// Into which FIFO lines went, one letter for each run of writes into the same.
std::string Turns(const Sandbox& box) {
  std::string turns;
  for (const Event& event : box.events()) {
    const bool writes = event.family == Family::kWrite || event.family == Family::kSplice;
    if (!writes || !event.Succeeded()) continue;
    const bool there = event.target == "/tmp/there";
    if (!there && event.target != "/tmp/back") continue;
    const char side = there ? '1' : '2';
    if (turns.empty() || turns.back() != side) turns += side;
  }
  return turns;
}

TEST_F(Chat, TakesTurns) {
  Sandbox box({.watch = {Family::kWrite}});
  MakeFifos(box);
  const std::string one = RandomLines(3), two = RandomLines(3);

  Helper first = box.Start("Talks", {{"first", 1}, {"rounds", 3}}, {.input = one});
  Helper second = box.Start("Talks", {{"first", 0}, {"rounds", 3}}, {.input = two});
  const auto by_first = [&](const Event& event) { return event.pid == first.pid(); };
  const int begins = box.AddRule({.family = Family::kWrite, .where = by_first, .hold = true});
  ASSERT_TRUE(ComesToRest(box));
  EXPECT_THAT(Turns(box), IsText("")) << "who wrote before the first side had its turn";
  box.Release(begins);

  EXPECT_THAT(OutcomeOf(first), Succeeds());
  EXPECT_THAT(OutcomeOf(second), Succeeds());
  EXPECT_THAT(first.call(), Returned(3)) << "the first side";
  EXPECT_THAT(second.call(), Returned(3)) << "the second side";
  EXPECT_THAT(first.output(), SameBytesAs(two)) << "what the first side heard";
  EXPECT_THAT(second.output(), SameBytesAs(one)) << "what the second side heard";
  EXPECT_THAT(Turns(box), IsText("121212")) << "who wrote into the FIFOs, in this order";
}

TEST_F(Chat, CountsWholeRounds) {
  const auto talk = [](int lines_of_first, int lines_of_second) {
    Sandbox box;
    MakeFifos(box);
    Helper first =
        box.Start("Talks", {{"first", 1}, {"rounds", 5}}, {.input = RandomLines(lines_of_first)});
    Helper second =
        box.Start("Talks", {{"first", 0}, {"rounds", 5}}, {.input = RandomLines(lines_of_second)});
    EXPECT_THAT(OutcomeOf(first), Succeeds()) << "the first side";
    EXPECT_THAT(OutcomeOf(second), Succeeds()) << "the second side";
    return std::pair(first.call(), second.call());
  };
  const auto short_first = talk(1, 3);
  EXPECT_THAT(short_first.first, Returned(1)) << "the first side had one line only";
  EXPECT_THAT(short_first.second, Returned(1)) << "the first side had one line only";
  const auto short_second = talk(3, 2);
  EXPECT_THAT(short_second.first, Returned(2)) << "the second side had two lines only";
  EXPECT_THAT(short_second.second, Returned(2)) << "the second side had two lines only";
}

TEST_F(Chat, EndsTheRoundsWhenTheOtherSideLeaves) {
  {
    Sandbox box;
    MakeFifos(box);
    Helper side = box.Start("Talks", {{"rounds", 5}}, {.input = RandomLines(5)});
    box.Start("OtherSide", {{"steps", "hear send"}, {"text", "hello\n"}});
    EXPECT_THAT(OutcomeOf(side), Succeeds()) << "the other side left after one round";
    EXPECT_THAT(side.call(), Returned(1)) << "the other side left after one round";
  }
  Sandbox box({.watch = {Family::kWrite}});
  MakeFifos(box);
  const int sends = box.AddRule({.family = Family::kWrite, .where = InCaller(box), .hold = true});
  Helper side = box.Start("Talks", {{"rounds", 5}}, {.input = RandomLines(5)});
  Helper other = box.Start("OtherSide", {{"steps", ""}});
  ASSERT_TRUE(SomebodyComesTo(box, sends));
  ASSERT_TRUE(Ends(box, other.pid()));
  box.Release(sends);
  EXPECT_THAT(OutcomeOf(side), Succeeds()) << "the other side left just before a line was sent";
  EXPECT_THAT(side.call(), Returned(0)) << "the other side left just before a line was sent";
  EXPECT_TRUE(side.Reported("sigpipes") == 0) << "the caller's handler of SIGPIPE ran";
}

}  // namespace
}  // namespace ipclab
