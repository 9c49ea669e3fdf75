// Exercise pipe.5: two-way talk over two pipes.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "common/grading/around.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::duplex_call;
using pipe::duplex_start;
using pipe::duplex_stop;

EXERCISE(Duplex);

// ---- Services: what the child of duplex_start does ----------------------------------------------

bool TakeLine(int fd, std::string* line) {
  line->clear();
  for (char c = 0; read(fd, &c, 1) == 1;) {
    if (c == '\n') return true;
    line->push_back(c);
  }
  return false;
}

void Say(int fd, const std::string& text) {
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(98);
}

// Answers the n-th line with "n:" and the line; `arg` points to the code to leave with at its end.
int AnswersNumbered(int rfd, int wfd, void* arg) {
  Report("service_pid", getpid());
  std::string line;
  for (int n = 1; TakeLine(rfd, &line); ++n) Say(wfd, std::to_string(n) + ":" + line + "\n");
  return *static_cast<int*>(arg);
}

int AnswersInTwoPieces(int rfd, int wfd, void*) {
  for (std::string line; TakeLine(rfd, &line);) {
    Say(wfd, line.substr(0, line.size() / 2));
    Say(wfd, line.substr(line.size() / 2) + "\n");
  }
  return 0;
}

int LeavesAtOnce(int rfd, int wfd, void*) {
  Report("child_rfd", rfd);
  Report("child_wfd", wfd);
  return 7;
}

int LeavesWithoutAnswer(int rfd, int, void*) {
  std::string line;
  while (!TakeLine(rfd, &line)) pause();  // Without the line there is nothing to leave in.
  return 7;
}

int LeavesInTheMiddleOfItsAnswer(int rfd, int wfd, void*) {
  std::string line;
  while (!TakeLine(rfd, &line)) pause();  // Without the line there is nothing to leave in.
  Say(wfd, line);
  return 7;
}

// ---- Helpers ------------------------------------------------------------------------------------

// Is given back without duplex_stop, which has checks of its own.
struct Talk : pipe::Duplex {
  Talk() : pipe::Duplex{-1, -1, -1} {}
  ~Talk() { TidyUp(rfd, wfd, pid); }
};

int g_code = 0;

int Start(const Args& args, pipe::Duplex* talk) {
  g_code = static_cast<int>(args.Int("code", 0));
  return STUDENT(duplex_start)(AnswersNumbered, &g_code, talk);
}

// Asks, with a buffer of `cap` bytes inside a larger one, and reports what came as `key`.
int Ask(pipe::Duplex* talk, const std::string& line, const std::string& key,
        std::size_t cap = 200) {
  std::string buffer(cap + 16, '#');
  const int result = STUDENT(duplex_call)(talk, line.c_str(), buffer.data(), cap);
  Report(key, buffer.substr(0, std::min(buffer.find('\0'), cap)));
  Report(key + "_behind", buffer.substr(cap));
  return result;
}

HELPER(TalksTwice) {
  Talk talk;
  if (Start(args, &talk) != 0) return 1;
  if (Ask(&talk, args.Bytes("one"), "reply1") != 0) return 2;
  return Ask(&talk, args.Bytes("two"), "reply2") == 0 ? 0 : 3;
}

HELPER(TalksOften) {
  Talk talk;
  if (Start(args, &talk) != 0) return 1;
  // Not through STUDENT: a census before and after each of so many calls would take long.
  const auto call = reinterpret_cast<decltype(&duplex_call)>(SubmissionSymbol("duplex_call"));
  const std::string line = args.Bytes("line");
  int good = 0;
  for (int n = 1; n <= 1000; ++n) {
    char reply[100] = "";
    const std::string want = std::to_string(n) + ":" + line;
    if (call(&talk, line.c_str(), reply, sizeof reply) != 0 || want != reply) break;
    ++good;
  }
  Report("good", good);
  return 0;
}

HELPER(TalksWithPieces) {
  Talk talk;
  if (STUDENT(duplex_start)(AnswersInTwoPieces, nullptr, &talk) != 0) return 1;
  return Ask(&talk, args.Bytes("line"), "reply") == 0 ? 0 : 2;
}

HELPER(StartsAChildThatLeaves) {
  Talk talk;
  if (STUDENT(duplex_start)(LeavesAtOnce, nullptr, &talk) != 0) return 1;
  Report("rfd", talk.rfd);
  Report("wfd", talk.wfd);
  AwaitEnd(talk.pid);
  return 0;
}

HELPER(AsksTheDead) {
  Talk talk;
  if (STUDENT(duplex_start)(LeavesAtOnce, nullptr, &talk) != 0) return 1;
  AwaitEnd(talk.pid);
  return Ask(&talk, "hello", "reply") == -1 ? 0 : 3;
}

HELPER(AsksTheDying) {
  Talk talk;
  const auto service =
      args.Int("answers_half") != 0 ? LeavesInTheMiddleOfItsAnswer : LeavesWithoutAnswer;
  if (STUDENT(duplex_start)(service, nullptr, &talk) != 0) return 1;
  return Ask(&talk, "hello", "reply") == -1 ? 0 : 3;
}

HELPER(AsksForMoreThanFits) {
  Talk talk;
  if (Start(args, &talk) != 0) return 1;
  Ask(&talk, args.Bytes("line"), "long", static_cast<std::size_t>(args.Int("cap")));
  return Ask(&talk, args.Bytes("line"), "whole") == 0 ? 0 : 3;
}

HELPER(AsksWrongly) {
  Talk talk;
  if (Start(args, &talk) != 0) return 1;
  Ask(&talk, args.Bytes("line"), "wrong", static_cast<std::size_t>(args.Int("cap")));
  return Ask(&talk, "hello", "right") == 0 ? 0 : 3;
}

HELPER(StopsTwice) {
  std::fputs(args.Bytes("text").c_str(), stdout);
  pipe::Duplex talk = {};
  if (Start(args, &talk) != 0) return 1;
  int status = 0x7f7f7f7f;
  if (STUDENT(duplex_stop)(&talk, &status) != 0) return 2;
  Report("status", status);
  // These get the numbers that have just become free.
  int mine[4];
  if (::pipe(mine) != 0 || ::pipe(mine + 2) != 0) return 99;
  if (STUDENT(duplex_stop)(&talk, nullptr) != 0) return 3;
  int closed = 0;
  for (const int fd : mine) {
    if (close(fd) != 0) ++closed;
  }
  Report("closed", closed);
  return std::fflush(stdout) == 0 ? 0 : 99;
}

HELPER(StopsWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  pipe::Duplex talk = {};
  if (Start(args, &talk) != 0) return 1;
  int status = 0x7f7f7f7f;
  const int result = STUDENT(duplex_stop)(&talk, &status);
  Report("status", status);
  return result == 0 ? 0 : 2;
}

HELPER(OnlyStarts) {
  Talk talk;
  return Start(args, &talk) == 0 ? 0 : 1;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Duplex, TalksBothWaysWithAChild) {
  Sandbox box({.watch = {Family::kRead, Family::kWrite}});
  const std::string one = RandomWord(10), two = RandomWord(30);

  // The caller comes to read before the child does. With one pipe it would meet its own line.
  const auto by_child = [&](const Event& event) {
    return !box.observer().process(event.pid).helper;
  };
  const int child = box.AddRule({.family = Family::kRead, .where = by_child, .hold = true});

  Helper caller = box.Start("TalksTwice", {{"one", one}, {"two", two}});
  EXPECT_TRUE(SomebodyComesTo(box, child)) << "the child never came to read";
  EXPECT_TRUE(ComesToRest(box));
  box.Release(child);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("reply1"), IsText("1:" + one));
  EXPECT_THAT(caller.ReportedBytes("reply2"), IsText("2:" + two));
  EXPECT_THAT(box, CarriedByPipe(2 * (one.size() + two.size())));
  const auto serves = [&](const Process& process) {
    return process.parent == caller.pid() && process.inner_pid == caller.Reported("service_pid");
  };
  EXPECT_TRUE(std::ranges::any_of(box.Children(), serves))
      << "service() ran, but not in a child of the caller";
}

TEST_F(Duplex, KeepsInStepForAThousandCalls) {
  Sandbox box;

  Helper caller =
      box.Start("TalksOften", {{"line", RandomWord(8)}}, {.limits = {{RLIMIT_NOFILE, 200}}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t good = caller.Reported("good");
  EXPECT_TRUE(good == 1000) << "call " << good + 1 << " of 1000 did not get its own reply";
}

TEST_F(Duplex, WaitsForTheWholeReply) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string line = RandomWord(20);

  Helper caller = box.Start("TalksWithPieces", {{"line", line}});
  const auto by_child = [&](const Event& event) { return event.pid != caller.pid(); };
  const int gate =
      box.AddRule({.family = Family::kWrite, .nth = 2, .where = by_child, .hold = true});
  ASSERT_TRUE(SomebodyComesTo(box, gate)) << "the second half of the reply was never written";
  ASSERT_TRUE(Waits(box, caller, "for the second half of the reply"));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("reply"), IsText(line));
}

// The descriptors that `after` has beside `before`, apart from the expected two.
std::vector<std::string> Surplus(Sandbox& box, const Census& before, const Census& after,
                                 std::int64_t rfd, std::int64_t wfd, const std::string& who) {
  std::vector<std::string> lines;
  for (const Descriptor& now : after.descriptors) {
    if (before.Find(now.number) != nullptr || now.number == rfd || now.number == wfd) continue;
    lines.push_back(who + " holds descriptor " + std::to_string(now.number) + ", " +
                    box.names().End(now));
  }
  const Descriptor* const reads = after.Find(static_cast<int>(rfd));
  const Descriptor* const writes = after.Find(static_cast<int>(wfd));
  if (reads == nullptr || !reads->Readable()) lines.push_back(who + "'s rfd cannot be read");
  if (writes == nullptr || !writes->Writable()) lines.push_back(who + "'s wfd cannot be written");
  return lines;
}

MATCHER(KeepsTwoEnds, "each side keeps one end to read and one to write, and no other") {
  for (const std::string& line : arg) *result_listener << "\n  " << line;
  return arg.empty();
}

TEST_F(Duplex, EachSideKeepsTwoEnds) {
  Sandbox box;

  Helper caller = box.Start("StartsAChildThatLeaves");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const StudentCall start = caller.call("duplex_start");
  EXPECT_THAT(Surplus(box, start.before, start.after, caller.Reported("rfd"),
                      caller.Reported("wfd"), "the caller"),
              KeepsTwoEnds());
  for (const Process& child : box.Children()) {
    if (!child.at_ending) continue;
    EXPECT_THAT(Surplus(box, start.before, *child.at_ending, caller.Reported("child_rfd"),
                        caller.Reported("child_wfd"), "the child"),
                KeepsTwoEnds());
  }
}

TEST_F(Duplex, SaysThatTheChildHasGone) {
  Sandbox box;

  Helper late = box.Start("AsksTheDead");
  EXPECT_THAT(OutcomeOf(late), Succeeds());
  EXPECT_THAT(late.call("duplex_call"), FailedWith(EPIPE)) << "the child had ended before";
  EXPECT_THAT(LeftBehind(box, late.call("duplex_call")), NothingLeftBehind());

  for (const int half : {0, 1}) {
    Helper caller = box.Start("AsksTheDying", {{"answers_half", half}});
    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.call("duplex_call"), FailedWith(ENODATA))
        << (half != 0 ? "the child wrote half of a line and ended"
                      : "the child took the line and ended");
  }
}

TEST_F(Duplex, KeepsInStepWhenAReplyIsTooLong) {
  Sandbox box;
  const std::string line = RandomWord(50);
  const int cap = static_cast<int>(RandomInt(10, 40));

  Helper caller = box.Start("AsksForMoreThanFits", {{"line", line}, {"cap", cap}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call(1), FailedWith(EMSGSIZE));
  EXPECT_THAT(caller.ReportedBytes("long"),
              IsText(("1:" + line).substr(0, static_cast<std::size_t>(cap) - 1)));
  EXPECT_THAT(caller.ReportedBytes("long_behind"), IsText(std::string(16, '#')))
      << "bytes behind the `cap` bytes of the buffer were written";
  EXPECT_THAT(caller.ReportedBytes("whole"), IsText("2:" + line)) << "the next reply";

  Helper just = box.Start("AsksForMoreThanFits",
                          {{"line", line}, {"cap", static_cast<int>(line.size()) + 3}});
  EXPECT_THAT(OutcomeOf(just), Succeeds());
  EXPECT_THAT(just.call(1), Returned(0)) << "the reply and its NUL just fit";
}

TEST_F(Duplex, SendsNothingForAWrongArgument) {
  Sandbox box;

  Helper lines = box.Start("AsksWrongly", {{"line", "two\nlines"}, {"cap", 100}});
  EXPECT_THAT(OutcomeOf(lines), Succeeds());
  EXPECT_THAT(lines.call(1), FailedWith(EINVAL)) << "the line contains a newline";
  EXPECT_THAT(lines.ReportedBytes("right"), IsText("1:hello")) << "the next reply";

  Helper no_room = box.Start("AsksWrongly", {{"line", "lines"}, {"cap", 0}});
  EXPECT_THAT(OutcomeOf(no_room), Succeeds());
  EXPECT_THAT(no_room.call(1), FailedWith(EINVAL)) << "cap is 0";
  EXPECT_THAT(no_room.ReportedBytes("right"), IsText("1:hello")) << "the next reply";
}

TEST_F(Duplex, StopEndsTheChildOnce) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 90));
  const std::string text = RandomWord(20);

  Helper caller = box.Start("StopsTwice", {{"code", code}, {"text", text}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_FALSE(AnyChildStrayed(box))
      << "the child came back from duplex_start() into the caller's code";
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(code));
  EXPECT_TRUE(caller.Reported("closed") == 0)
      << "the second duplex_stop() closed descriptors that the caller had opened meanwhile";
  EXPECT_TRUE(WrittenOnce(text, caller.output()));
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

TEST_F(Duplex, StopGoesOnWaitingWhenASignalComes) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 90));
  const int gate = HoldExit(box, code);

  Helper caller = box.Start("StopsWithHandler", {{"code", code}});
  ASSERT_TRUE(SomebodyComesTo(box, gate)) << "the child never came to its end";
  ASSERT_TRUE(Waits(box, caller, "until the child had ended"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(code));
}

TEST_F(Duplex, LeavesNothingBehindWhenItCannotStart) {
  struct Row {
    const char* what;
    std::vector<Family> families;
    int nth;
    int error;
  };
  const std::vector<Family> pipes = {Family::kPipe, Family::kSocket};
  const Row rows[] = {{"the first pipe() fails", pipes, 1, EMFILE},
                      {"the second pipe() fails", pipes, 2, ENFILE},
                      {"fork() fails", {Family::kFork}, 1, EAGAIN}};
  for (const Row& row : rows) {
    Sandbox box({.watch = pipes});
    Helper caller = box.Start("OnlyStarts");
    FailFrom(box, caller, row.families, row.nth, row.error);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    EXPECT_THAT(caller.call(), FailedWith(row.error)) << row.what;
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind()) << row.what;
  }
}

}  // namespace
}  // namespace ipclab
