// The program behind ./lab. The launcher has installed and built what is needed.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/base/version.h"
#include "common/cli/coverage.h"
#include "common/cli/doctor.h"
#include "common/cli/files.h"
#include "common/cli/grade.h"
#include "common/cli/records.h"
#include "common/cli/reports.h"
#include "common/cli/workspace.h"
#include "common/report/wrap.h"

namespace ipclab {
namespace {

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// In the order of locale(7).
Language LanguageOfLocale() {
  for (const char* const name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    if (const std::string value = Environment(name); !value.empty()) return LanguageOf(value);
  }
  return Language::kEnglish;
}

bool RunsUnderCi() {
  const std::string ci = Environment("CI");
  return !ci.empty() && ci != "0" && ci != "false";
}

// `--check A.B C.D pipe`: a check has a dot in its name, a lab has none.
void SortOutLabs(GradeOptions& options) {
  const auto first_lab = std::stable_partition(
      options.checks.begin(), options.checks.end(),
      [](const std::string& id) { return id.find('.') != std::string::npos; });
  options.labs.insert(options.labs.end(), first_lab, options.checks.end());
  options.checks.erase(first_lab, options.checks.end());
}

struct Arguments {
  GradeOptions grade;
  std::vector<std::string> formats;
  std::vector<std::string> paths;
  CoverageOptions coverage;
  std::string language;
  bool practice = false;
  bool project = false;
};

// 'f' and 'o' for each --format and --out, as they stand on the command line.
std::string OrderOf(const CLI::App& grade) {
  std::string order;
  for (const CLI::Option* option : grade.parse_order()) {
    if (option->check_name("--format")) order += 'f';
    if (option->check_name("--out")) order += 'o';
  }
  return order;
}

std::string FormatHelp() {
  std::string text = "Formats:\n";
  for (const Format& format : Formats()) {
    text += "  " + Padded(format.name, 18) + std::string(format.about) + "\n";
  }
  return text +
         "Each --out belongs to the --format before it; what has none goes to standard output.\n";
}

// Its owner is who handed in, for a group another than who pushed.
Classroom50Submission Classroom50FromEnvironment() {
  Classroom50Submission given{.classroom = Environment("CLASSROOM"),
                              .assignment = Environment("ASSIGNMENT"),
                              .owner = Environment("OWNER"),
                              .submission = Environment("SUBMISSION_TAG"),
                              .commit = Environment("COMMIT_URL"),
                              .release = Environment("RELEASE_URL"),
                              .review = Environment("REVIEW_URL")};
  const std::string username = Environment("USERNAME");
  if (given.owner.empty()) given.owner = username;
  if (!username.empty() && given.owner != username) given.assignment_type = "group";
  if (given.review.empty()) given.review = given.commit;
  return given;
}

// A check waits about as long as it computes.
std::size_t DefaultJobs() { return 2 * std::max(std::thread::hardware_concurrency(), 1u); }

// Which files a command is about; `verb` is what it does with them.
void DeclareSubmissions(CLI::App& command, const std::string& verb, GradeOptions& options) {
  command.add_option("LAB", options.labs, "the labs to " + verb + "; all if none is named");
  auto* const submission =
      command.add_option("--submission", options.submission,
                         verb + " the files of this folder: LAB/LAB.cc or labs/LAB/LAB.cc");
  submission->type_name("DIR");
  command.add_flag("--solutions", options.solutions, verb + " the reference solutions")
      ->excludes(submission);
  command.add_option("--check", options.checks, "run only these checks")
      ->type_name("ID")
      ->delimiter(',');
  options.jobs = DefaultJobs();
}

void DeclareLanguage(CLI::App& command, std::string& language) {
  command.add_option("--lang", language, "en or zh; the default is the locale's")
      ->type_name("LANG")
      ->check(CLI::IsMember({"en", "zh"}));
}

void DeclareGrade(CLI::App& grade, Arguments& arguments) {
  GradeOptions& options = arguments.grade;
  DeclareSubmissions(grade, "grade", options);
  grade.add_option("--format", arguments.formats, "format of a report, see below; repeatable")
      ->type_name("FORMAT")
      ->allow_extra_args(false);
  grade.add_option("--out", arguments.paths, "write the report to this file; repeatable")
      ->type_name("FILE")
      ->allow_extra_args(false);
  grade.add_option("--trace", options.trace, "write the timelines to this file, for Perfetto")
      ->type_name("FILE");
  grade.add_option("--seed", options.seed, "repeat the run that had this seed")
      ->type_name("N")
      ->check(CLI::Validator(CLI::PositiveNumber).description(""));
  auto* const credit =
      grade.add_flag("--credit", options.credit,
                     "refuse to grade without full isolation (the default if CI is set)");
  grade.add_flag("--practice", arguments.practice, "grade without full isolation too")
      ->excludes(credit);
  grade.add_option("--jobs", options.jobs, "check so many exercises at a time (two per processor)")
      ->type_name("N")
      ->check(CLI::Validator(CLI::PositiveNumber).description(""));
  grade.add_option("--fail-under", options.fail_under, "exit with 1 below this percentage")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 100.0).description(""));
  DeclareLanguage(grade, arguments.language);
  grade.footer(
      FormatHelp() +
      "Exit status: 0 graded, 1 below --fail-under, 2 wrong usage, 3 could not be graded.");
}

void DeclareCoverage(CLI::App& coverage, Arguments& arguments) {
  CoverageOptions& options = arguments.coverage;
  DeclareSubmissions(coverage, "measure", options.what);
  coverage.add_option("--html", options.html, "write the pages to this folder (.lab/coverage)")
      ->type_name("DIR");
  coverage.add_option("--xml", options.xml, "write Cobertura to this file (cobertura.xml there)")
      ->type_name("FILE");
  // The launcher does this one by itself.
  coverage.add_flag("--project", arguments.project,
                    "measure this repository: common/ by its tests, and "
                    "the solutions");
  DeclareLanguage(coverage, arguments.language);
  coverage.footer(
      "Runs the checks on a build that counts its lines, and gives no points. Every process "
      "counts, "
      "however it ends.\n"
      "Exit status: 0 measured, 2 wrong usage, 3 a lab could not be measured.");
}

Language ChosenLanguage(const Arguments& arguments) {
  return arguments.language.empty() ? LanguageOfLocale() : LanguageOf(arguments.language);
}

int RunCoverage(Arguments& arguments) {
  if (arguments.project) {
    throw UsageError("--project stands first, and no lab beside it: lab coverage --project");
  }
  Interrupts interrupts;
  GradeOptions& what = arguments.coverage.what;
  SortOutLabs(what);
  what.credit = RunsUnderCi();
  what.language = ChosenLanguage(arguments);
  return Coverage(FindWorkspace(), arguments.coverage, interrupts);
}

int RunGrade(const CLI::App& app, Arguments& arguments) {
  Interrupts interrupts;
  GradeOptions& options = arguments.grade;
  SortOutLabs(options);
  options.reports = PairReports(OrderOf(app), arguments.formats, arguments.paths);
  options.job_summary = Environment("GITHUB_STEP_SUMMARY");
  options.classroom50 = Classroom50FromEnvironment();
  options.credit = options.credit || (RunsUnderCi() && !arguments.practice);
  options.language = ChosenLanguage(arguments);
  return Grade(FindWorkspace(), options, interrupts);
}

int ParseAndRun(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("IPC Labs: exercises on Linux interprocess communication.", "lab");
  app.set_version_flag("--version", std::string("lab ") + kVersion);
  app.require_subcommand(0, 1);
  CLI::App* const grade = app.add_subcommand("grade", "grade what is written so far");
  CLI::App* const coverage =
      app.add_subcommand("coverage", "show which lines of a file the checks reach");
  CLI::App* const doctor = app.add_subcommand("doctor", "say what works on this machine");
  // The launcher does these by itself; they stand here for --help.
  app.add_subcommand("setup", "install the Debian packages that are missing");
  app.add_subcommand("test", "prove this repository itself; --quick leaves out slow tests");
  app.add_subcommand("bench", "measure what grading costs");
  DeclareGrade(*grade, arguments);
  DeclareCoverage(*coverage, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "lab: %s (lab %s--help says more)\n", error.what(),
                 grade->parsed()      ? "grade "
                 : coverage->parsed() ? "coverage "
                                      : "");
    return kWrongUsage;
  }
  if (grade->parsed()) return RunGrade(*grade, arguments);
  if (coverage->parsed()) return RunCoverage(arguments);
  if (doctor->parsed()) return RunDoctor();
  WriteAllTo(STDOUT_FILENO, Overview(FindWorkspace(), LanguageOfLocale()), "standard output");
  return 0;
}

// Starts the launcher once more, which builds what was asked for and comes back here.
int BuildAndComeBack(const GradersNotBuilt& missing, char** argv) {
  const std::string launcher = FindWorkspace().root / "lab";
  const std::string labs = Join(missing.labs, " ");
  Check(setenv("IPCLAB_BUILD", labs.c_str(), 1), "setenv");
  argv[0] = const_cast<char*>(launcher.c_str());
  Check(execv(launcher.c_str(), argv), "start " + launcher);
  return kNotGraded;
}

int Main(int argc, char** argv) {
  try {
    return ParseAndRun(argc, argv);
  } catch (const GradersNotBuilt& missing) {
    return BuildAndComeBack(missing, argv);
  }
}

}  // namespace
}  // namespace ipclab

int main(int argc, char** argv) {
  try {
    return ipclab::Main(argc, argv);
  } catch (const ipclab::UsageError& error) {
    std::fprintf(stderr, "lab: %s\n", error.what());
    return ipclab::kWrongUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lab: %s\n", error.what());
    return ipclab::kNotGraded;
  }
}
