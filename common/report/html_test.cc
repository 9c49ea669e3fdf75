#include "common/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "common/report/examples.h"
#include "common/report/breakout_run.h"
#include "common/report/markup.h"
#include "common/report/svg.h"
#include "common/report/svg_parts.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string English(const RunResult& run) { return ToHtml(run, Language::kEnglish); }

std::vector<std::string> Matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (auto i = std::sregex_iterator(text.begin(), text.end(), regex); i != std::sregex_iterator();
       ++i) {
    found.push_back((*i)[1]);
  }
  return found;
}

TEST(Markup, EscapesWhatHasAMeaning) {
  EXPECT_EQ(Html("<a href=\"x\" id='y'>&`"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;&#96;");
  EXPECT_EQ(Html("a\nb\xe2\x80\xae\xff"), "a\\nb\\xe2\\x80\\xae\\xff");
  EXPECT_EQ(Html("abcdef", 2), "ab... (4 bytes more)");
}

TEST(Markup, ShowsCodeOfTheRubric) {
  EXPECT_EQ(HtmlWithCode("as in `yes | head <x>`, or `"),
            "as in <code>yes | head &lt;x&gt;</code>, or &#96;");
}

TEST(Markup, QuotesLineByLineAndCutsWhatIsTooLong) {
  EXPECT_EQ(Quote("a\n</pre>b"), "<pre class=\"quote\">a\n&lt;/pre&gt;b</pre>\n");
  EXPECT_EQ(Quote("a\nb\nc\n", 2), "<pre class=\"quote\">a\nb\n... (2 bytes more)</pre>\n");
  EXPECT_LT(Quote(std::string(100000, '\n')).size(), 300u);
  EXPECT_LT(Quote(std::string(100000, 'x')).size(), kHtmlTextLimit + 100);
  EXPECT_EQ(Quote(""), "");
}

TEST(HtmlReport, TellsAFailedCheckUnderItsId) {
  EXPECT_THAT(
      English(MixedRun()),
      AllOf(StartsWith("<!DOCTYPE html>\n<html lang=\"en\">"),
            HasSubstr("<title>IPC Labs demo: 10 / 40</title>"),
            HasSubstr("<article class=\"check failed\" id=\"Reader.SeesEndOfFile\">\n"
                      "<h4>The reader sees the end of the file</h4>"),
            HasSubstr("FAILED: deadlock</span> · 0 / 5 points"),
            HasSubstr("<dt>expected</dt>\n<dd>the helper exits with 0</dd>"),
            HasSubstr("<dt>observed</dt>\n<dd><pre class=\"quote\">process 3 waits in read()"),
            HasSubstr("reader() in demo.cc, line 34"),
            HasSubstr("Which ends of the pipe does the reader still hold"),
            HasSubstr("<dd>pipe(7), fork(2)</dd>")));
}

TEST(HtmlReport, DrawsWhatHappenedAndWhoWaits) {
  EXPECT_THAT(English(MixedRun()),
              AllOf(HasSubstr("<svg class=\"picture events\" role=\"img\" "
                              "aria-labelledby=\"Reader.SeesEndOfFile-events-title "),
                    HasSubstr("<svg class=\"picture waits\" role=\"img\""),
                    HasSubstr("It waits for itself: process 3"),
                    HasSubstr("<li><span class=\"soft\">0.410 ms process 3 (child of "
                              "Reads)</span> read(3 &lt;pipe A&gt;, 4096) ...</li>")));
}

TEST(HtmlReport, LeadsToEveryCheckAndUsesNoIdTwice) {
  for (RunResult run : {MixedRun(), BrokenCodeRun(), BreakoutRun()}) {
    run.labs.push_back(run.labs[0]);
    run.labs[1].lab = "other";
    const std::string html = English(run);
    const std::vector<std::string> ids = Matches(html, " id=\"([^\"]*)\"");
    const std::set<std::string> unique(ids.begin(), ids.end());
    for (const CheckResult& check : run.labs[0].checks) {
      EXPECT_EQ(unique.count(check.id), 1u) << check.id;
    }
    for (const std::string& id : Matches(html, " href=\"#([^\"]*)\"")) {
      EXPECT_EQ(unique.count(id), 1u) << id;
    }
  }
  const std::vector<std::string> ids = Matches(English(BreakoutRun()), " id=\"([^\"]*)\"");
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size());
}

TEST(HtmlReport, ShowsWhyNothingCouldBeGraded) {
  EXPECT_THAT(English(RefusedRun()),
              AllOf(HasSubstr("<h1>could not be graded</h1>"),
                    HasSubstr("<pre class=\"quote\">a submission cannot be confined here: no user "
                              "namespaces\nTo fix it: sudo"),
                    Not(HasSubstr("class=\"next\""))));
}

TEST(HtmlReport, ShowsTheCompilersWords) {
  EXPECT_THAT(English(BrokenCodeRun()),
              AllOf(HasSubstr("<p class=\"status\">does not compile</p>\n<pre class=\"quote\">"
                              "labs/demo/demo.cc:3:1: error: expected &#39;;&#39;\n    3 | }"),
                    HasSubstr("make labs/demo/demo.cc build")));
}

TEST(HtmlReport, SaysThatAPracticeRunDoesNotCount) {
  RunResult run = MixedRun();
  EXPECT_THAT(English(run), Not(HasSubstr("Practice only")));
  run.isolation = {"practice", "no user namespaces", "sudo sysctl -w kernel.x=0"};
  EXPECT_THAT(English(run), AllOf(HasSubstr("Practice only, these points do not count: no user"),
                                  HasSubstr("<code>sudo sysctl -w kernel.x=0</code>")));
}

TEST(HtmlReport, SaysWhoseFaultItIsThatACheckWasNotGraded) {
  EXPECT_THAT(English(MixedRun()),
              AllOf(HasSubstr("1 not graded: the grader&#39;s fault, not yours"),
                    HasSubstr("<article class=\"check not_graded\" id=\"Reader.SurvivesEintr\">")));
}

TEST(HtmlReport, SpeaksChinese) {
  EXPECT_THAT(ToHtml(MixedRun(), Language::kChinese),
              AllOf(HasSubstr("<html lang=\"zh-CN\">"), HasSubstr("未通过：死锁"),
                    HasSubstr("谁在等谁"), HasSubstr("自己等自己：进程 3")));
}

TEST(HtmlReport, AllowsItselfNothingButItsOwnStyle) {
  EXPECT_THAT(English(MixedRun()), HasSubstr("content=\"default-src 'none'; style-src 'sha256-"));
}

// Whatever a submission writes, the page has no element or attribute but ours.
TEST(HtmlReport, HasNoMarkupOfASubmission) {
  const std::string html = English(BreakoutRun());
  for (const std::string& tag : Matches(html, "<([a-zA-Z!/][^ >]*)")) {
    static const std::set<std::string> kOurs = {
        "!DOCTYPE", "html", "head",    "meta",   "title",      "style",   "body",    "header",
        "p",        "h1",   "h2",      "h3",     "h4",         "span",    "b",       "code",
        "nav",      "ul",   "li",      "a",      "main",       "section", "table",   "thead",
        "tbody",    "tr",   "th",      "td",     "svg",        "rect",    "details", "summary",
        "div",      "pre",  "article", "dl",     "dt",         "dd",      "figure",  "desc",
        "path",     "g",    "text",    "circle", "figcaption", "ol",      "footer"};
    EXPECT_EQ(kOurs.count(tag[0] == '/' ? tag.substr(1) : tag), 1u) << tag;
  }
  for (const std::string& attributes : Matches(html, "<[a-zA-Z][a-zA-Z0-9]*((?: [^<>]*)?)>")) {
    // With the quoted values gone, only the names of attributes are left.
    const std::string names = std::regex_replace(attributes, std::regex("=\"[^\"]*\""), "");
    EXPECT_THAT(names, Not(testing::MatchesRegex(".*(\\bon|src|style|=|'|\").*"))) << attributes;
  }
  EXPECT_EQ(html.find('\0'), std::string::npos);
  EXPECT_EQ(html.find('\x1b'), std::string::npos);
  EXPECT_THAT(html, Not(HasSubstr("\xe2\x80\xae")));
}

TEST(Svg, CutsALabelAndKeepsItWholeInATooltip) {
  EXPECT_EQ(svg::Text(1, 2, "label", "write(4 <pipe A>)", 10),
            "<text class=\"label\" x=\"1\" y=\"2\"><title>write(4 &lt;pipe "
            "A&gt;)</title>write(4...</text>\n");
}

TEST(Svg, IsWideEnoughForItsLabelsAndNoWider) {
  for (const Picture& picture :
       {DrawPicture(BreakoutRun().labs[0].checks.back(), Language::kEnglish),
        DrawPicture(MixedRun().labs[0].checks[2], Language::kEnglish)}) {
    const std::string drawn = ToSvg(picture, "id", "check", Language::kEnglish);
    const double width = std::stod(Matches(drawn, "width=\"([0-9.]+)\"").at(0));
    EXPECT_LT(width, 700);
    for (const std::string& line : Matches(drawn, "(<text[^>]*>[^<]*<)")) {
      const double x = std::stod(Matches(line, " x=\"([0-9.]+)\"").at(0));
      EXPECT_LT(x + 5.4 * std::min<double>(46, static_cast<double>(line.size()) - 60), width)
          << line;
    }
  }
}

TEST(Svg, DrawsTheShareThatIsDone) {
  EXPECT_THAT(BarSvg(0.25), HasSubstr("class=\"done\" width=\"25.0\""));
  EXPECT_THAT(BarSvg(7), HasSubstr("class=\"done\" width=\"100.0\""));
}

}  // namespace
}  // namespace ipclab
