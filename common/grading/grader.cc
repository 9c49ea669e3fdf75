#include "common/grading/grader.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <random>
#include <regex>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/grading/probe.h"
#include "common/grading/results_writer.h"
#include "common/grading/rubric.h"
#include "common/grading/sandbox.h"
#include "common/grading/session.h"
#include "common/sandbox/counters.h"
#include "common/sandbox/helper.h"
#include "common/sandbox/stage.h"

namespace ipclab {

HELPER(WritesCounts) {
  const SubmissionCounters* const counters = OwnCounters();
  return counters != nullptr && counters->write_counts(STDOUT_FILENO) == 0 ? 0 : 1;
}

namespace {

struct Options {
  std::string submission;
  std::string rubric;
  std::vector<std::string> checks;
  std::string mode = "practice";
  std::string language = "en";
  std::uint64_t seed = 0;
  int results = -1;
  int counters = -1;
  int write_counts = -1;
  bool list = false;
};

std::vector<std::string> AllChecks() {
  std::vector<std::string> ids;
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  for (int s = 0; s < tests.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *tests.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      ids.push_back(std::string(suite.name()) + "." + suite.GetTestInfo(t)->name());
    }
  }
  return ids;
}

// The shared object is read once, into memory that nobody can change any more.
Fd Sealed(const std::string& path) {
  const Fd file(Check(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path));
  Fd copy(Check(memfd_create("submission", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create"));
  std::string buffer(1 << 16, '\0');
  ssize_t size = 0;
  while ((size = Check(read(file.get(), buffer.data(), buffer.size()), "read " + path)) > 0) {
    Check(write(copy.get(), buffer.data(), static_cast<std::size_t>(size)), "write");
  }
  Check(fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), "fcntl");
  return copy;
}

void WriteRun(const Options& options, const Rubric& rubric, const Isolation& isolation) {
  nlohmann::json run = {{"type", "run"},
                        {"grader_version", kVersion},
                        {"seed", Session::Get().seed},
                        {"isolation", isolation},
                        {"exercises", nlohmann::json::array()},
                        {"checks", nlohmann::json::array()}};
  const bool zh = options.language == "zh";
  for (const RubricExercise& exercise : rubric.exercises) {
    run["exercises"].push_back({{"id", exercise.id},
                                {"name", exercise.name},
                                {"title", zh ? exercise.title_zh : exercise.title},
                                {"max_points", exercise.points}});
    for (const RubricCheck& check : exercise.checks) {
      run["checks"].push_back({{"id", check.id},
                               {"exercise", exercise.id},
                               {"title", zh ? check.proves_zh : check.proves},
                               {"max_points", check.points}});
    }
  }
  WriteLine(options.results, run);
}

// Selects the named checks; throws for one that does not exist.
void Select(const std::vector<std::string>& wanted, const Rubric& rubric) {
  for (const std::string& id : wanted) {
    if (rubric.Find(id) == nullptr) throw GraderError("there is no check " + Printable(id, 100));
  }
  if (!wanted.empty()) testing::GTEST_FLAG(filter) = Join(wanted, ":");
}

Fd Duplicate(int fd) { return Fd(Check(fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl")); }

// Nothing but the submission knows which of its counters belongs to which line.
int WriteCounts(int fd) {
  Sandbox box;
  Helper writer = box.Start("WritesCounts");
  const Ending ending = writer.Wait();
  if (ending.kind != Ending::Kind::kExited || ending.code != 0) {
    throw GraderError("the submission did not write its counts: it " + ending.text);
  }
  std::string_view counts = writer.output();
  while (!counts.empty()) {
    counts.remove_prefix(static_cast<std::size_t>(
        Check(write(fd, counts.data(), counts.size()), "write of the counts")));
  }
  return 0;
}

int Grade(const Options& options) {
  const Rubric rubric = ReadRubric(options.rubric);
  if (const auto faults = Faults(rubric, AllChecks()); !faults.empty()) {
    throw GraderError("the rubric " + options.rubric + " is not sound: " + faults.front());
  }
  Session& session = Session::Get();
  session.seed = options.seed != 0 ? options.seed : std::random_device()();
  Select(options.checks, rubric);
  const Isolation isolation = ProbeIsolation();
  session.submission = Sealed(options.submission);
  if (options.counters >= 0) session.counters = Duplicate(options.counters);
  if (options.write_counts >= 0) {
    if (isolation.mode == "none") throw GraderError("there is no box here: " + isolation.detail);
    return WriteCounts(options.write_counts);
  }
  if (options.results < 0) return RUN_ALL_TESTS();

  WriteRun(options, rubric, isolation);
  if (isolation.mode == "none" || (options.mode == "credit" && isolation.mode != "full")) {
    WriteLine(options.results,
              {{"type", "error"},
               {"message", "a submission cannot be confined here: " + isolation.detail},
               {"fix", isolation.fix}});
    return 3;
  }
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  auto* const writer = new ResultsWriter(rubric, options.language, options.results);
  listeners.Append(writer);
  // Failed checks are results, not a failure to grade.
  [[maybe_unused]] const int failed = RUN_ALL_TESTS();
  if (writer->checks() == 0) throw GraderError("no check ran");
  WriteLine(options.results,
            {{"type", "end"}, {"score", writer->score()}, {"max_score", writer->max_score()}});
  return 0;
}

int ParseAndGrade(int argc, char** argv) {
  Options options;
  CLI::App app("Grades one submission of a lab.");
  app.add_option("--submission", options.submission, "the shared object to grade")->required();
  app.add_option("--rubric", options.rubric, "the lab's rubric.json")->required();
  app.add_option("--results", options.results, "descriptor for the results");
  app.add_option("--check", options.checks, "grade only these checks")->delimiter(',');
  app.add_option("--mode", options.mode, "credit or practice")
      ->check(CLI::IsMember({"credit", "practice"}));
  app.add_option("--lang", options.language, "en or zh")->check(CLI::IsMember({"en", "zh"}));
  app.add_option("--counters", options.counters, "descriptor of memory to count lines in");
  app.add_option("--write-counts", options.write_counts, "descriptor for the counts of lines");
  app.add_option("--seed", options.seed, "repeats a run");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return Grade(options);
  } catch (const GraderError& error) {
    if (options.results >= 0) {
      WriteLine(options.results, {{"type", "error"}, {"message", error.what()}, {"fix", ""}});
    }
    std::fprintf(stderr, "could not grade: %s\n", error.what());
    return 3;
  }
}

}  // namespace

int GraderMain(int argc, char** argv) {
  if (IsStage()) RunStage(&AnswerInside);
  const auto* const path = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (const ProgramBody program = FindProgram(path != nullptr ? path : "")) {
    return program(argc, argv);
  }
  testing::InitGoogleMock(&argc, argv);
  return ParseAndGrade(argc, argv);
}

}  // namespace ipclab
