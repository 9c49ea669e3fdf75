// Exercise fifo.5, second half: split_run.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>

#include "graders/fifo/peers.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::split_run;

EXERCISE(SplitRun);

// ---- Helpers ------------------------------------------------------------------------------------

// "adds x 3" as an argv; "" as one without any word.
class Argv {
 public:
  explicit Argv(const std::string& command) {
    std::istringstream words(command);
    for (std::string word; words >> word;) words_.push_back(word);
    for (const std::string& word : words_) pointers_.push_back(word.c_str());
    pointers_.push_back(nullptr);
  }
  const char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<const char*> pointers_;
};

// The output of filter_a goes to `out_a`, that of filter_b to standard error.
int Split(const Args& args, int out_a, int out_b = STDERR_FILENO) {
  const Argv producer(args.Bytes("producer"));
  const Argv filter_a(args.Bytes("filter_a"));
  const Argv filter_b(args.Bytes("filter_b"));
  const std::string workdir = args.Bytes("workdir");
  int statuses[4] = {0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f};
  const int result = STUDENT(split_run)(producer.get(), filter_a.get(), filter_b.get(),
                                        workdir.c_str(), out_a, out_b, statuses);
  Report("producer", statuses[0]);
  Report("filter_a", statuses[1]);
  Report("filter_b", statuses[2]);
  return result == 0 ? 0 : 1;
}

HELPER(Splits) {
  if (mkdir(args.Bytes("workdir").c_str(), 0700) == -1 && errno != EEXIST) return 99;
  return Split(args, STDOUT_FILENO);
}

// Without a directory to work in.
HELPER(SplitsNowhere) { return Split(args, STDOUT_FILENO); }

// Where out_a is neither 0 nor 1 nor 2.
HELPER(SplitsDeafToSigpipe) {
  const DeafToSigpipe deaf;
  PipeEnds out = MakePipe();
  const int result = Split(args, out.write.get());
  out.write.Reset();
  CopyHere(out.read.get(), STDOUT_FILENO);
  return result;
}

HELPER(SplitsWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  return Split(args, STDOUT_FILENO);
}

HELPER(SplitsWithUnflushedText) {
  std::fputs(args.Bytes("text").c_str(), stdout);
  const int result = Split(args, STDOUT_FILENO);
  return std::fflush(stdout) == 0 ? result : 99;
}

HELPER(SplitsSilentInput) {
  const PipeEnds silent = MakePipe();
  const Fd input(Check(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "fcntl"));
  Check(dup2(silent.read.get(), STDIN_FILENO), "dup2");
  const int result = Split(args, STDOUT_FILENO);
  Check(dup2(input.get(), STDIN_FILENO), "dup2");
  return result;
}

nlohmann::json Picture(const std::string& producer, const std::string& filter_a,
                       const std::string& filter_b, const std::string& workdir = ".") {
  return {
      {"producer", producer}, {"filter_a", filter_a}, {"filter_b", filter_b}, {"workdir", workdir}};
}

// Programs of the picture that did not run as children of the caller.
std::vector<std::string> Missing(const Sandbox& box, const Helper& caller,
                                 const std::vector<std::string>& programs) {
  std::vector<std::string> missing;
  for (const std::string& program : programs) {
    const std::vector<Process> running = RunningProgram(box, program);
    const bool ours = running.size() == 1 && running[0].parent == caller.pid();
    if (!ours) missing.push_back(program);
  }
  return missing;
}

MATCHER(AllRan, "each program runs once, as a child of the caller") {
  if (!arg.empty()) *result_listener << "not so: " << Join(arg, ", ");
  return arg.empty();
}

// What the program had as its standard input.
std::string InputOf(const Sandbox& box, const std::string& program) {
  const std::vector<Process> running = RunningProgram(box, program);
  if (running.size() != 1 || !running[0].at_exec) return "nothing";
  const Descriptor* const input = running[0].at_exec->Find(STDIN_FILENO);
  return input == nullptr ? "nothing" : input->target;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(SplitRun, RunsThePicture) {
  Sandbox box;
  const std::string input = RandomWord(300), workdir = RandomWord(8), tail = RandomWord(8);

  Helper caller =
      box.Start("Splits", Picture("copies", "upper", "adds " + tail, workdir), {.input = input});

  std::string capitals = input;
  for (char& c : capitals) c = static_cast<char>(toupper(c));
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(capitals)) << "in out_a";
  EXPECT_THAT(caller.errors(), SameBytesAs(input + tail)) << "in out_b";
  EXPECT_THAT(Missing(box, caller, {"copies", "upper", "adds"}), AllRan());
  EXPECT_THAT(InputOf(box, "adds"), testing::StartsWith("/tmp/" + workdir + "/"))
      << "the standard input of filter_b is to be a FIFO in workdir";
}

TEST_F(SplitRun, CarriesMoreThanPipesHold) {
  Sandbox box;
  const std::string bytes = RandomBytes(300'001);

  Helper caller = box.Start("Splits", Picture("copies", "adds -a", "adds -b"), {.input = bytes});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(bytes + "-a")) << "in out_a";
  EXPECT_THAT(caller.errors(), SameBytesAs(bytes + "-b")) << "in out_b";
}

TEST_F(SplitRun, StoresTheWaitStatusOfEach) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 80));
  const auto leaves = [&](int i) { return "lets_go " + std::to_string(code + i); };
  const std::vector<int> gates = {HoldExit(box, code), HoldExit(box, code + 1),
                                  HoldExit(box, code + 2)};

  Helper caller = box.Start("Splits", Picture(leaves(0), leaves(1), leaves(2)));
  ASSERT_TRUE(ComesToRest(box));
  for (const int gate : gates) {
    EXPECT_FALSE(box.observer().Held(gate).empty())
        << "the caller waits for one program before it has started all of them";
  }
  for (const int i : {2, 0, 1}) {  // The order in which they end.
    const std::set<pid_t> program = box.observer().Held(gates[i]);
    box.Release(gates[i]);
    for (const pid_t pid : program) ASSERT_TRUE(WaitUntilEnded(box, pid));
    if (i == 1) break;
    ASSERT_TRUE(ComesToRest(box));  // The caller has heard of it before the next one ends.
  }
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "producer"), SaysExit(code)) << "of the producer";
  EXPECT_THAT(StatusOf(caller, "filter_a"), SaysExit(code + 1)) << "of filter_a";
  EXPECT_THAT(StatusOf(caller, "filter_b"), SaysExit(code + 2)) << "of filter_b";

  Helper killed = box.Start("Splits", Picture("says x", "dies 11", "dies 10"));
  EXPECT_THAT(OutcomeOf(killed), Succeeds());
  EXPECT_THAT(StatusOf(killed, "filter_a"), SaysKilledBy(SIGSEGV)) << "of filter_a";
  EXPECT_THAT(StatusOf(killed, "filter_b"), SaysKilledBy(SIGUSR1)) << "of filter_b";
}

TEST_F(SplitRun, GoesOnWithoutAProgramThatCannotRun) {
  const std::string nowhere = "no_" + RandomWord(8), input = RandomBytes(200'001);
  const auto run = [&](const std::string& producer, const std::string& filter_a,
                       const std::string& filter_b, const char* who) {
    Sandbox box;
    const std::string text = RandomWord(20);
    nlohmann::json args = Picture(producer, filter_a, filter_b);
    args["text"] = text;
    Helper caller = box.Start("SplitsWithUnflushedText", args, {.input = input});
    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << who << " cannot run";
    EXPECT_FALSE(AnyChildStrayed(box)) << "a child came back from split_run() into the caller's "
                                          "code after its exec had failed";
    EXPECT_TRUE(WrittenOnce(text, caller.output()));
    EXPECT_THAT(StatusOf(caller, who), SaysExit(127)) << "of " << who << ", which cannot run";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << who << " cannot run";
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({}))) << who << " cannot run";
    return std::pair(caller.output().substr(0, caller.output().size() - text.size()),
                     caller.errors());
  };

  const auto without_b = run("copies", "adds -a", nowhere, "filter_b");
  EXPECT_THAT(without_b.first, SameBytesAs(input + "-a")) << "in out_a, without filter_b";
  const auto without_a = run("copies", nowhere, "adds -b", "filter_a");
  EXPECT_THAT(without_a.second, SameBytesAs(input + "-b")) << "in out_b, without filter_a";
  const auto without_producer = run(nowhere, "adds -a", "adds -b", "producer");
  EXPECT_THAT(without_producer.first, IsText("-a")) << "in out_a, without a producer";
  EXPECT_THAT(without_producer.second, IsText("-b")) << "in out_b, without a producer";
}

TEST_F(SplitRun, LetsFiltersLeaveEarly) {
  Sandbox box;
  const std::string input = RandomBytes(200'001);

  Helper one = box.Start("Splits", Picture("copies", "first_byte 7", "adds -b"), {.input = input});
  EXPECT_THAT(OutcomeOf(one), Succeeds()) << "filter_a leaves after one byte";
  EXPECT_THAT(one.errors(), SameBytesAs(input + "-b")) << "in out_b";
  EXPECT_THAT(StatusOf(one, "filter_a"), SaysExit(7)) << "of filter_a";

  Helper both = box.Start("Splits", Picture("endless", "first_byte", "first_byte"));
  EXPECT_THAT(OutcomeOf(both), Succeeds()) << "both filters leave, the producer would not";
  EXPECT_THAT(StatusOf(both, "producer"), SaysKilledBy(SIGPIPE)) << "of the producer";
}

TEST_F(SplitRun, StartsProgramsAsFromAShell) {
  Sandbox box;

  Helper caller = box.Start("SplitsDeafToSigpipe", Picture("says hello", "upper", "adds -b"));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), IsText("HELLO\n")) << "in out_a, a descriptor above 2";
  EXPECT_THAT(caller.errors(), IsText("hello\n-b")) << "in out_b";
  for (const Process& program : box.Children()) {
    EXPECT_THAT(StraysAtExec(box, program), NoStrays());
    EXPECT_THAT(DeafnessAtExec(program), NotDeaf());
  }
}

TEST_F(SplitRun, GoesOnWhenASignalComes) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 80));
  const int gate = HoldExit(box, code);

  Helper caller = box.Start("SplitsWithHandler",
                            Picture("says hello", "upper", "adds -b " + std::to_string(code)));
  ASSERT_TRUE(ComesToRest(box));
  ASSERT_TRUE(Waits(box, caller, "until filter_b had ended"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "filter_b"), SaysExit(code));
}

TEST_F(SplitRun, EndsWhatItStartedWhenItCannotGoOn) {
  const nlohmann::json picture = Picture("copies", "upper", "adds -b");
  for (const int nth : {1, 2, 3}) {
    Sandbox box;
    Helper caller = box.Start("SplitsSilentInput", picture);
    FailFrom(box, caller, {Family::kFork}, nth, EAGAIN);
    const std::string what = "fork() number " + std::to_string(nth) + " fails";
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << what;
    EXPECT_THAT(caller.call(), FailedWith(EAGAIN)) << what;
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << what;
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({}))) << what;
  }
  Sandbox box({.watch = {Family::kPipe, Family::kSocket}});
  Helper caller = box.Start("SplitsSilentInput", picture);
  FailFrom(box, caller, {Family::kPipe, Family::kSocket}, 1, EMFILE);
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "pipe() fails";
  EXPECT_THAT(caller.call(), FailedWith(EMFILE)) << "pipe() fails";
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "pipe() fails";
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({}))) << "pipe() fails";
}

TEST_F(SplitRun, RefusesWhatCannotBegin) {
  Sandbox box;
  const auto run = [&](const nlohmann::json& picture) {
    Helper caller = box.Start("SplitsNowhere", picture);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    return caller.call();
  };
  EXPECT_THAT(run(Picture("", "upper", "upper")), FailedWith(EINVAL)) << "no producer[0]";
  EXPECT_THAT(run(Picture("says x", "", "upper")), FailedWith(EINVAL)) << "no filter_a[0]";
  EXPECT_THAT(run(Picture("says x", "upper", "")), FailedWith(EINVAL)) << "no filter_b[0]";
  EXPECT_THAT(run(Picture("says x", "upper", "upper", "nowhere")), FailedWith(ENOENT))
      << "there is no such workdir";
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({})));
}

TEST_F(SplitRun, RemovesItsFifo) {
  Sandbox box;
  const std::string workdir = RandomWord(8);

  Helper caller = box.Start("Splits", Picture("says hello", "upper", "first_byte", workdir));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({"directory /tmp/" + workdir})));
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
