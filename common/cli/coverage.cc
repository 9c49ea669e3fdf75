#include "common/cli/coverage.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/cli/files.h"
#include "common/cli/progress.h"
#include "common/cli/run_checks.h"
#include "common/compile/coverage.h"
#include "common/report/words.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

// Phrases with {} are fmt patterns.
struct Phrases {
  std::string_view ran;  // {checks that passed} {checks}
  std::string_view reporting;
  std::string_view pages;      // {file}
  std::string_view cobertura;  // {file}
  std::string_view practice;   // {why}
};

const Phrases& PhrasesOf(Language language) {
  static constexpr Phrases kEnglish = {
      .ran = "{} of {} checks passed",
      .reporting = "reading the counts",
      .pages = "lab: the lines one by one: {}",
      .cobertura = "lab: Cobertura: {}",
      .practice = "lab: the checks ran without full isolation: {}",
  };
  static constexpr Phrases kChinese = {
      .ran = "{} 项检查通过，共 {} 项",
      .reporting = "正在读取计数",
      .pages = "lab: 逐行结果：{}",
      .cobertura = "lab: Cobertura：{}",
      .practice = "lab: 检查没有在完全隔离的环境中运行：{}",
  };
  return language == Language::kChinese ? kChinese : kEnglish;
}

void Say(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

// In the workspace as seen from its root, whatever folder the user is in.
std::string NameOf(const Workspace& workspace, const std::string& shown_path) {
  std::error_code error;
  const fs::path path = fs::absolute(shown_path, error).lexically_normal();
  const fs::path below = path.lexically_relative(workspace.root);
  const bool inside = !error && !below.empty() && *below.begin() != "..";
  return NameInReport(inside ? below.string() : shown_path);
}

// Everything in a memfd.
std::string Contents(int fd) {
  struct stat info {};
  Check(fstat(fd, &info), "fstat");
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  if (Check(pread(fd, bytes.data(), bytes.size(), 0), "pread") != info.st_size) {
    throw GraderError("a memfd was read short");
  }
  return bytes;
}

class Measurement {
 public:
  Measurement(const Workspace& workspace, const GradeOptions& options, Interrupts& interrupts)
      : workspace_(workspace),
        options_(options),
        interrupts_(interrupts),
        phrases_(PhrasesOf(options.language)),
        progress_(STDERR_FILENO) {
    compile_.allow_unjailed = !options.credit;
  }

  // False, and says why, if the lab cannot be measured.
  bool Measure(const LabPlan& plan);
  // Throws GraderError.
  CoverageReport Report();
  bool empty() const { return files_.empty(); }

 private:
  Compiled Compile(const LabPlan& plan, const std::string& name);
  void RunChecks(const LabPlan& plan, const GraderPlan& grader);
  std::string Counts(const LabPlan& plan, GraderPlan grader);
  void Note(const ResultsReader& reader);

  const Workspace& workspace_;
  const GradeOptions& options_;
  Interrupts& interrupts_;
  const Phrases& phrases_;
  Progress progress_;
  CompileOptions compile_;
  std::vector<CountedFile> files_;
  std::vector<Fd> libraries_;
  bool warned_ = false;
};

Compiled Measurement::Compile(const LabPlan& plan, const std::string& name) {
  progress_.Step(
      plan.lab + ": " +
      fmt::format(fmt::runtime(WordsOf(options_.language).compiling), plan.source.shown_path));
  CompileOptions compile = compile_;
  compile.counted_as = name;
  const ImmediateInterrupts interruptible;
  Compiled compiled = CompileSubmission(plan.contract, plan.source, compile);
  if (compiled.outcome != CompileOutcome::kOk) {
    throw GraderError(compiled.reason + "\n" + compiled.diagnostics);
  }
  return compiled;
}

void Measurement::Note(const ResultsReader& reader) {
  const auto& isolation = reader.isolation();
  if (!isolation || isolation->mode == "full" || std::exchange(warned_, true)) return;
  progress_.Clear();
  Say(fmt::format(fmt::runtime(phrases_.practice), isolation->detail));
}

void Measurement::RunChecks(const LabPlan& plan, const GraderPlan& grader) {
  const ChecksRun run =
      ipclab::RunChecks(workspace_, plan, options_, grader, interrupts_, progress_);
  if (!run.lab.error.empty()) throw GraderError(run.lab.error);
  for (const ResultsReader& reader : run.readers) Note(reader);
  const auto passed =
      std::ranges::count(run.lab.checks, CheckStatus::kPassed, &CheckResult::status);
  progress_.Done(plan.lab + ": " +
                 fmt::format(fmt::runtime(phrases_.ran), passed, run.lab.checks.size()));
}

std::string Measurement::Counts(const LabPlan& plan, GraderPlan grader) {
  const Fd counts(Check(memfd_create("ipclab-counts", MFD_CLOEXEC), "memfd_create"));
  grader.program = workspace_.Grader(plan.lab);
  grader.rubric = workspace_.Rubric(plan.lab);
  grader.write_counts = counts.get();
  const std::vector<GraderEnd> ends =
      RunGraders({grader}, interrupts_, [](std::size_t, std::string_view) {});
  if (ends[0].interrupted_by != 0) DieBy(ends[0].interrupted_by);
  if (ends[0].status != 0) {
    throw GraderError("the grader " + DescribeEnd(ends[0]) + ": " +
                      Printable(ends[0].output, 1000));
  }
  return Contents(counts.get());
}

bool Measurement::Measure(const LabPlan& plan) {
  try {
    const std::string name = NameOf(workspace_, plan.source.shown_path);
    Compiled compiled = Compile(plan, name);
    const Fd counters = MakeCounters();
    const GraderPlan grader{.library = compiled.library.get(),
                            .counters = counters.get(),
                            .seed = options_.seed.value_or(0)};
    RunChecks(plan, grader);
    files_.push_back({name, plan.source.text, grader.library, Counts(plan, grader)});
    libraries_.push_back(std::move(compiled.library));
    return true;
  } catch (const GraderError& error) {
    progress_.Done(plan.lab + ": " + std::string(WordsOf(options_.language).cannot_grade));
    Say(std::string("lab: ") + error.what());
    return false;
  }
}

CoverageReport Measurement::Report() {
  progress_.Step(std::string(phrases_.reporting));
  const ImmediateInterrupts interruptible;
  CoverageReport report = ReportCoverage(files_, compile_);
  progress_.Clear();
  return report;
}

// Before the work: what the user asks for must be possible.
void CheckFolder(const fs::path& folder) {
  struct stat info {};
  const bool there = stat(folder.c_str(), &info) == 0;
  if (there && !S_ISDIR(info.st_mode)) {
    throw UsageError(folder.string() + ": is no folder; --html takes a folder for the pages");
  }
  CheckWritable(there ? folder / "index.html" : folder);
}

void WritePages(const fs::path& folder, const CoverageReport& report) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw SystemError(error.value(), "create the folder " + folder.string());
  for (const auto& [name, text] : report.pages) WriteAtomically(folder / name, text);
}

}  // namespace

ExitStatus Coverage(const Workspace& workspace, const CoverageOptions& options,
                    Interrupts& interrupts) {
  const fs::path home = workspace.root / ".lab" / "coverage";
  fs::path folder = options.html.empty() ? home : fs::path(options.html);
  if (!folder.has_filename()) folder = folder.parent_path();  // "pages/"
  const fs::path xml = options.xml.empty() ? folder / "cobertura.xml" : fs::path(options.xml);
  if (!options.html.empty()) CheckFolder(folder);
  if (!options.xml.empty()) CheckWritable(xml);
  const std::vector<LabPlan> plans = MakePlans(workspace, options.what);
  RequireGraders(plans);

  Measurement measurement(workspace, options.what, interrupts);
  bool complete = true;
  for (const LabPlan& plan : plans) {
    complete = measurement.Measure(plan) && complete;
    if (const int signal = interrupts.Take(); signal != 0) DieBy(signal);
  }
  if (measurement.empty()) return kNotGraded;
  const CoverageReport report = measurement.Report();
  std::error_code ignored;
  if (folder == home) fs::remove_all(home, ignored);  // Pages of other labs.
  WritePages(folder, report);
  WriteAtomically(xml, report.cobertura);
  WriteAllTo(STDOUT_FILENO, report.table, "standard output");
  const Phrases& phrases = PhrasesOf(options.what.language);
  Say(fmt::format(fmt::runtime(phrases.pages), Shown(fs::absolute(folder / "index.html"))));
  Say(fmt::format(fmt::runtime(phrases.cobertura), Shown(fs::absolute(xml))));
  return complete ? kGraded : kNotGraded;
}

}  // namespace ipclab
