#include "common/report/markdown.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "common/report/breakout_run.h"
#include "common/report/examples.h"
#include "common/report/markdown_text.h"
#include "common/report/mermaid.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string English(const RunResult& run, std::size_t limit = kJobSummaryLimit) {
  return ToMarkdown(run, Language::kEnglish, limit);
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The lines that are not in a block of code.
std::vector<std::string> Prose(const std::string& markdown) {
  std::vector<std::string> prose;
  std::string fence;
  for (const std::string& line : Lines(markdown)) {
    const std::size_t ticks = std::min(line.find_first_not_of('`'), line.size());
    if (fence.empty() && ticks >= 3) {
      fence = line.substr(0, ticks);
    } else if (!fence.empty() && line == fence) {
      fence.clear();
    } else if (fence.empty()) {
      prose.push_back(line);
    }
  }
  EXPECT_EQ(fence, "") << "a block of code does not end";
  return prose;
}

TEST(MarkdownText, KeepsCodeAndEscapesTheRest) {
  EXPECT_EQ(MarkdownText("a *b* <c> of `yes | head`, out_fd"),
            "a \\*b\\* \\<c\\> of `yes | head`, out\\_fd");
  EXPECT_EQ(CodeSpan("a`b"), "`a'b`");
  EXPECT_EQ(CodeSpan(""), "` `");
}

TEST(MarkdownText, MakesAFenceThatTheTextCannotEnd) {
  EXPECT_EQ(CodeBlock("text", "a\n````\nb"), "`````text\na\n````\nb\n`````\n");
  EXPECT_LT(CodeBlock("text", std::string(50000, '\n')).size(), 300u);
}

TEST(JobSummary, TellsScoresFailuresAndPictures) {
  EXPECT_THAT(English(MixedRun()),
              AllOf(StartsWith("# IPC Labs: 10 / 40 points\n\n1 of 3 exercises solved\n"),
                    HasSubstr("| demo.1 sender | 10 / 10 | ██████████ |\n"),
                    HasSubstr("#### ❌ The reader sees the end of the file\n"),
                    HasSubstr("**FAILED: deadlock**, 0 / 5 points, `Reader.SeesEndOfFile`"),
                    HasSubstr("**observed**\n\n```text\nprocess 3 waits in read() on pipe A;"),
                    HasSubstr("```mermaid\nflowchart LR\n  p3[\"process 3<br/>child of Reads"),
                    HasSubstr("```mermaid\nsequenceDiagram\n  participant p2 as"),
                    HasSubstr("p2->>p3: clone() = 3\n"),
                    HasSubstr("<details><summary>passed checks (2)</summary>"),
                    HasSubstr("**look at** Which ends of the pipe"), Not(HasSubstr("Left out"))));
}

TEST(JobSummary, ShowsWhatCouldNotBeBuiltOrGraded) {
  EXPECT_THAT(English(BrokenCodeRun()),
              HasSubstr("**does not compile**\n\n```text\nlabs/demo/demo.cc:3:1: error"));
  EXPECT_THAT(English(RefusedRun()), AllOf(StartsWith("# IPC Labs: could not be graded"),
                                           HasSubstr("a submission cannot be confined here")));
  RunResult run = MixedRun();
  run.isolation = {"practice", "no user namespaces", ""};
  EXPECT_THAT(English(run), HasSubstr("> [!WARNING]\n> Practice only, these points do not count"));
}

TEST(JobSummary, IsNeverLongerThanItsLimit) {
  for (const RunResult& run : {MixedRun(), BreakoutRun(), BrokenCodeRun(), RefusedRun()}) {
    for (std::size_t limit = 0; limit < 9000; limit += 37) {
      EXPECT_LE(English(run, limit).size(), limit);
    }
  }
}

TEST(JobSummary, LeavesOutPicturesAndPassedChecksBeforeDetails) {
  const RunResult run = MixedRun();
  const std::size_t all = English(run).size();
  EXPECT_THAT(English(run, all - 1),
              AllOf(HasSubstr("Left out here for length: passed checks.\n"), HasSubstr("mermaid"),
                    HasSubstr("**observed**"), Not(HasSubstr("<details>"))));
  EXPECT_THAT(English(run, 2300),
              AllOf(HasSubstr("Left out here for length: passed checks, pictures.\n"),
                    Not(HasSubstr("mermaid")), HasSubstr("**observed**")));
  EXPECT_THAT(English(run, 1100), AllOf(HasSubstr("passed checks, pictures, details.\n"),
                                        Not(HasSubstr("**observed**")),
                                        HasSubstr("- ❌ **FAILED: deadlock**, 0 / 5 points")));
  EXPECT_THAT(English(run, 640), AllOf(HasSubstr("single checks.\n"), HasSubstr("| demo.1"),
                                       Not(HasSubstr("Reader.ClosesItsEnds"))));
}

TEST(JobSummary, IsWholeHoweverShort) {
  for (std::size_t limit = 400; limit < 9000; limit += 61) {
    const std::string text = English(BreakoutRun(), limit);
    if (text.size() < limit) {
      EXPECT_THAT(Lines(text).back(), HasSubstr("--seed 4711"));
    }
    Prose(text);
  }
}

// Outside of code, nothing is a line or a tag that a submission wrote.
TEST(JobSummary, CannotBeForgedByASubmission) {
  int headings = 0;
  for (const std::string& line : Prose(English(BreakoutRun()))) {
    EXPECT_THAT(line, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\xe2\x80\xae"))));
    headings += line.substr(0, 2) == "# " ? 1 : 0;
    // What is left without code spans and what is escaped.
    std::string bare;
    bool code = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (!code && line[i] == '\\') {
        ++i;
      } else if (line[i] == '`') {
        code = !code;
      } else if (!code) {
        bare += line[i];
      }
    }
    EXPECT_THAT(bare, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<img")), Not(HasSubstr("](")),
                            Not(HasSubstr("@")), Not(HasSubstr("$"))));
    EXPECT_FALSE(code) << line;
  }
  EXPECT_EQ(headings, 1);
}

TEST(Mermaid, KeepsToASafeAlphabet) {
  EXPECT_EQ(MermaidLabel("write(4 <pipe A>, 6) = 6", 40), "write(4 ‹pipe A›, 6) = 6");
  EXPECT_EQ(MermaidLabel("a;b#c:\"d\"`$%&", 40), "a#59;b#35;c#58;#34;d#34;#96;#36;#37;#38;");
  EXPECT_EQ(MermaidLabel("a\nb\x1b", 40), "a#92;nb#92;x1b");
  EXPECT_EQ(MermaidLabel("进程 → é 🎉", 40), "进程 → é ?");
  EXPECT_EQ(MermaidLabel("", 40), "-");
  EXPECT_LE(Columns(MermaidLabel(std::string(500, 'x'), 40)), 40);
}

// Every line of a diagram is one of ours, whatever the labels are.
TEST(Mermaid, HasOnlyLinesOfItsOwn) {
  const RunResult run = BreakoutRun();
  for (const CheckResult& check : run.labs[0].checks) {
    const Picture events = DrawPicture(check, Language::kEnglish);
    const std::string sequence = ToMermaid(events, Language::kEnglish);
    EXPECT_LT(sequence.size(), 50000u);
    for (const std::string& line : Lines(sequence)) {
      EXPECT_THAT(line, testing::MatchesRegex(
                            "sequenceDiagram|  participant p[0-9]+ as .*|"
                            "  Note over p[0-9]+(,p[0-9]+)?: .*|  p[0-9]+--?>>p[0-9]+: .*|"
                            "  (de)?activate p[0-9]+|  rect rgba\\(200, 40, 40, 0.2\\)|  end"));
    }
    const std::string flow = ToMermaid(DrawWaits(check, Language::kEnglish), Language::kEnglish);
    EXPECT_LT(flow.size(), 50000u);
    for (const std::string& line : Lines(flow)) {
      EXPECT_THAT(line,
                  testing::MatchesRegex("flowchart LR|  p[0-9]+\\[\"[^\"]*\"\\]|"
                                        "  p[0-9]+ -->(\\|\"[^\"]*\"\\|)? p[0-9]+|"
                                        "  linkStyle [0-9,]+ stroke.*|  style p[0-9]+ str.*"));
    }
  }
}

TEST(Mermaid, MarksThoseWhoNeverReturn) {
  EXPECT_THAT(
      ToMermaid(DrawPicture(MixedRun().labs[0].checks[2], Language::kEnglish), Language::kEnglish),
      HasSubstr("  rect rgba(200, 40, 40, 0.2)\n  Note over p3: read(3 ‹pipe A›, 4096) "
                "..., never returns#58; waits for bytes"));
}

}  // namespace
}  // namespace ipclab
