// Exercise pipe.4: run_pipeline.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <sstream>

#include "common/grading/around.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::run_pipeline;

EXERCISE(RunPipeline);

// A pipeline as the checks write it: a line a stage, words between blanks.
nlohmann::json Stages(const std::vector<std::string>& stages) {
  return {{"stages", Join(stages, "\n")}};
}

// The same as run_pipeline takes it.
class Argvs {
 public:
  explicit Argvs(const std::string& stages) {
    std::istringstream lines(stages);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      words_.emplace_back();
      for (std::string word; words >> word;) words_.back().push_back(word);
    }
    for (const std::vector<std::string>& words : words_) {
      pointers_.emplace_back();
      for (const std::string& word : words) pointers_.back().push_back(word.c_str());
      pointers_.back().push_back(nullptr);
    }
    for (const std::vector<const char*>& argv : pointers_) argvs_.push_back(argv.data());
  }
  const char* const* const* get() const { return argvs_.data(); }
  std::size_t size() const { return argvs_.size(); }

 private:
  std::vector<std::vector<std::string>> words_;
  std::vector<std::vector<const char*>> pointers_;
  std::vector<const char* const*> argvs_;
};

int Run(const Args& args, int in, int out) {
  const Argvs argvs(args.Bytes("stages"));
  std::vector<int> statuses(argvs.size() + 1, 0x7f7f7f7f);
  const int result = STUDENT(run_pipeline)(argvs.get(), argvs.size(), in, out, statuses.data());
  for (std::size_t i = 0; i < argvs.size(); ++i) {
    Report("status" + std::to_string(i), statuses[i]);
  }
  return result == 0 ? 0 : 1;
}

HELPER(RunsPipeline) { return Run(args, STDIN_FILENO, STDOUT_FILENO); }

HELPER(RunsPipelineOnOtherDescriptors) {
  const MovedStdio moved;
  return Run(args, moved.kIn, moved.kOut);
}

HELPER(RunsPipelineWithoutStandardDescriptors) {
  const MovedStdio moved;
  Check(close(STDIN_FILENO), "close");
  if (args.Int("also_output") != 0) Check(close(STDOUT_FILENO), "close");
  return Run(args, moved.kIn, moved.kOut);
}

HELPER(RunsPipelineDeafToSigpipe) {
  const DeafToSigpipe deaf;
  return Run(args, STDIN_FILENO, STDOUT_FILENO);
}

HELPER(RunsPipelineWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  return Run(args, STDIN_FILENO, STDOUT_FILENO);
}

HELPER(RunsPipelineWithUnflushedText) {
  std::fputs(args.Bytes("text").c_str(), stdout);
  const int result = Run(args, STDIN_FILENO, STDOUT_FILENO);
  return std::fflush(stdout) == 0 ? result : 99;
}

HELPER(RunsPipelineFromSilentPipe) {
  const PipeEnds silent = MakePipe();
  return Run(args, silent.read.get(), STDOUT_FILENO);
}

HELPER(RunsPipelineOn) {
  return Run(args, static_cast<int>(args.Int("in")), static_cast<int>(args.Int("out")));
}

// Stages that did not run as what they should: a program of their own, started by the caller.
std::vector<std::string> WrongStages(const Sandbox& box, const Helper& caller,
                                     const std::vector<std::string>& programs) {
  std::vector<std::string> wrong;
  for (const std::string& program : std::set<std::string>(programs.begin(), programs.end())) {
    const auto wanted = std::ranges::count(programs, program);
    const std::vector<Process> running = RunningProgram(box, program);
    const auto ours = std::ranges::count(running, caller.pid(), &Process::parent);
    if (ours >= wanted) continue;
    wrong.push_back(std::to_string(ours) + " of " + std::to_string(wanted) + " processes `" +
                    program + "` ran as children of the caller");
  }
  return wrong;
}

MATCHER(AreChildrenOfTheCaller, "every stage runs as a child of the caller") {
  for (const std::string& stage : arg) *result_listener << "\n  " << stage;
  return arg.empty();
}

TEST_F(RunPipeline, FeedsEachProgramFromTheOneBefore) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string word = RandomWord(12);

  Helper caller = box.Start("RunsPipeline", Stages({"says " + word, "upper"}));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), IsText(InCapitals(word) + "\n"));
  EXPECT_THAT(box, CarriedByPipe(word.size() + 1));
  EXPECT_THAT(WrongStages(box, caller, {"says", "upper"}), AreChildrenOfTheCaller());
}

TEST_F(RunPipeline, RunsOneStageOrMany) {
  Sandbox box;
  const std::string one_word = RandomWord(8), two = RandomWord(8), input = RandomWord(500);

  Helper one = box.Start("RunsPipeline", Stages({"adds " + one_word}), {.input = input});
  EXPECT_THAT(OutcomeOf(one), Succeeds()) << "one stage";
  EXPECT_THAT(one.output(), SameBytesAs(input + one_word)) << "one stage";

  Helper six =
      box.Start("RunsPipeline",
                Stages({"copies", "adds " + one_word, "copies", "upper", "copies", "adds " + two}),
                {.input = input});
  EXPECT_THAT(OutcomeOf(six), Succeeds()) << "six stages";
  EXPECT_THAT(six.output(), SameBytesAs(InCapitals(input + one_word) + two)) << "six stages";
}

TEST_F(RunPipeline, RunsAllStagesAtTheSameTime) {
  Sandbox box;
  const std::string more_than_pipes_hold = RandomBytes(300'001);

  Helper caller = box.Start("RunsPipeline", Stages({"copies", "copies", "copies"}),
                            {.input = more_than_pipes_hold});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(more_than_pipes_hold));
}

TEST_F(RunPipeline, EndsTheWriterWhenItsReaderHasGone) {
  Sandbox box;

  Helper caller = box.Start("RunsPipeline", Stages({"endless", "first_line"}));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  for (const Process& stage : box.Children()) EXPECT_TRUE(WaitUntilEnded(box, stage.pid));
  EXPECT_THAT(StatusOf(box, "endless"), EndedForLackOfAReader()) << "of the writer";
  EXPECT_THAT(StatusOf(box, "first_line"), SaysExit(0)) << "of the reader";
}

TEST_F(RunPipeline, StartsStagesWithTheDefaultSigpipe) {
  Sandbox box;

  Helper caller = box.Start("RunsPipelineDeafToSigpipe", Stages({"endless", "first_line"}));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  for (const Process& stage : box.Children()) EXPECT_THAT(DeafnessAtExec(stage), NotDeaf());
}

TEST_F(RunPipeline, GivesStagesNoOtherDescriptors) {
  Sandbox box;

  Helper caller =
      box.Start("RunsPipelineOnOtherDescriptors", Stages({"says hello", "copies", "upper"}));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), IsText("HELLO\n"));
  for (const Process& stage : box.Children()) {
    EXPECT_THAT(StraysAtExec(box, stage), NoStrays());
  }
}

TEST_F(RunPipeline, PutsEachStatusInItsSlot) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 80));
  const std::vector<int> gates = {HoldExit(box, code), HoldExit(box, code + 1),
                                  HoldExit(box, code + 2)};
  const auto leaves = [&](int i) { return "lets_go " + std::to_string(code + i); };

  Helper caller = box.Start("RunsPipeline", Stages({leaves(0), leaves(1), leaves(2)}));
  ASSERT_TRUE(ComesToRest(box));
  for (const int gate : gates) {
    EXPECT_FALSE(box.observer().Held(gate).empty())
        << "the caller waits for one stage before it has started all of them";
  }

  for (const int i : {2, 0, 1}) {  // The order in which the stages end.
    ASSERT_TRUE(Waits(box, caller, "until stage " + std::to_string(i) + " had ended"));
    const std::set<pid_t> stage = box.observer().Held(gates[i]);
    box.Release(gates[i]);
    for (const pid_t pid : stage) ASSERT_TRUE(WaitUntilEnded(box, pid));
  }

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  for (const int i : {0, 1, 2}) {
    EXPECT_THAT(StatusOf(caller, "status" + std::to_string(i)), SaysExit(code + i))
        << "stage " << i << "; the last stage ended first, the middle one last";
  }
}

TEST_F(RunPipeline, GoesOnWaitingWhenASignalComes) {
  Sandbox box;
  const int code = static_cast<int>(RandomInt(10, 80));
  const int gate = HoldExit(box, code);
  const std::string leaves = "lets_go " + std::to_string(code);

  Helper caller = box.Start("RunsPipelineWithHandler", Stages({leaves, "copies"}));
  ASSERT_TRUE(ComesToRest(box));
  ASSERT_TRUE(Waits(box, caller, "until stage 0 had ended"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status0"), SaysExit(code));
}

TEST_F(RunPipeline, ReportsAProgramThatCannotRun) {
  Sandbox box;
  const std::string nowhere = "no_" + RandomWord(8);
  const std::string text = RandomWord(20);
  nlohmann::json args = Stages({"copies", nowhere, "adds -end"});
  args["text"] = text;

  Helper caller = box.Start("RunsPipelineWithUnflushedText", args);
  // The one that cannot run ends first.
  const int gates[] = {HoldExitOf(box, "copies"), HoldExitOf(box, "adds")};
  ASSERT_TRUE(ComesToRest(box));
  for (const int gate : gates) box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_FALSE(AnyChildStrayed(box))
      << "a child came back from run_pipeline() into the caller's code after its exec had failed";
  EXPECT_THAT(StatusOf(caller, "status1"), SaysExit(127)) << "stage 1, " << nowhere;
  EXPECT_THAT(StatusOf(caller, "status2"), SaysExit(0)) << "stage 2, adds -end";
  EXPECT_TRUE(WrittenOnce(text, caller.output()));
  EXPECT_THAT(caller.output(), IsText("-end" + text));
}

TEST_F(RunPipeline, WorksWithoutStandardDescriptors) {
  Sandbox box;
  const std::string word = RandomWord(12);
  for (const int also_output : {0, 1}) {
    nlohmann::json args = Stages({"says " + word, "copies", "upper"});
    args["also_output"] = also_output;

    Helper caller = box.Start("RunsPipelineWithoutStandardDescriptors", args);

    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.output(), IsText(InCapitals(word) + "\n"))
        << (also_output != 0 ? "called with descriptors 0 and 1 closed"
                             : "called with descriptor 0 closed");
  }
}

TEST_F(RunPipeline, EndsWhatItStartedWhenItCannotGoOn) {
  const std::vector<std::string> stages = {"copies", "copies", "copies", "copies"};
  {
    Sandbox box;
    Helper caller = box.Start("RunsPipelineFromSilentPipe", Stages(stages));
    FailFrom(box, caller, {Family::kFork}, 3, EAGAIN);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "the third fork() fails";
    EXPECT_THAT(caller.call(), FailedWith(EAGAIN)) << "the third fork() fails";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "the third fork() fails";
  }
  Sandbox box({.watch = {Family::kPipe, Family::kSocket}});
  Helper caller = box.Start("RunsPipelineFromSilentPipe", Stages(stages));
  FailFrom(box, caller, {Family::kPipe, Family::kSocket}, 2, EMFILE);
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << "the second pipe() fails";
  EXPECT_THAT(caller.call(), FailedWith(EMFILE)) << "the second pipe() fails";
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "the second pipe() fails";
}

TEST_F(RunPipeline, RefusesWrongArguments) {
  Sandbox box;
  const auto run = [&](const std::vector<std::string>& stages, int in, int out) {
    nlohmann::json args = Stages(stages);
    args["in"] = in;
    args["out"] = out;
    Helper caller = box.Start("RunsPipelineOn", args);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    return caller.call();
  };

  EXPECT_THAT(run({}, 0, 1), FailedWith(EINVAL)) << "n is 0";
  EXPECT_THAT(run({"says hello", " "}, 0, 1), FailedWith(EINVAL)) << "stage 1 has no argv[0]";
  EXPECT_THAT(run({"says hello", "copies"}, 3, 1), FailedWith(EBADF)) << "in_fd 3 is closed";
  EXPECT_THAT(run({"says hello", "copies"}, 0, 3), FailedWith(EBADF)) << "out_fd 3 is closed";
}

TEST_F(RunPipeline, LeavesNothingBehind) {
  Sandbox box;

  Helper caller = box.Start("RunsPipeline", Stages({"says hello", "copies", "first_line"}));
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());

  Helper failing = box.Start("RunsPipeline", Stages({"copies", "no_" + RandomWord(8), "copies"}));
  EXPECT_THAT(OutcomeOf(failing), Succeeds());
  EXPECT_THAT(failing.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
