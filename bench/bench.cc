// What a check costs: medians with spread, all from one run on this machine.
//
//   ./lab bench [--rounds N]
//
// A table on standard output; ratios compare with the line they name, because absolute times differ
// between machines and hours.

#include <spawn.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "common/compile/compile.h"
#include "common/grading/proof.h"
#include "common/grading/sandbox.h"
#include "common/sandbox/helper.h"
#include "common/sandbox/stage.h"

namespace ipclab {
namespace {

constexpr int kCalls = 2000;

HELPER(DoesNothing) { return 0; }

HELPER(WaitsForItself) {
  int ends[2];
  if (pipe(ends) == -1) return 1;
  char c;
  return static_cast<int>(read(ends[0], &c, 1));
}

// Reports nanoseconds a call.
HELPER(MakesCalls) {
  const auto start = Clock::now();
  for (int i = 0; i < kCalls; ++i) {
    if (write(STDOUT_FILENO, "", 0) == -1) return 1;
  }
  const std::chrono::nanoseconds took = Clock::now() - start;
  Report("ns", took.count() / kCalls);
  return 0;
}

using Sample = std::vector<double>;  // In the row's unit.

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

template <typename Work>
Sample Time(int rounds, const Work& work) {
  Sample sample;
  work();  // Warms up.
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    work();
    sample.push_back(Milliseconds(Clock::now() - start));
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

double Median(const Sample& sample) { return sample[sample.size() / 2]; }

void Print(const char* what, const Sample& sample, const char* unit, double base,
           const char* base_name) {
  std::printf("%-46s %9.3f %s  (%.3f to %.3f)", what, Median(sample), unit, sample.front(),
              sample.back());
  if (base > 0) std::printf("  %.1f x %s", Median(sample) / base, base_name);
  std::printf("\n");
}

void Exec(std::vector<const char*> words) {
  words.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, words[0], nullptr, nullptr,
                                const_cast<char* const*>(words.data()), environ);
  if (error != 0) throw SystemError(error, words[0]);
  Check(waitpid(pid, nullptr, 0), "waitpid");
}

Sample CostOfACall(int rounds, const std::vector<Family>& watch) {
  Sample sample;
  for (int i = 0; i < rounds; ++i) {
    Sandbox box({.watch = watch});
    Helper helper = box.Start("MakesCalls");
    helper.Wait();
    sample.push_back(static_cast<double>(helper.Reported("ns")) / 1000);
  }
  std::sort(sample.begin(), sample.end());
  return sample;
}

struct Lab {
  std::string grader;
  std::string rubric;
  std::string submission;
  std::string source;
  std::string header;
  std::string exports;
};

// A whole lab with its reference solution, as a student would wait for it.
void RunLab(const Lab& lab, int rounds) {
  const LabContract contract = ReadContract("pipe", lab.header, lab.exports);
  // Bazel gives links, which a submission may not be.
  const Source source = ReadSource(std::filesystem::canonical(lab.source));
  Print("pipe: compiling the solution in its jail",
        Time(rounds,
             [&] {
               const Compiled compiled = CompileSubmission(contract, source, {});
               if (compiled.outcome != CompileOutcome::kOk) throw GraderError(compiled.reason);
             }),
        "ms", 0, "");
  double slowest = 0;
  Sample processor;
  Run run;
  Print(
      "pipe: all checks of the solution",
      Time(rounds,
           [&] {
             run = RunGrader(lab.grader, lab.submission, lab.rubric, {});
             const auto seconds = [](const timeval& time) {
               return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
             };
             processor.push_back((seconds(run.usage.ru_utime) + seconds(run.usage.ru_stime)) * 1e3);
             for (const CheckResult& check : run.lab.checks) {
               if (check.status != CheckStatus::kPassed) throw GraderError(check.id + " failed");
               slowest = std::max(slowest, check.duration_ms);
             }
           }),
      "ms", 0, "");
  std::sort(processor.begin(), processor.end());
  Print("pipe: processor time of the grader itself", processor, "ms", 0, "");
  std::printf("%-46s %9zu\n", "pipe: checks", run.lab.checks.size());
  std::printf("%-46s %9.3f ms\n", "pipe: the slowest check of all rounds", slowest);
  std::printf("%-46s %9.1f MiB\n", "pipe: memory of the grader, at most",
              static_cast<double>(run.usage.ru_maxrss) / 1024);
}

void RunBoxes(int rounds) {
  const Sample exec = Time(rounds, [] { Exec({"/bin/true"}); });
  const double base = Median(exec);
  Print("fork and exec of /bin/true", exec, "ms", 0, "");
  Print("bwrap --unshare-all /bin/true",
        Time(rounds,
             [] {
               Exec({"/usr/bin/bwrap", "--unshare-all", "--ro-bind", "/", "/", "/bin/true"});
             }),
        "ms", base, "exec");
  Print("a box, start to gone", Time(rounds, [] { Sandbox box; }), "ms", base, "exec");
  Print("a box with one helper",
        Time(rounds,
             [] {
               Sandbox box;
               box.Start("DoesNothing").Wait();
             }),
        "ms", base, "exec");
  Print("a deadlock, from the box's start to its proof",
        Time(rounds,
             [] {
               Sandbox box;
               const Ending ending = box.Start("WaitsForItself").Wait();
               if (ending.kind != Ending::Kind::kDeadlock) throw GraderError(ending.text);
             }),
        "ms", base, "exec");
  const Sample unwatched = CostOfACall(rounds, {});
  Print("a system call, not watched", unwatched, "us", 0, "");
  Print("a system call, watched", CostOfACall(rounds, {Family::kWrite}), "us", Median(unwatched),
        "unwatched");
}

}  // namespace
}  // namespace ipclab

int main(int argc, char** argv) {
  using namespace ipclab;
  if (IsStage()) RunStage([](std::string_view) { return std::string(); });
  CLI::App app("Measures what boxes, deadlock proofs, watched calls and a whole lab cost.");
  int rounds = 50;
  Lab lab;
  app.add_option("--rounds", rounds, "measurements of each row; a tenth for a whole lab")
      ->check(CLI::Range(1, 10000));
  app.add_option("--grader", lab.grader)->required();
  app.add_option("--rubric", lab.rubric)->required();
  app.add_option("--submission", lab.submission)->required();
  app.add_option("--source", lab.source)->required();
  app.add_option("--header", lab.header)->required();
  app.add_option("--exports", lab.exports)->required();
  CLI11_PARSE(app, argc, argv);
  try {
    RunBoxes(rounds);
    RunLab(lab, std::max(3, rounds / 10));
  } catch (const GraderError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
