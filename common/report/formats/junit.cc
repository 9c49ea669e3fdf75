// JUnit XML as CI servers read it; a test case for each check and a suite for each lab.
//
// Readers take the first <failure> of a case only, so there is one. Points are properties. What the
// grader could not judge is an <error>, the word for trouble that is not an assertion's; readers
// count it as not passed and not as a failure. A <skipped> case counts neither way: that is what a
// check becomes whose exercise is not started, and in practice every check that passed, because
// some readers give points for cases that pass. "builds" is a case of its own, or code that does
// not compile would be all skipped, which looks green.
//
// XML 1.0 cannot hold control characters at all, not even escaped; no text here has any.

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>
#include <string>

#include "common/base/text.h"
#include "common/report/formats/formats.h"
#include "common/report/plain.h"
#include "common/report/standing.h"
#include "common/report/summary.h"

namespace ipclab {
namespace {

constexpr std::size_t kNameLimit = 400;
constexpr std::size_t kTextLimit = 20000;

std::string Seconds(double milliseconds) { return fmt::format("{:.3f}", milliseconds / 1000); }

void Set(pugi::xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name).set_value(value.c_str());
}

// How the cases of a suite came out.
struct Tally {
  int tests = 0, failures = 0, errors = 0, skipped = 0;

  void operator+=(const Tally& other) {
    tests += other.tests;
    failures += other.failures;
    errors += other.errors;
    skipped += other.skipped;
  }
  void WriteTo(pugi::xml_node node) const {
    node.append_attribute("tests").set_value(tests);
    node.append_attribute("failures").set_value(failures);
    node.append_attribute("errors").set_value(errors);
    node.append_attribute("skipped").set_value(skipped);
  }
};

class Suite {
 public:
  Suite(pugi::xml_node node, const RunResult& run, const LabResult& lab, Language language)
      : node_(node), run_(run), lab_(lab), language_(language) {}

  Tally Write();

 private:
  pugi::xml_node Case(const std::string& classname, const std::string& name, double ms);
  void AddBuild();
  void AddCheck(const CheckResult& check);
  void Fail(pugi::xml_node node, const char* kind, const std::string& message,
            const std::string& type, const std::string& text);
  void Skip(pugi::xml_node node, const std::string& message);
  void Pass(pugi::xml_node node);

  pugi::xml_node node_;
  const RunResult& run_;
  const LabResult& lab_;
  const Language language_;
  Tally tally_;
};

pugi::xml_node Suite::Case(const std::string& classname, const std::string& name, double ms) {
  ++tally_.tests;
  pugi::xml_node node = node_.append_child("testcase");
  Set(node, "classname", Printable(classname, kNameLimit));
  Set(node, "name", Printable(name, kNameLimit));
  if (!lab_.source.empty()) Set(node, "file", Printable(lab_.source, kNameLimit));
  Set(node, "time", Seconds(ms));
  return node;
}

void Suite::Fail(pugi::xml_node node, const char* kind, const std::string& message,
                 const std::string& type, const std::string& text) {
  ++(kind == std::string("error") ? tally_.errors : tally_.failures);
  pugi::xml_node child = node.append_child(kind);
  Set(child, "message", message);
  Set(child, "type", Printable(type, kNameLimit));
  child.text().set(CutTo(text, kTextLimit, language_).c_str());
}

void Suite::Skip(pugi::xml_node node, const std::string& message) {
  ++tally_.skipped;
  Set(node.append_child("skipped"), "message", message);
}

void Suite::Pass(pugi::xml_node node) {
  if (!IsPractice(run_)) return;
  Skip(node, fmt::format(fmt::runtime(WordsOf(language_).practice),
                         Printable(run_.isolation.detail, kNameLimit)));
}

void Suite::AddBuild() {
  const pugi::xml_node node = Case(lab_.lab, "builds", 0);
  if (IsBuilt(lab_)) return Pass(node);
  const std::string& verdict = lab_.checks.front().verdict;
  Fail(node, "failure", std::string(Verdict(verdict, language_)), verdict, BuildMessages(lab_));
}

void Suite::AddCheck(const CheckResult& check) {
  const std::size_t dot = check.id.find('.');
  const std::string suite = check.id.substr(0, dot);
  const std::string name = dot == std::string::npos ? check.id : check.id.substr(dot + 1);
  pugi::xml_node node = Case(lab_.lab + "." + suite, name, check.duration_ms);
  if (check.line > 0) node.append_attribute("line").set_value(check.line);
  pugi::xml_node properties = node.append_child("properties");
  const auto property = [&](const char* key, const std::string& value) {
    pugi::xml_node child = properties.append_child("property");
    Set(child, "name", key);
    Set(child, "value", value);
  };
  property("points", PointsText(check.points));
  property("max_points", PointsText(check.max_points));
  property("exercise", Printable(check.exercise, kNameLimit));
  property("title", Printable(check.title, kNameLimit));
  const std::string headline = Headline(check, language_);
  switch (check.status) {
    case CheckStatus::kPassed:
      return Pass(node);
    case CheckStatus::kFailed:
      return Fail(node, "failure", headline, check.verdict, Explanation(check, language_));
    case CheckStatus::kNotGraded:
      return Fail(node, "error", headline, check.verdict, Explanation(check, language_));
    case CheckStatus::kSkipped:
      return Skip(node, CutTo(headline + "\n" + Explanation(check, language_), 2000, language_));
  }
}

Tally Suite::Write() {
  if (!lab_.error.empty()) {
    const pugi::xml_node node = Case(lab_.lab, "is graded", 0);
    Fail(node, "error", std::string(WordsOf(language_).cannot_grade), "not graded",
         Quoted(lab_.error, "| ", 40));
  } else {
    AddBuild();
    for (const CheckResult& check : lab_.checks) AddCheck(check);
  }
  double ms = 0;
  for (const CheckResult& check : lab_.checks) ms += check.duration_ms;
  Set(node_, "name", Printable(lab_.lab, kNameLimit));
  tally_.WriteTo(node_);
  Set(node_, "time", Seconds(ms));
  // ISO 8601 without a zone, as the format has it; the time is UTC.
  Set(node_, "timestamp", run_.started_at.substr(0, run_.started_at.find('Z')));
  return tally_;
}

}  // namespace

Document WriteJUnit(const RunResult& run, const FormatOptions& options) {
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  Set(declaration, "version", "1.0");
  Set(declaration, "encoding", "UTF-8");
  pugi::xml_node suites = document.append_child("testsuites");
  Set(suites, "name", "IPC Labs");
  Tally total;
  for (const LabResult& lab : run.labs) {
    total += Suite(suites.append_child("testsuite"), run, lab, options.style.language).Write();
  }
  total.WriteTo(suites);
  Set(suites, "time", Seconds(run.duration_ms));
  std::ostringstream text;
  document.save(text, "  ", pugi::format_indent, pugi::encoding_utf8);
  return {.text = text.str()};
}

}  // namespace ipclab
