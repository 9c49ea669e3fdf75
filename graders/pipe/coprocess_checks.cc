// Exercise pipe.8: a coprocess.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "common/grading/around.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::Coproc;
using pipe::coproc_ask;
using pipe::coproc_pump;
using pipe::coproc_start;
using pipe::coproc_stop;

EXERCISE(Coprocess);

// ---- Helpers ------------------------------------------------------------------------------------

// Is given back without coproc_stop, which has checks of its own.
struct Started : Coproc {
  Started() : Coproc{-1, -1, -1} {}
  ~Started() { TidyUp(to, from, pid); }
};

constexpr int kNoLimit = -1;

int Begin(Coproc* coproc, const std::string& program) {
  std::istringstream words(program);
  std::vector<std::string> texts;
  for (std::string word; words >> word;) texts.push_back(word);
  std::vector<const char*> argv;
  for (const std::string& text : texts) argv.push_back(text.c_str());
  argv.push_back(nullptr);
  return STUDENT(coproc_start)(coproc, argv.data());
}

int Begin(Coproc* coproc, const Args& args) { return Begin(coproc, args.Bytes("program")); }

// Asks, with a buffer of `cap` bytes inside a larger one, and reports what came as `key`.
int AskCoproc(Coproc* coproc, const std::string& line, const std::string& key,
              std::size_t cap = 200, int timeout_ms = kNoLimit) {
  std::string buffer(cap + 16, '#');
  const int result = STUDENT(coproc_ask)(coproc, line.c_str(), buffer.data(), cap, timeout_ms);
  Report(key, buffer.substr(0, std::min(buffer.find('\0'), cap)));
  Report(key + "_behind", buffer.substr(cap));
  return result;
}

// Pumps, and writes what came back to standard output.
bool Pump(Coproc* coproc, const std::string& bytes, std::size_t cap) {
  std::string out(cap, '#');
  const ssize_t got = STUDENT(coproc_pump)(coproc, bytes.data(), bytes.size(), out.data(), cap);
  if (got < 0) return false;
  std::size_t done = 0;
  while (done < static_cast<std::size_t>(got)) {
    const ssize_t put =
        write(STDOUT_FILENO, out.data() + done, static_cast<std::size_t>(got) - done);
    if (put == -1) return false;
    done += static_cast<std::size_t>(put);
  }
  return true;
}

bool Stop(Coproc* coproc, const std::string& key = "status") {
  int status = 0x7f7f7f7f;
  const int result = STUDENT(coproc_stop)(coproc, &status);
  Report(key, status);
  return result == 0;
}

HELPER(AsksTwice) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  if (AskCoproc(&coproc, args.Bytes("one"), "reply1", 200, 60'000) != 0) return 2;
  return AskCoproc(&coproc, args.Bytes("two"), "reply2") == 0 ? 0 : 3;
}

HELPER(AsksWithoutStandardDescriptors) {
  const MovedStdio moved;
  Check(close(STDIN_FILENO), "close");
  Check(close(STDOUT_FILENO), "close");
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  return AskCoproc(&coproc, args.Bytes("line"), "reply") == 0 ? 0 : 2;
}

HELPER(AsksALongLine) {
  const std::string line = args.Bytes("line");
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  return AskCoproc(&coproc, line, "reply", line.size() + 1) == 0 ? 0 : 2;
}

HELPER(PumpsBytes) {
  const std::string bytes = args.Bytes("bytes");
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  const bool pumped =
      Pump(&coproc, bytes, bytes.size() + static_cast<std::size_t>(args.Int("room")));
  Report("to", coproc.to);
  return pumped ? 0 : 2;
}

HELPER(PumpsTwice) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  if (!Pump(&coproc, "once", 10)) return 2;
  return Pump(&coproc, "twice", 10) ? 3 : 0;
}

HELPER(AsksInVain) {
  using std::chrono::steady_clock;
  const int timeout_ms = 30;
  Coproc coproc = {};
  if (Begin(&coproc, args) != 0) return 1;
  const auto start = steady_clock::now();
  const int result = AskCoproc(&coproc, "hello", "reply", 200, timeout_ms);
  const auto took = steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(timeout_ms) ? 1 : 0);
  if (!Stop(&coproc)) return 2;
  return result == -1 ? 0 : 3;
}

HELPER(AsksTheEnded) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  AwaitEnd(coproc.pid);
  return AskCoproc(&coproc, "hello", "reply") == -1 ? 0 : 2;
}

HELPER(AsksTheLeaving) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  return AskCoproc(&coproc, "hello", "reply") == -1 ? 0 : 2;
}

HELPER(PumpsTheEnded) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  AwaitEnd(coproc.pid);
  return Pump(&coproc, "hello", 100) ? 2 : 0;
}

HELPER(OnlyStartsCoprocess) {
  // A helper leaves by _exit: only a child that calls exit() comes here.
  std::atexit([] { Report("exit_handlers_ran", 1); });
  Started coproc;
  return Begin(&coproc, args) == 0 ? 0 : 1;
}

HELPER(StartsTwoDeafToSigpipe) {
  const DeafToSigpipe deaf;
  Coproc one = {};
  Coproc two = {};
  if (Begin(&one, "endless") != 0 || Begin(&two, "copies") != 0) return 1;
  return Stop(&one, "endless") && Stop(&two, "copies") ? 0 : 2;
}

HELPER(StopsCoprocessTwice) {
  Coproc coproc = {};
  if (Begin(&coproc, args) != 0) return 1;
  if (!Stop(&coproc)) return 2;
  // These get the numbers that have just become free.
  int mine[4];
  if (::pipe(mine) != 0 || ::pipe(mine + 2) != 0) return 99;
  if (STUDENT(coproc_stop)(&coproc, nullptr) != 0) return 3;
  int closed = 0;
  for (const int fd : mine) {
    if (close(fd) != 0) ++closed;
  }
  Report("closed", closed);
  return 0;
}

HELPER(AsksAndStopsWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  Coproc coproc = {};
  if (Begin(&coproc, args) != 0) return 1;
  if (AskCoproc(&coproc, args.Bytes("line"), "reply") != 0) return 2;
  return Stop(&coproc) ? 0 : 3;
}

HELPER(AsksCoprocessForMoreThanFits) {
  Started coproc;
  if (Begin(&coproc, args) != 0) return 1;
  AskCoproc(&coproc, args.Bytes("line"), "first", static_cast<std::size_t>(args.Int("cap")));
  return AskCoproc(&coproc, args.Bytes("next"), "next") == 0 ? 0 : 3;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Coprocess, AsksAndGetsAnswers) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string one = RandomWord(10), two = RandomWord(30);

  Helper caller = box.Start("AsksTwice", {{"program", "answers"}, {"one", one}, {"two", two}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("reply1"), IsText(InCapitals(one)));
  EXPECT_THAT(caller.ReportedBytes("reply2"), IsText(InCapitals(two)));
  EXPECT_THAT(box, CarriedByPipe(2 * (one.size() + two.size())));
  EXPECT_FALSE(RunningProgram(box, "answers").empty()) << "the program was never executed";
}

TEST_F(Coprocess, AsksALineLongerThanThePipes) {
  Sandbox box;
  const std::string line = RandomWord(170'001);

  // `copies` answers while it reads.
  Helper caller = box.Start("AsksALongLine", {{"program", "copies"}, {"line", line}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("reply"), SameBytesAs(line));
}

TEST_F(Coprocess, PumpsMoreThanThePipesHold) {
  Sandbox box;
  const std::string bytes = RandomBytes(300'001);

  Helper caller =
      box.Start("PumpsBytes", {{"program", "copies"}, {"bytes", Binary(bytes)}, {"room", 0}});
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(bytes));
  EXPECT_TRUE(caller.Reported("to") == -1)
      << "c->to is " << caller.Reported("to") << " after coproc_pump(), and not -1";

  // One that answers only when its input has ended.
  Helper late = box.Start("PumpsBytes", {{"program", "hoards"}, {"bytes", "abc"}, {"room", 5}});
  EXPECT_THAT(OutcomeOf(late), Succeeds());
  EXPECT_THAT(late.output(), IsText("abc"));
}

TEST_F(Coprocess, GivesUpAtTheDeadline) {
  Sandbox box;
  for (const char* program : {"hoards", "endless more,"}) {
    Helper caller = box.Start("AsksInVain", {{"program", program}});

    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "with `" << program << "`";
    EXPECT_THAT(caller.call("coproc_ask"), FailedWith(ETIMEDOUT)) << "with `" << program << "`";
    EXPECT_TRUE(caller.Reported("too_early") == 0) << "it gave up before its time was over";
  }
}

TEST_F(Coprocess, SaysThatTheCoprocessHasGone) {
  Sandbox box;
  const auto says = [&](const char* helper, const char* program, const char* function) {
    Helper caller = box.Start(helper, {{"program", program}});
    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "with `" << program << "`";
    EXPECT_THAT(caller.call(function), FailedWith(EPIPE)) << "with `" << program << "`";
    return LeftBehind(box, caller.call(function));
  };

  EXPECT_THAT(says("AsksTheEnded", "lets_go 3", "coproc_ask"), NothingLeftBehind());
  EXPECT_THAT(says("AsksTheLeaving", "half_answers", "coproc_ask"), NothingLeftBehind());
  says("PumpsTheEnded", "lets_go 3", "coproc_pump");
}

TEST_F(Coprocess, ReportsAProgramThatCannotRun) {
  struct Row {
    std::string program;
    int error;
  };
  const Row rows[] = {{"no_" + RandomWord(8), ENOENT}, {"/tmp", EACCES}};
  for (const Row& row : rows) {
    Sandbox box({.watch = {Family::kSignalSend}});
    // Who is killed leaves no trace of how it would have ended by itself.
    const int kill =
        box.AddRule({.family = Family::kSignalSend, .where = InCaller(box), .hold = true});
    Helper caller = box.Start("OnlyStartsCoprocess", {{"program", row.program}});
    EXPECT_TRUE(Comes(box, [&] { return !caller.process().alive || AtRest(box); }));
    box.Release(kill);

    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "with `" << row.program << "`";
    EXPECT_FALSE(AnyChildStrayed(box))
        << "a child came back from coproc_start() into the caller's code after its exec had failed";
    EXPECT_TRUE(caller.Reported("exit_handlers_ran") != 1)
        << "a child ended with exit(), which runs what the caller left for its own end";
    EXPECT_THAT(caller.call(), FailedWith(row.error)) << "with `" << row.program << "`";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  }
}

TEST_F(Coprocess, WorksWithoutStandardDescriptors) {
  Sandbox box;
  const std::string line = RandomWord(12);

  Helper caller =
      box.Start("AsksWithoutStandardDescriptors", {{"program", "answers"}, {"line", line}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "with descriptors 0 and 1 closed";
  EXPECT_THAT(caller.ReportedBytes("reply"), IsText(InCapitals(line)));
}

TEST_F(Coprocess, StartsTheProgramAsFromAShell) {
  Sandbox box;

  Helper caller = box.Start("StartsTwoDeafToSigpipe");

  // Stopping the first one works only if the second holds none of its ends.
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "endless"), EndedForLackOfAReader()) << "after coproc_stop()";
  for (const Process& child : box.Children()) {
    EXPECT_THAT(StraysAtExec(box, child), NoStrays());
    EXPECT_THAT(DeafnessAtExec(child), NotDeaf());
  }
}

TEST_F(Coprocess, StopEndsTheCoprocessOnce) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 90));

  Helper caller =
      box.Start("StopsCoprocessTwice", {{"program", "answers " + std::to_string(code)}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(code));
  EXPECT_TRUE(caller.Reported("closed") == 0)
      << "the second coproc_stop() closed descriptors that the caller had opened meanwhile";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

TEST_F(Coprocess, GoesOnWhenASignalComes) {
  Sandbox box({.watch = {Family::kWrite}});
  const int code = static_cast<int>(RandomInt(10, 90));
  const std::string line = RandomWord(12);

  Helper caller = box.Start("AsksAndStopsWithHandler",
                            {{"program", "answers " + std::to_string(code)}, {"line", line}});
  const auto by_program = [](const Event& event) { return event.process.starts_with("answers"); };
  const int answer = box.AddRule({.family = Family::kWrite, .where = by_program, .hold = true});
  const int exit = HoldExit(box, code);
  ASSERT_TRUE(SomebodyComesTo(box, answer)) << "the coprocess never came to answer";
  ASSERT_TRUE(Waits(box, caller, "for the answer"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(answer);
  ASSERT_TRUE(SomebodyComesTo(box, exit)) << "the coprocess never came to its end";
  ASSERT_TRUE(Waits(box, caller, "until the coprocess had ended"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(exit);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("reply"), IsText(InCapitals(line)));
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(code));
}

TEST_F(Coprocess, RefusesWhatDoesNotFit) {
  Sandbox box;
  const auto ask = [&](const std::string& line, int cap) {
    Helper caller =
        box.Start("AsksCoprocessForMoreThanFits",
                  {{"program", "answers"}, {"line", line}, {"cap", cap}, {"next", "go"}});
    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.ReportedBytes("first_behind"), IsText(std::string(16, '#')))
        << "bytes behind the `cap` bytes of the buffer were written";
    EXPECT_THAT(caller.ReportedBytes("next"), IsText("GO")) << "the next reply";
    return caller;
  };
  const std::string line = RandomWord(30);
  EXPECT_THAT(ask(line, 30).call(1), FailedWith(EMSGSIZE)) << "30 letters into 30 bytes";
  EXPECT_THAT(ask(line, 31).call(1), Returned(0)) << "30 letters into 31 bytes";
  EXPECT_THAT(ask("two\nlines", 100).call(1), FailedWith(EINVAL)) << "a line with a newline";
  EXPECT_THAT(ask(line, 0).call(1), FailedWith(EINVAL)) << "cap is 0";

  Helper pump = box.Start("PumpsBytes", {{"program", "copies"}, {"bytes", line}, {"room", -1}});
  EXPECT_THAT(OutcomeOf(pump), ComesToItsEnd());
  EXPECT_THAT(pump.call("coproc_pump"), FailedWith(EMSGSIZE)) << "30 bytes into 29";
  Helper twice = box.Start("PumpsTwice", {{"program", "copies"}});
  EXPECT_THAT(OutcomeOf(twice), Succeeds());
  EXPECT_THAT(twice.call("coproc_pump"), FailedWith(EBADF)) << "the second time";
}

TEST_F(Coprocess, LeavesNothingBehindWhenItCannotStart) {
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
    Helper caller = box.Start("OnlyStartsCoprocess", {{"program", "copies"}});
    FailFrom(box, caller, row.families, row.nth, row.error);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    EXPECT_THAT(caller.call(), FailedWith(row.error)) << row.what;
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind()) << row.what;
  }
  Sandbox box;
  Helper caller = box.Start("OnlyStartsCoprocess", {{"program", ""}});
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "argv[0] is null";
  EXPECT_THAT(caller.call(), FailedWith(EINVAL)) << "argv[0] is null";
}

}  // namespace
}  // namespace ipclab
