#include "common/grading/results_writer.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "common/grading/grader.h"
#include "common/grading/session.h"

namespace ipclab {
namespace {

constexpr std::size_t kObservedLimit = 3000;

std::set<std::string>& NotPassed() {
  static auto* const ids = new std::set<std::string>;
  return *ids;
}

const Rubric*& CurrentRubric() {
  static const Rubric* rubric = nullptr;
  return rubric;
}

std::string IdOf(const testing::TestInfo& info) {
  return std::string(info.test_suite_name()) + "." + info.name();
}

// A value that a matcher explains is not shown beside its explanation: of  "\x1..." "...", 5 bytes
// arrived , of  { "..." }, \n  left behind: ...  and of  24-byte object <80-01 ...>, mode 0600 only
// the words behind the value are left.
std::string WithoutDump(const std::string& text) {
  constexpr std::string_view kObject = "-byte object <", kType = " (of type ";
  const std::size_t size = text.find_first_not_of("0123456789");
  if (size != text.npos && text.compare(size, kObject.size(), kObject) == 0) {
    std::size_t end = text.find('>', size);
    if (end != text.npos && text.compare(end + 1, kType.size(), kType) == 0) {
      end = text.find(')', end);
    }
    if (end != text.npos && text.compare(end + 1, 2, ", ") == 0) return text.substr(end + 3);
  }
  constexpr std::string_view kEndOfList = " }, \n";
  const std::size_t list = text.starts_with("{ ") ? text.find(kEndOfList) : text.npos;
  if (list != text.npos) return text.substr(list + kEndOfList.size());
  std::size_t at = 0;
  while (at < text.size() && text[at] == '"') {
    for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
    ++at;
    if (text.compare(at, 2, " \"") == 0) ++at;
  }
  const bool explained = at > 0 && at < text.size() && text.compare(at, 2, ", ") == 0;
  return explained ? text.substr(at + 2) : text;
}

// Without GoogleTest's remarks " (of type ipclab::Ending)".
std::string WithoutTypes(const std::string& text) {
  constexpr std::string_view kType = " (of type ";
  std::string rest;
  std::size_t from = 0;
  for (std::size_t at = text.find(kType); at != text.npos; at = text.find(kType, from)) {
    const std::size_t end = text.find(')', at);
    if (end == text.npos) break;
    rest.append(text, from, at - from);
    from = end + 1;
  }
  return rest.append(text, from);
}

std::string Trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \n") - first + 1);
}

// The lines of a message, from `from` on.
std::vector<std::string> LinesFrom(const std::string& message, std::size_t from) {
  std::vector<std::string> lines;
  for (std::size_t end = 0; from < message.size(); from = end + 1) {
    end = std::min(message.find('\n', from), message.size());
    lines.push_back(message.substr(from, end - from));
  }
  return lines;
}

std::string Behind(const std::vector<std::string>& lines, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < lines.size(); ++i) text += "\n" + lines[i];
  return text;
}

// EXPECT_EQ: each value is its expression, "  0U", and behind one that is printed otherwise its
// value, "    Which is: 0". Expressions tell a learner nothing.
Finding ReadEquality(const std::string& message, std::size_t from) {
  constexpr std::string_view kValue = "    Which is: ";
  const std::vector<std::string> lines = LinesFrom(message, from);
  std::size_t at = 0;
  const auto next_value = [&] {
    std::string value = at < lines.size() ? Trimmed(lines[at++]) : "";
    if (at < lines.size() && lines[at].starts_with(kValue)) {
      value = lines[at++].substr(kValue.size());
    }
    return value;
  };
  const std::string observed = next_value();
  const std::string expected = next_value();
  return {expected, Trimmed(observed + Behind(lines, at))};
}

// EXPECT_GE and its like: "Expected: (a) >= (b), actual: 3 vs 4\nmore". Where only the words behind
// it tell something, as behind EXPECT_NE, they are all.
Finding ReadComparison(const std::string& message) {
  constexpr std::string_view kActual = ", actual: ", kBut = " vs ";
  const std::vector<std::string> lines = LinesFrom(message, 0);
  const std::string more = Behind(lines, 1);
  const std::size_t actual = lines[0].rfind(kActual);
  const std::size_t but = lines[0].rfind(kBut);
  const std::size_t sign = lines[0].find(") ");
  if (actual == std::string::npos || but == std::string::npos || but < actual || sign > actual ||
      lines[0].compare(sign, 5, ") != ") == 0) {
    return {"", Trimmed(more.empty() ? message : more)};
  }
  const std::string expected = lines[0].substr(but + kBut.size());
  const std::string observed =
      lines[0].substr(actual + kActual.size(), but - actual - kActual.size());
  return {lines[0].substr(sign + 2, lines[0].find(" (", sign) - sign - 2) + " " + expected,
          Trimmed(observed + more)};
}

// "(why)", as GoogleTest adds it.
std::string WithoutBrackets(const std::string& text) {
  const bool bracketed = text.size() >= 2 && text.front() == '(' && text.back() == ')';
  return bracketed ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

bool HasFailed(const std::string& id) { return NotPassed().count(id) != 0; }

void Exercise::SetUp() {
  const testing::TestInfo& info = *testing::UnitTest::GetInstance()->current_test_info();
  Session& session = Session::Get();
  const std::string id = IdOf(info);
  std::seed_seq seed{session.seed, session.seed >> 32,
                     static_cast<std::uint64_t>(std::hash<std::string>()(id))};
  session.random.seed(seed);
  if (CurrentRubric() == nullptr) return;
  const RubricCheck* const check = CurrentRubric()->Find(id);
  if (check != nullptr && !check->after.empty() && HasFailed(check->after)) {
    GTEST_SKIP() << check->after;
  }
}

void WriteLine(int fd, const nlohmann::json& line) {
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t size = write(fd, text.data() + done, text.size() - done);
    if (size == -1 && errno == EINTR) continue;
    done += static_cast<std::size_t>(Check(size, "write of the results"));
  }
}

// No regular expressions here: those of the C++ library recurse for every character, and a message
// may hold megabytes of what a submission wrote.
Finding ReadFinding(const std::string& message) {
  constexpr std::string_view kEquality = "Expected equality of these values:\n";
  if (message.starts_with(kEquality)) return ReadEquality(message, kEquality.size());
  if (message.starts_with("Expected: (")) return ReadComparison(message);
  constexpr std::string_view kExpected = "\nExpected: ";
  constexpr std::string_view kActual = "\n  Actual: ";
  const std::size_t expected = message.find(kExpected);
  const std::size_t actual = message.find(kActual);
  if (!message.starts_with("Value of: ") || expected == message.npos || actual == message.npos) {
    return {"", Trimmed(message)};
  }
  if (actual < expected) {
    // EXPECT_TRUE and its like: "Value of: x\n  Actual: false (why)\nExpected: true\nmore".
    const std::string seen =
        message.substr(actual + kActual.size(), expected - actual - kActual.size());
    const std::size_t why = seen.find(" (");
    const std::size_t more = message.find('\n', expected + 1);
    return {"", Trimmed((why == seen.npos ? "" : WithoutBrackets(Trimmed(seen.substr(why)))) +
                        (more == message.npos ? "" : message.substr(more)))};
  }
  const std::size_t from = expected + kExpected.size();
  std::string observed = WithoutTypes(WithoutDump(message.substr(actual + kActual.size())));
  constexpr std::string_view kBox = "the box, ";
  if (observed.starts_with(kBox)) observed = observed.substr(kBox.size());
  return {Trimmed(message.substr(from, actual - from)), Trimmed(observed)};
}

void ResultsWriter::OnTestStart(const testing::TestInfo& info) {
  CurrentRubric() = &rubric_;
  failures_.clear();
  skip_reason_.clear();
  exception_.clear();
  Session::Get().check = CheckRecord();
  started_ = std::chrono::steady_clock::now();
  WriteLine(fd_, {{"type", "start"}, {"id", IdOf(info)}});
}

void ResultsWriter::OnTestPartResult(const testing::TestPartResult& part) {
  const std::string message = part.message() == nullptr ? "" : part.message();
  // Nothing of a submission runs in this process, so an exception is our own.
  const std::string exception = "C++ exception with description \"";
  if (part.skipped()) {
    skip_reason_ = Trimmed(message);
  } else if (message.starts_with(exception)) {
    exception_ = message.substr(exception.size(), message.rfind('"') - exception.size());
  } else if (part.failed()) {
    failures_.push_back(message);
  }
}

void ResultsWriter::Judge(const testing::TestInfo& info, CheckResult& result) const {
  const CheckRecord& record = Session::Get().check;
  const bool zh = chinese();
  if (!exception_.empty() || !record.not_graded.empty()) {
    result.status = CheckStatus::kNotGraded;
    result.verdict = "grader error";
    result.observed = exception_.empty() ? record.not_graded : exception_;
    return;
  }
  if (info.result()->Skipped()) {
    result.status = CheckStatus::kSkipped;
    result.verdict = "skipped";
    result.observed = (zh ? "先让这项检查通过：" : "first make this check pass: ") + skip_reason_;
    return;
  }
  if (!record.not_started.empty()) {
    result.status = CheckStatus::kSkipped;
    result.verdict = "not started";
    result.observed = record.not_started + (zh ? "() 还没有写：它返回 ENOSYS"
                                               : "() is not written yet: it returns ENOSYS");
    return;
  }
  if (failures_.empty()) {
    result.status = CheckStatus::kPassed;
    result.verdict = "passed";
    result.points = result.max_points;
    return;
  }
  result.status = CheckStatus::kFailed;
  result.verdict = record.verdict.empty() ? "failed" : record.verdict;
  const Finding finding = ReadFinding(failures_.front());
  result.expected = finding.expected.empty() ? result.title : finding.expected;
  result.observed = finding.observed.substr(0, kObservedLimit);
  result.timeline = record.timeline;
  result.waits = record.waits;
  result.function = record.function;
}

void ResultsWriter::OnTestEnd(const testing::TestInfo& info) {
  CheckResult result;
  result.id = IdOf(info);
  if (const RubricCheck* const check = rubric_.Find(result.id)) {
    result.exercise = rubric_.ExerciseOf(result.id)->id;
    result.title = chinese() ? check->proves_zh : check->proves;
    result.max_points = check->points;
    result.references = check->references;
    Judge(info, result);
    const auto& hints = chinese() ? check->hints_zh : check->hints;
    if (result.status == CheckStatus::kFailed && !hints.empty()) result.hint = hints.front();
  } else {
    result.observed = "this check is not in the rubric";
  }
  for (const std::string& leftover : Session::Get().check.leftovers) {
    if (result.status != CheckStatus::kSkipped) result.notes.push_back("left behind: " + leftover);
  }
  const auto took = std::chrono::steady_clock::now() - started_;
  result.duration_ms = std::chrono::duration<double, std::milli>(took).count();
  if (result.status != CheckStatus::kPassed) NotPassed().insert(result.id);
  score_ += result.points;
  // What could not be judged costs nothing and earns nothing.
  if (result.status != CheckStatus::kNotGraded) max_score_ += result.max_points;
  ++checks_;
  nlohmann::json line = result;
  line["type"] = "check";
  WriteLine(fd_, line);
}

}  // namespace ipclab
