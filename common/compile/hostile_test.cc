// Submissions that attack or exhaust the compiler, and what they get.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/compile/compile.h"
#include "common/compile/jail.h"
#include "common/compile/testing.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Gt;
using testing::HasSubstr;
using testing::Lt;
using testing::Not;

constexpr char kSecret[] = "the-hidden-tests-say-42";

// Tight, so that a bomb is over soon; honest submissions get CompileLimits' own.
CompileOptions Tight() {
  CompileOptions options;
  options.limits.cpu = std::chrono::seconds(1);
  options.limits.memory_bytes = std::uint64_t{512} << 20;
  return options;
}

// A file of the host that exists and that this process can read.
std::string HiddenFile() {
  const std::string path = testing::TempDir() + "/hidden_tests.h";
  std::ofstream(path) << "#error " << kSecret << "\n";
  EXPECT_THAT(FileText(path), HasSubstr(kSecret));
  return path;
}

std::string InJail(const std::string& script) {
  JailJob job;
  job.files = {{"toy.cc", "int x;\n"}};
  job.command = [&](const Workplace&) -> std::vector<std::string> {
    return {"/bin/sh", "-c", script + "\nexit 1"};  // There is no result to fetch.
  };
  return RunInJail(job).messages.head();
}

TEST(HostileSource, IncludeOfAHostFileFindsNothing) {
  const Compiled compiled = CompileToy("#include \"" + HiddenFile() + "\"\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_THAT(compiled.diagnostics,
              AllOf(HasSubstr("No such file or directory"), Not(HasSubstr(kSecret))));
}

TEST(HostileSource, IncbinOfAHostFileFindsNothing) {
  for (const std::string& file : {HiddenFile(), std::string("/etc/passwd")}) {
    const Compiled compiled =
        CompileToy(std::string(kToyFunctions) + "asm(\".incbin \\\"" + file + "\\\"\");\n");

    EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
    EXPECT_THAT(compiled.diagnostics, HasSubstr("Error: file not found: " + file));
  }
}

TEST(HostileSource, IncludeOfTheCompilersEnvironmentFindsNothing) {
  const Compiled compiled = CompileToy("#include \"/proc/self/environ\"\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_THAT(compiled.diagnostics, HasSubstr("No such file or directory"));
}

TEST(HostileSource, EnvironmentOfTheGraderDecidesNothing) {
  HiddenFile();
  ASSERT_EQ(setenv("CPLUS_INCLUDE_PATH", testing::TempDir().c_str(), 1), 0);
  ASSERT_EQ(setenv("GCC_EXEC_PREFIX", "/nowhere/", 1), 0);

  const Compiled good = CompileToy(kToyFunctions);
  const Compiled bad = CompileToy("#include <hidden_tests.h>\n");
  unsetenv("CPLUS_INCLUDE_PATH");
  unsetenv("GCC_EXEC_PREFIX");

  EXPECT_EQ(good.outcome, CompileOutcome::kOk) << good.diagnostics;
  EXPECT_THAT(bad.diagnostics, HasSubstr("hidden_tests.h: No such file or directory"));
}

TEST(HostileSource, HugeArrayRunsIntoTheFileLimit) {
  const Compiled compiled = CompileToy("char big[2147483647] = {1};\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kLimit);
  EXPECT_EQ(compiled.reason, "compiling labs/toy/toy.cc gave a file of more than 64 MiB");
  EXPECT_EQ(compiled.diagnostics, "");
}

TEST(HostileSource, MacroBombRunsIntoTheMemoryLimit) {
  std::string text = "#define A0 x,x,x,x,x,x,x,x,x,x\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "A" + std::to_string(i - 1);
    text += "#define A" + std::to_string(i) + " ";
    for (int n = 0; n < 10; ++n) text += (n == 0 ? "" : ",") + last;
    text += "\n";
  }

  const Compiled compiled = CompileToy(text + "int x; int all[] = {A8};\n", Tight());

  EXPECT_EQ(compiled.outcome, CompileOutcome::kLimit) << compiled.diagnostics;
  EXPECT_EQ(compiled.reason, "compiling labs/toy/toy.cc took more than 512 MiB of memory");
}

TEST(HostileSource, TemplateBombRunsIntoALimit) {
  const Compiled compiled = CompileToy(
      "template <int N, long M> struct F {\n"
      "  static constexpr long v = F<N - 1, 2 * M>::v + F<N - 1, 2 * M + 1>::v;\n"
      "};\n"
      "template <long M> struct F<0, M> { static constexpr long v = 1; };\n"
      "long x = F<30, 0>::v;\n",
      Tight());

  EXPECT_EQ(compiled.outcome, CompileOutcome::kLimit) << compiled.diagnostics;
  EXPECT_THAT(compiled.reason, AnyOf(HasSubstr("took more than 1 s of processor time"),
                                     HasSubstr("took more than 512 MiB of memory")));
}

TEST(HostileSource, ConstexprBombRunsIntoTheTimeLimit) {
  const Compiled compiled = CompileToy(
      "constexpr long f(int n) {\n"
      "  long s = 0;\n"
      "  for (int i = 0; i < 100000; ++i) s += i ^ n;\n"
      "  return s;\n"
      "}\n"
      "template <int N> struct G { static constexpr long v = f(N) + G<N - 1>::v; };\n"
      "template <> struct G<0> { static constexpr long v = 0; };\n"
      "long x = G<800>::v;\n",
      Tight());

  EXPECT_EQ(compiled.outcome, CompileOutcome::kLimit) << compiled.diagnostics;
  EXPECT_EQ(compiled.reason, "compiling labs/toy/toy.cc took more than 1 s of processor time");
}

TEST(HostileSource, IncludeOfItselfEndsInAnError) {
  const Compiled compiled = CompileToy("#include __FILE__\n#include __FILE__\n", Tight());

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_THAT(compiled.diagnostics, HasSubstr("#include nested depth 200 exceeds maximum"));
  EXPECT_THAT(compiled.diagnostics.size(), Lt(std::size_t{100} << 10));
}

TEST(HostileSource, FloodOfWarningsIsCapped) {
  std::string text = kToyFunctions;
  for (int i = 0; i < 2000; ++i) text += "#warning " + std::to_string(i) + "\n";

  const Compiled compiled = CompileToy(text);

  EXPECT_EQ(compiled.outcome, CompileOutcome::kOk);
  EXPECT_THAT(compiled.diagnostics, HasSubstr("labs/toy/toy.cc:4:2: warning: #warning 0"));
  EXPECT_THAT(compiled.diagnostics, HasSubstr(" bytes more)\n"));
  EXPECT_THAT(compiled.diagnostics.size(), Lt(std::size_t{100} << 10));
}

TEST(HostileSource, AssemblyThatNeedsTextRelocationsDoesNotLink) {
  const Compiled compiled =
      CompileToy(std::string(kToyFunctions) + "asm(\".text\\n .long toy_answer\\n\");\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kError);
  EXPECT_EQ(compiled.reason, "labs/toy/toy.cc compiles but does not link");
}

// The gate refuses such a library, so what passes does not ask for it.
TEST(HostileSource, RequestForAnExecutableStackIsOverruled) {
  const Compiled compiled =
      CompileToy(std::string(kToyFunctions) +
                 "asm(\".pushsection .note.GNU-stack,\\\"x\\\",@progbits\\n.popsection\\n\");\n");

  EXPECT_EQ(compiled.outcome, CompileOutcome::kOk) << compiled.reason << compiled.diagnostics;
}

TEST(Jail, HoldsTheToolchainAndTheFilesAndNothingElse) {
  EXPECT_EQ(InJail("cd / && echo $(ls -d * usr/* etc/* submission/*)"),
            InJail("echo bin dev etc etc/alternatives lib lib64 submission submission/toy.cc tmp "
                   "usr usr/bin usr/include usr/lib $(cd / && ls -d usr/lib64 usr/libexec)"));
}

TEST(Jail, IsReadOnlyButForTmp) {
  EXPECT_THAT(InJail("echo x > /submission/toy.cc"), HasSubstr("Read-only file system"));
  EXPECT_THAT(InJail("echo x > /usr/bin/x"), HasSubstr("Read-only file system"));
  EXPECT_THAT(InJail("echo x > /x"), HasSubstr("Read-only file system"));
  EXPECT_EQ(InJail("echo x > /tmp/x"), "");
}

TEST(Jail, HasAnEnvironmentOfItsOwn) {
  ASSERT_EQ(setenv("GITHUB_TOKEN", kSecret, 1), 0);
  const std::string environment = InJail("env");
  unsetenv("GITHUB_TOKEN");

  EXPECT_THAT(environment, HasSubstr("PATH=/usr/bin:/bin\n"));
  EXPECT_THAT(environment, Not(HasSubstr(kSecret)));
}

TEST(Jail, HandsOnNoDescriptor) {
  const Fd open_everywhere(dup(STDERR_FILENO));  // Not close-on-exec.
  ASSERT_THAT(open_everywhere.get(), AllOf(Gt(2), Lt(10)));

  // A redirection to a closed descriptor fails; the shell knows those of one digit.
  for (int fd = 3; fd < 10; ++fd) {
    EXPECT_THAT(InJail("echo x >&" + std::to_string(fd)), HasSubstr("Bad file descriptor"));
  }
}

}  // namespace
}  // namespace ipclab
