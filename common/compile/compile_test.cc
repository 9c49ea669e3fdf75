#include "common/compile/compile.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "common/base/error.h"
#include "common/compile/jail.h"
#include "common/compile/testing.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

TEST(CompileSubmission, GivesALibraryThatLoads) {
  const Compiled compiled = CompileToy(FileText(std::string(kToyFolder) + "toy.cc"));
  ASSERT_EQ(compiled.outcome, CompileOutcome::kOk) << compiled.reason << compiled.diagnostics;
  EXPECT_EQ(compiled.reason, "");
  EXPECT_EQ(compiled.diagnostics, "");
  EXPECT_TRUE(compiled.jailed);

  const std::string path = "/proc/self/fd/" + std::to_string(compiled.library.get());
  const std::unique_ptr<void, int (*)(void*)> library(dlopen(path.c_str(), RTLD_NOW), &dlclose);
  ASSERT_NE(library, nullptr) << dlerror();
  auto* const answer = reinterpret_cast<int (*)(int)>(dlsym(library.get(), "toy_answer"));
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer(41), 42);
}

TEST(CompileSubmission, LibraryIsSealedAndAtItsBeginning) {
  const Compiled compiled = CompileToy(kToyFunctions);
  ASSERT_EQ(compiled.outcome, CompileOutcome::kOk) << compiled.diagnostics;
  const int library = compiled.library.get();

  EXPECT_EQ(lseek(library, 0, SEEK_CUR), 0);
  const int seals = fcntl(library, F_GET_SEALS);
  EXPECT_EQ(seals, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  EXPECT_EQ(fcntl(library, F_GETFD), FD_CLOEXEC);
}

TEST(CompileSubmission, SameTextGivesTheSameLibrary) {
  const Compiled first = CompileToy(kToyFunctions);
  const Compiled second = CompileToy(kToyFunctions);

  EXPECT_THAT(LibraryText(first), StartsWith("\x7f"
                                             "ELF"));
  EXPECT_EQ(LibraryText(first), LibraryText(second));
}

TEST(CompileSubmission, ErrorsNameTheStudentsFileAndLine) {
  const Compiled compiled = CompileToy("#include \"toy.h\"\nint x = y;\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_EQ(compiled.reason, "labs/toy/toy.cc does not compile");
  EXPECT_THAT(compiled.diagnostics,
              AllOf(StartsWith("labs/toy/toy.cc:2:9: error: 'y' was not declared in this scope\n"),
                    Not(HasSubstr(kJailFolder))));
  EXPECT_FALSE(compiled.library);
}

TEST(CompileSubmission, WarningsOfAGoodSubmissionAreKept) {
  const Compiled compiled = CompileToy(std::string(kToyFunctions) + "static int unused = 1;\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kOk);
  EXPECT_THAT(compiled.diagnostics, StartsWith("labs/toy/toy.cc:4:12: warning: "));
}

TEST(CompileSubmission, UndefinedFunctionIsALinkErrorThatNamesTheLine) {
  const Compiled compiled = CompileToy(std::string(kToyFunctions) +
                                       "int nowhere();\n"
                                       "int use() { return nowhere(); }\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_EQ(compiled.reason, "labs/toy/toy.cc compiles but does not link");
  EXPECT_THAT(compiled.diagnostics,
              AllOf(HasSubstr("toy.o: in function `use()':\n"),
                    HasSubstr("labs/toy/toy.cc:5: undefined reference to `nowhere()'\n"),
                    Not(HasSubstr("/tmp/"))));
}

TEST(CompileSubmission, MissingFunctionIsNamed) {
  const Compiled compiled = CompileToy(
      "#include \"toy.h\"\n"
      "int ipclab::toy::toy_answer(int question) { return question; }\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kRejected);
  EXPECT_EQ(compiled.reason,
            "labs/toy/toy.cc: toy_count is not defined; keep every function of the lab's header in "
            "the file");
}

TEST(CompileSubmission, ForbiddenFunctionIsNamed) {
  const Compiled compiled = CompileToy(std::string("#include <cstdio>\n") + kToyFunctions +
                                       "FILE* use() { return popen(\"ls\", \"r\"); }\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kRejected);
  EXPECT_EQ(compiled.reason, "labs/toy/toy.cc: popen must not be used in this lab");
}

TEST(CompileSubmission, PathIsShownAsGivenEvenIfItLooksLikeTheJails) {
  const Compiled compiled =
      CompileSubmission(ToyContract(), {"/a/submission/toy.cc", "int x = y;\n"}, {});

  EXPECT_THAT(compiled.diagnostics, StartsWith("/a/submission/toy.cc:1:9: error: "));
}

TEST(CompileSubmission, ControlCharactersOfASourceAreEscaped) {
  const Compiled compiled = CompileToy("#error a\x1b[2J\x07z\n");

  EXPECT_THAT(compiled.diagnostics, HasSubstr("#error a\\x1b[2J\\x07z\n"));
  EXPECT_THAT(compiled.diagnostics, Not(HasSubstr("\x1b")));
}

TEST(CompileSubmission, MissingHeaderIsOursAndNotTheStudents) {
  LabContract contract = ToyContract();
  contract.header_path = "nowhere/toy.h";

  EXPECT_THROW(CompileSubmission(contract, {"toy.cc", ""}, {}), GraderError);
}

TEST(ReadContract, TellsRequiredFromForbidden) {
  const LabContract contract = ToyContract();

  EXPECT_THAT(contract.symbols, ElementsAre("toy_answer", "toy_count"));
  EXPECT_THAT(contract.forbidden, ElementsAre("popen"));
}

TEST(ReadContract, RefusesALineThatMeansNothing) {
  const std::string path = testing::TempDir() + "/exports.txt";
  std::ofstream(path) << "toy_answer\nallow popen\n";

  try {
    ReadContract("toy", "toy.h", path);
    FAIL() << "it was read";
  } catch (const GraderError& error) {
    EXPECT_EQ(error.what(), path + ": not a line of an exports file: allow popen");
  }
}

TEST(PrecompiledHeaders, AreThoseThatTheirSourceIncludes) {
  const std::string patched = std::string("namespace { std::string text; }\n") + kToyFunctions;
  EXPECT_EQ(CompileToy(patched).outcome, CompileOutcome::kError) << "nobody includes <string>";
  const std::string path = testing::TempDir() + "/headers.gch";
  std::ofstream(path, std::ios::binary)
      << PrecompileHeaders({"toy.cc", "#include \"toy.h\"\n#include <string>\nint x;\n"}, {});
  CompileOptions options;
  options.precompiled = path;

  const Compiled compiled = CompileToy(patched, options);

  EXPECT_EQ(compiled.outcome, CompileOutcome::kOk) << compiled.diagnostics;
}

TEST(PrecompiledHeaders, OfAnotherCompilerAreAnError) {
  CompileOptions options;
  options.precompiled = testing::TempDir() + "/other.gch";
  std::ofstream(options.precompiled) << "not a precompiled header";

  const Compiled compiled = CompileToy(kToyFunctions, options);

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_THAT(compiled.diagnostics, HasSubstr("headers.h"));
}

// The command and the files of a compile are the same with and without a jail.
TEST(WithoutJail, CommandRunsBesideItsFilesAndLeavesNothing) {
  Workplace used;
  JailJob job;
  job.files = {{"note", "hello"}};
  job.command = [&](const Workplace& at) -> std::vector<std::string> {
    used = at;
    return {"/bin/cp", at.folder + "/note", at.result};
  };

  const JailRun run = RunWithoutJail(job);

  EXPECT_TRUE(run.made);
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.result, "hello");
  EXPECT_FALSE(std::filesystem::exists(used.folder));
}

TEST(WithoutJail, WallClockEndsTheWholeTree) {
  JailJob job;
  job.command = [](const Workplace&) -> std::vector<std::string> {
    return {"/bin/sh", "-c", "/bin/sleep 86399.125 & wait"};
  };
  job.limits.wall = std::chrono::milliseconds(300);

  const JailRun run = RunWithoutJail(job);

  EXPECT_TRUE(run.timed_out);
  const std::string wanted(
      "/bin/sleep\0"
      "86399.125\0",
      21);
  const auto runs = [&] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      if (FileText(entry.path() / "cmdline") == wanted) return true;
    }
    return false;
  };
  // A killed process ends on its own processor's time: look until it is gone.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (runs() && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_FALSE(runs());
}

TEST(WithoutJail, EndlessResultIsCutOff) {
  JailJob job;
  job.command = [](const Workplace& at) -> std::vector<std::string> {
    return {"/bin/ln", "-s", "/dev/zero", at.result};
  };
  job.limits.file_bytes = 1 << 20;

  const JailRun run = RunWithoutJail(job);

  EXPECT_TRUE(run.flooded);
  EXPECT_THAT(run.result, IsEmpty());
}

TEST(Jail, WallClockEndsIt) {
  JailJob job;
  job.command = [](const Workplace&) -> std::vector<std::string> {
    return {"/bin/sleep", "86399"};
  };
  job.limits.wall = std::chrono::milliseconds(300);

  const JailRun run = RunInJail(job);

  EXPECT_TRUE(run.made) << run.messages.head();
  EXPECT_TRUE(run.timed_out);
  EXPECT_THAT(run.result, IsEmpty());
}

}  // namespace
}  // namespace ipclab
