#include "common/compile/diagnostics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/error.h"

namespace ipclab {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Optional;
using testing::SizeIs;

const ShownNames kJailed = {kJailFolder, "toy", "labs/toy/toy.cc"};

CappedText Text(const std::string& text) {
  CappedText capped;
  capped.Append(text);
  return capped;
}

JailRun Ended(int exit_code, const std::string& messages) {
  JailRun run;
  run.made = true;
  run.exit_code = exit_code;
  run.messages.Append(messages);
  return run;
}

// What CheckOurPart throws, "" if nothing.
std::string OurPart(const JailRun& run) {
  try {
    CheckOurPart(run);
    return "";
  } catch (const GraderError& error) {
    return error.what();
  }
}

TEST(CappedText, KeepsBothEndsOfALongText) {
  CappedText text;
  for (int i = 0; i < 200; ++i) text.Append(std::string(1024, 'a'));
  text.Append("the end");

  EXPECT_THAT(text.head(), SizeIs(CappedText::kHeadBytes));
  EXPECT_THAT(text.tail(), SizeIs(CappedText::kTailBytes));
  EXPECT_THAT(text.tail(), EndsWith("athe end"));
  EXPECT_EQ(text.dropped(), 200 * 1024 + 7 - CappedText::kHeadBytes - CappedText::kTailBytes);
}

TEST(ShownDiagnostics, NameTheStudentsFiles) {
  EXPECT_EQ(ShownDiagnostics(Text("In file included from /submission/toy.cc:1:\n"
                                  "/submission/toy.h:3:1: note: here\n"),
                             kJailed),
            "In file included from labs/toy/toy.cc:1:\ntoy.h:3:1: note: here\n");
}

TEST(ShownDiagnostics, NameNoTemporaryFile) {
  EXPECT_EQ(ShownDiagnostics(Text("/usr/bin/ld: /tmp/ccAb12Yz.o: in function `f':\n"
                                  "{standard input}:8: Error: no such instruction\n"),
                             kJailed),
            "/usr/bin/ld: toy.o: in function `f':\n"
            "assembler code of labs/toy/toy.cc:8: Error: no such instruction\n");
}

TEST(ShownDiagnostics, OfAScratchFolderLookTheSame) {
  const ShownNames scratch = {"/tmp/ipclab-x", "toy", "labs/toy/toy.cc"};

  EXPECT_EQ(ShownDiagnostics(Text("/tmp/ipclab-x/toy.cc:1:1: error: a\n"
                                  "/usr/bin/ld: /tmp/ipclab-x/ccAb12Yz.o: in function `f':\n"
                                  "/submission/toy.cc:5: undefined reference to `g'\n"),
                             scratch),
            "labs/toy/toy.cc:1:1: error: a\n"
            "/usr/bin/ld: toy.o: in function `f':\n"
            "labs/toy/toy.cc:5: undefined reference to `g'\n");
}

TEST(ShownDiagnostics, SayHowMuchIsLeftOut) {
  EXPECT_THAT(ShownDiagnostics(Text(std::string(CappedText::kHeadBytes + 1, '\n')), kJailed),
              EndsWith("\n... (1 byte more)\n"));
}

TEST(LimitReached, TellsTheLimitsApart) {
  const CompileLimits limits;
  const auto reached = [&](const std::string& messages) {
    return LimitReached(Ended(1, messages), limits);
  };

  EXPECT_THAT(
      reached("g++: fatal error: CPU time limit exceeded signal terminated program cc1plus"),
      Optional(std::string("took more than 20 s of processor time")));
  EXPECT_THAT(
      reached("collect2: fatal error: ld terminated with signal 25 [File size limit exceeded]"),
      Optional(std::string("gave a file of more than 64 MiB")));
  EXPECT_THAT(reached("cc1plus: out of memory allocating 65536 bytes after a total of 1 bytes"),
              Optional(std::string("took more than 2048 MiB of memory")));
  EXPECT_EQ(reached("labs/toy/toy.cc:1:1: error: 'x' does not name a type"), std::nullopt);
}

TEST(LimitReached, IsFoundBehindAFloodOfMessages) {
  EXPECT_THAT(LimitReached(Ended(1, std::string(1 << 20, 'w') +
                                        "\ng++: fatal error: CPU time limit exceeded signal "
                                        "terminated program cc1plus\n"),
                           {}),
              Optional(HasSubstr("processor time")));
}

TEST(LimitReached, IsNoMatterOfASuccess) {
  EXPECT_EQ(LimitReached(Ended(0, "warning: virtual memory exhausted"), {}), std::nullopt);
}

TEST(CheckOurPart, CompilerThatCannotBeRunIsOurs) {
  EXPECT_EQ(OurPart(Ended(127, "sh: 1: /usr/bin/g++: not found\n")),
            "the compiler did not run: sh: 1: /usr/bin/g++: not found\\n");
}

TEST(CheckOurPart, CompilerThatTheKernelKilledIsOurs) {
  EXPECT_EQ(OurPart(Ended(1, "g++: fatal error: Killed signal terminated program cc1plus\n")),
            "the compiler was killed; most likely the machine is out of memory");
  EXPECT_EQ(OurPart(Ended(137, "")), "the compiler was ended by SIGKILL");
}

TEST(CheckOurPart, ErrorInTheSourceIsNot) {
  EXPECT_EQ(OurPart(Ended(1, "labs/toy/toy.cc:1:1: error: 'x' does not name a type\n")), "");
}

}  // namespace
}  // namespace ipclab
