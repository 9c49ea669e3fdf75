// Exercise pipe.7: my_popen and my_pclose.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "common/grading/around.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::my_pclose;
using pipe::my_popen;

EXERCISE(MyPopen);

// ---- Helpers ------------------------------------------------------------------------------------

FILE* Open(const std::string& command, const std::string& type) {
  return STUDENT(my_popen)(command.c_str(), type.c_str());
}

// Reports the wait status as `key`. True unless my_pclose failed.
bool Close(FILE* stream, const std::string& key = "status") {
  const int status = STUDENT(my_pclose)(stream);
  Report(key, status);
  return status != -1;
}

int ReadCommand(const Args& args) {
  FILE* const stream = Open(args.Bytes("command"), "r");
  if (stream == nullptr) return 1;
  std::string text;
  for (int c = getc(stream); c != EOF; c = getc(stream)) text.push_back(static_cast<char>(c));
  Report("text", text);
  return Close(stream) ? 0 : 2;
}

int FeedCommand(const Args& args) {
  FILE* const stream = Open(args.Bytes("command"), "w");
  if (stream == nullptr) return 1;
  const std::string text = args.Bytes("text");
  if (fwrite(text.data(), 1, text.size(), stream) != text.size()) return 3;
  return Close(stream) ? 0 : 2;
}

HELPER(ReadsCommand) { return ReadCommand(args); }
HELPER(FeedsCommand) { return FeedCommand(args); }

HELPER(ReadsCommandWithoutStandardDescriptors) {
  const MovedStdio moved;
  Check(close(STDIN_FILENO), "close");
  Check(close(STDOUT_FILENO), "close");
  return ReadCommand(args);
}

HELPER(FeedsCommandWithoutStandardInput) {
  const MovedStdio moved;
  Check(close(STDIN_FILENO), "close");
  return FeedCommand(args);
}

HELPER(FeedsACommandThatHasGone) {
  const Action deaf(SIGPIPE, SIG_IGN);
  FILE* const stream = Open(args.Bytes("command"), "w");
  if (stream == nullptr) return 1;
  AwaitEnd();
  if (std::fputs("nobody reads this", stream) == EOF) return 99;
  return Close(stream) ? 0 : 2;
}

HELPER(OpensWithUnflushedText) {
  std::fputs(args.Bytes("text").c_str(), stdout);
  FILE* const stream = Open("exit 0", "w");
  const bool closed = stream == nullptr || Close(stream);
  return std::fflush(stdout) == 0 && closed ? 0 : 2;
}

HELPER(FeedsTwoCommands) {
  FILE* const first = Open("copies", args.Bytes("type"));
  FILE* const second = Open("copies", args.Bytes("type"));
  if (first == nullptr || second == nullptr) return 1;
  if (std::fputs(args.Bytes("one").c_str(), first) == EOF) return 99;
  if (!Close(first)) return 2;
  if (std::fputs(args.Bytes("two").c_str(), second) == EOF) return 99;
  return Close(second) ? 0 : 3;
}

HELPER(OpensForExec) {
  FILE* const stream = Open("copies", args.Bytes("type"));
  if (stream == nullptr) return 1;
  Report("fd", fileno(stream));
  return Close(stream) ? 0 : 2;
}

HELPER(HasAnotherChild) {
  const pid_t other = fork();
  if (other == 0) _exit(static_cast<int>(args.Int("code")));
  AwaitEnd(Check(other, "fork"));
  FILE* const one = Open(args.Bytes("one"), "w");
  FILE* const two = Open(args.Bytes("two"), "w");
  if (one == nullptr || two == nullptr) return 1;
  if (!Close(two, "two") || !Close(one, "one")) return 2;
  int status = 0;
  if (waitpid(other, &status, 0) != other) return 3;
  Report("other", status);
  return 0;
}

HELPER(ReadsCommandWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  FILE* const stream = Open(args.Bytes("command"), "w");
  if (stream == nullptr) return 1;
  return Close(stream) ? 0 : 2;
}

HELPER(OpensWithType) {
  FILE* const stream = Open("exit 0", args.Bytes("type"));
  return stream == nullptr ? 0 : 1;
}

HELPER(ClosesAForeignStream) {
  FILE* const mine = fdopen(dup(STDOUT_FILENO), "w");
  if (mine == nullptr) return 99;
  const bool closed = Close(mine);
  if (std::fputs(args.Bytes("text").c_str(), mine) == EOF || fclose(mine) != 0) return 4;
  return closed ? 1 : 0;
}

HELPER(ClosesTwice) {
  FILE* const stream = Open("exit 0", "r");
  if (stream == nullptr) return 1;
  if (!Close(stream)) return 2;
  return Close(stream) ? 3 : 0;
}

HELPER(IgnoresItsChildren) {
  const Action forgetful(SIGCHLD, SIG_IGN);
  FILE* const stream = Open("copies", "w");
  if (stream == nullptr) return 1;
  return Close(stream) ? 2 : 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(MyPopen, ReadsWhatTheCommandWrites) {
  Sandbox box({.watch = {Family::kWrite}, .shell = true});
  const std::string in = RandomWord(8), out = RandomWord(12), err = RandomWord(10);

  Helper caller =
      box.Start("ReadsCommand", {{"command", "read x; echo $x-" + out + "; echo " + err + " >&2"}},
                {.input = in + "\n"});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("text"), IsText(in + "-" + out + "\n"));
  EXPECT_THAT(caller.errors(), IsText(err + "\n")) << "on the caller's standard error";
  EXPECT_THAT(caller.output(), IsText("")) << "on the caller's standard output";
  EXPECT_THAT(box, CarriedByPipe(in.size() + out.size() + 2));
  EXPECT_FALSE(RunningProgram(box, "sh").empty()) << "no process ran /bin/sh";
}

TEST_F(MyPopen, FeedsTheCommand) {
  Sandbox box({.shell = true});
  const std::string text = RandomBytes(100'001);

  Helper caller = box.Start("FeedsCommand", {{"command", "copies"}, {"text", Binary(text)}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(text));
}

TEST_F(MyPopen, ReturnsTheWaitStatus) {
  Sandbox box({.shell = true});
  const int code = static_cast<int>(RandomInt(2, 100));
  const auto status = [&](const std::string& helper, const std::string& command) {
    Helper caller = box.Start(helper, {{"command", command}});
    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "the command `" << command << "`";
    return StatusOf(caller, "status");
  };

  const std::string leaves = "exit " + std::to_string(code);
  const std::string missing = "no_" + RandomWord(8) + " 2>&1";
  EXPECT_THAT(status("ReadsCommand", leaves), SaysExit(code)) << "of `" << leaves << "`";
  EXPECT_THAT(status("ReadsCommand", missing), SaysExit(127)) << "of `" << missing << "`";
  EXPECT_THAT(status("ReadsCommand", "kill -9 $$"), SaysKilledBy(SIGKILL)) << "of `kill -9 $$`";
  EXPECT_THAT(status("FeedsACommandThatHasGone", leaves), SaysExit(code))
      << "of `" << leaves << "`, which did not read what was written for it";
}

TEST_F(MyPopen, KeepsStreamsApart) {
  for (const char* type : {"w", "we"}) {
    Sandbox box({.shell = true});
    const std::string one = RandomWord(10), two = RandomWord(10);

    Helper caller = box.Start("FeedsTwoCommands", {{"type", type}, {"one", one}, {"two", two}});

    // The first command ends at its end of file, which only comes if the second has no copy of
    // the first stream.
    EXPECT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(caller.output(), IsText(one + two));
    for (const Process& shell : RunningProgram(box, "sh")) {
      EXPECT_THAT(StraysAtExec(box, shell), NoStrays());
    }
    for (const Process& command : RunningProgram(box, "copies")) {
      EXPECT_THAT(StraysAtExec(box, command), NoStrays());
    }
  }
}

TEST_F(MyPopen, SetsCloseOnExecOnRequest) {
  Sandbox box({.shell = true});
  for (const char* type : {"re", "we"}) {
    Helper caller = box.Start("OpensForExec", {{"type", type}});

    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "type \"" << type << "\"";
    const Census after = caller.call("my_popen").after;
    const Descriptor* const fd = after.Find(static_cast<int>(caller.Reported("fd")));
    EXPECT_TRUE(fd != nullptr && fd->close_on_exec)
        << "FD_CLOEXEC is not set on the stream's descriptor; type \"" << type << "\"";
  }
}

TEST_F(MyPopen, WaitsForItsOwnCommand) {
  Sandbox box({.shell = true});
  const int code = static_cast<int>(RandomInt(10, 80));

  Helper caller = box.Start("HasAnotherChild", {{"code", code},
                                                {"one", "exit " + std::to_string(code + 1)},
                                                {"two", "exit " + std::to_string(code + 2)}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "two"), SaysExit(code + 2)) << "of the stream opened last";
  EXPECT_THAT(StatusOf(caller, "one"), SaysExit(code + 1)) << "of the stream opened first";
  EXPECT_THAT(StatusOf(caller, "other"), SaysExit(code)) << "of the caller's own child";
}

TEST_F(MyPopen, GoesOnWaitingWhenASignalComes) {
  Sandbox box({.shell = true});
  const int code = static_cast<int>(RandomInt(10, 80));
  const int gate = HoldExit(box, code);

  Helper caller =
      box.Start("ReadsCommandWithHandler", {{"command", "exit " + std::to_string(code)}});
  ASSERT_TRUE(SomebodyComesTo(box, gate)) << "the command never came to its end";
  ASSERT_TRUE(Waits(box, caller, "until the command had ended"));
  ASSERT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "status"), SaysExit(code));
}

TEST_F(MyPopen, RefusesOtherTypes) {
  Sandbox box({.shell = true});
  for (const char* type : {"", "x", "rw", "wr", "er", "rx"}) {
    Helper caller = box.Start("OpensWithType", {{"type", type}});

    EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "type \"" << type << "\"";
    EXPECT_THAT(caller.call(), FailedWith(EINVAL)) << "type \"" << type << "\"";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "type \"" << type << "\"";
  }
}

TEST_F(MyPopen, RefusesStreamsThatAreNotOpenHere) {
  Sandbox box({.shell = true});
  const std::string text = RandomWord(12);

  Helper foreign = box.Start("ClosesAForeignStream", {{"text", text}});
  EXPECT_THAT(OutcomeOf(foreign), Succeeds()) << "with a stream of fdopen()";
  EXPECT_THAT(foreign.call(), FailedWith(EINVAL)) << "with a stream of fdopen()";
  EXPECT_THAT(foreign.output(), IsText(text)) << "written to that stream afterwards";

  Helper twice = box.Start("ClosesTwice");
  EXPECT_THAT(OutcomeOf(twice), Succeeds());
  EXPECT_THAT(twice.call(2), FailedWith(EINVAL)) << "with a stream that is closed already";
}

TEST_F(MyPopen, ReportsALostStatus) {
  Sandbox box({.shell = true});

  Helper caller = box.Start("IgnoresItsChildren");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.call("my_pclose"), FailedWith(ECHILD)) << "SIGCHLD is ignored";
}

TEST_F(MyPopen, EndsTheChildWhenThereIsNoShell) {
  Sandbox box;  // Without /bin/sh.
  const std::string text = RandomWord(20);

  Helper caller = box.Start("OpensWithUnflushedText", {{"text", text}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_FALSE(AnyChildStrayed(box))
      << "a child came back from my_popen() into the caller's code after its exec had failed";
  if (caller.call("my_popen").value == -1) {  // posix_spawn() knows at once.
    EXPECT_THAT(caller.call("my_popen"), FailedWith(ENOENT)) << "there is no /bin/sh";
  } else {
    EXPECT_THAT(StatusOf(caller, "status"), SaysExit(127)) << "there is no /bin/sh";
  }
  EXPECT_TRUE(WrittenOnce(text, caller.output()));
}

TEST_F(MyPopen, WorksWithoutStandardDescriptors) {
  Sandbox box({.shell = true});
  const std::string word = RandomWord(12);

  Helper reader =
      box.Start("ReadsCommandWithoutStandardDescriptors", {{"command", "echo " + word}});
  EXPECT_THAT(OutcomeOf(reader), Succeeds()) << "\"r\" with descriptors 0 and 1 closed";
  EXPECT_THAT(reader.ReportedBytes("text"), IsText(word + "\n"))
      << "\"r\" with descriptors 0 and 1 closed";

  Helper writer =
      box.Start("FeedsCommandWithoutStandardInput", {{"command", "copies"}, {"text", word}});
  EXPECT_THAT(OutcomeOf(writer), Succeeds()) << "\"w\" with descriptor 0 closed";
  EXPECT_THAT(writer.output(), IsText(word)) << "\"w\" with descriptor 0 closed";
}

TEST_F(MyPopen, LeavesNothingBehind) {
  struct Row {
    const char* what;
    std::vector<Family> families;
    int error;
  };
  const std::vector<Family> pipes = {Family::kPipe, Family::kSocket};
  const Row rows[] = {{"pipe() fails", pipes, EMFILE}, {"fork() fails", {Family::kFork}, EAGAIN}};
  for (const Row& row : rows) {
    Sandbox box({.watch = pipes, .shell = true});
    Helper caller = box.Start("ReadsCommand", {{"command", "exit 0"}});
    FailFrom(box, caller, row.families, 1, row.error);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    EXPECT_THAT(caller.call(), FailedWith(row.error)) << row.what;
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind()) << row.what;
  }
  Sandbox box({.shell = true});
  Helper caller = box.Start("ReadsCommand", {{"command", "echo hello"}});
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
