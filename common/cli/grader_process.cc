#include "common/cli/grader_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/names.h"
#include "common/base/spawn.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kResultsFd = 3;
constexpr int kLibraryFd = 4;
constexpr int kCountersFd = 5;
constexpr int kCountsFd = 6;
constexpr std::size_t kOutputLimit = 8 << 10;
constexpr std::size_t kLineLimit = 4 << 20;
constexpr std::chrono::milliseconds kGrace{2000};

std::vector<std::string> ArgumentsOf(const GraderPlan& plan) {
  std::vector<std::string> arguments = {
      plan.program,
      "--submission=/proc/self/fd/" + std::to_string(kLibraryFd),
      "--rubric=" + plan.rubric,
      "--results=" + std::to_string(kResultsFd),
      "--seed=" + std::to_string(plan.seed),
      std::string("--mode=") + (plan.credit ? "credit" : "practice"),
      "--lang=" + plan.language,
  };
  if (plan.counters >= 0) arguments.push_back("--counters=" + std::to_string(kCountersFd));
  if (plan.write_counts >= 0) arguments.push_back("--write-counts=" + std::to_string(kCountsFd));
  if (!plan.checks.empty()) arguments.push_back("--check=" + Join(plan.checks, ","));
  return arguments;
}

// Owns a running process. A pidfd cannot mean another process that got its number.
class GraderProcess {
 public:
  GraderProcess(const GraderPlan& plan, int results, int output) {
    SpawnPlan spawn;
    spawn.argv = ArgumentsOf(plan);
    spawn.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
    spawn.fds = {{output, STDOUT_FILENO},
                 {output, STDERR_FILENO},
                 {results, kResultsFd},
                 {plan.library, kLibraryFd}};
    if (plan.counters >= 0) spawn.fds.emplace_back(plan.counters, kCountersFd);
    if (plan.write_counts >= 0) spawn.fds.emplace_back(plan.write_counts, kCountsFd);
    pid_ = Spawn(spawn);
    pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) {
      const int error = errno;
      kill(pid_, SIGKILL);  // Not waited for yet, so the number is still its own.
      Wait();
      throw SystemError(error, "pidfd_open");
    }
  }
  ~GraderProcess() {
    if (pid_ == -1) return;
    Signal(SIGKILL);
    Wait();
  }
  GraderProcess(const GraderProcess&) = delete;
  GraderProcess& operator=(const GraderProcess&) = delete;

  int pidfd() const { return pidfd_.get(); }
  bool HasEnded() const {
    pollfd ended = {pidfd_.get(), POLLIN, 0};
    return poll(&ended, 1, 0) == 1;
  }
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }
  // Asks it to end and clean up; insists after a while. Its boxes die with it either way.
  void End() {
    Signal(SIGTERM);
    pollfd ended = {pidfd_.get(), POLLIN, 0};
    if (poll(&ended, 1, static_cast<int>(kGrace.count())) != 1) Signal(SIGKILL);
  }

 private:
  void Signal(int signal) const {
    // ESRCH: it has ended already.
    if (syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == -1 && errno != ESRCH) {
      throw SystemError(errno, "pidfd_send_signal");
    }
  }

  pid_t pid_ = -1;
  Fd pidfd_;
};

// Everything that can be read now; false at the end of the file.
template <typename Sink>
bool ReadAll(int fd, Sink sink) {
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t size = read(fd, buffer.data(), buffer.size());
    if (size == -1 && errno == EINTR) continue;
    if (size == -1 && errno == EAGAIN) return true;
    if (Check(size, "read from the grader") == 0) return false;
    sink(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  }
}

class LineSplitter {
 public:
  explicit LineSplitter(std::function<void(std::string_view)> on_line)
      : on_line_(std::move(on_line)) {}

  void Add(std::string_view chunk) {
    for (const char c : chunk) {
      if (c == '\n') {
        Flush();
      } else if (line_.size() < kLineLimit) {
        line_ += c;
      }
    }
  }
  void Flush() {
    if (!line_.empty()) on_line_(line_);
    line_.clear();
  }

 private:
  std::function<void(std::string_view)> on_line_;
  std::string line_;
};

Fd NonBlocking(Fd fd) {
  Check(fcntl(fd.get(), F_SETFL, O_NONBLOCK), "fcntl(F_SETFL)");
  return fd;
}

// A grader, what it writes, and how long it may say nothing.
class Grader {
 public:
  Grader(const GraderPlan& plan, std::function<void(std::string_view)> on_line)
      : silence_(plan.silence), lines_(std::move(on_line)) {
    PipeEnds results = MakePipe();
    PipeEnds output = MakePipe();
    process_.emplace(plan, results.write.get(), output.write.get());
    results_ = NonBlocking(std::move(results.read));
    output_ = NonBlocking(std::move(output.read));
  }

  bool running() const { return running_; }
  Clock::time_point deadline() const { return deadline_; }

  void AppendTo(std::vector<pollfd>& polled) const {
    polled.push_back({process_->pidfd(), POLLIN, 0});
    if (results_open_) polled.push_back({results_.get(), POLLIN, 0});
    if (output_open_) polled.push_back({output_.get(), POLLIN, 0});
  }
  // Takes what is there, without waiting; notices the grader's end, and its silence.
  void Look() {
    const bool ended = process_->HasEnded();
    Drain();
    if (!ended && Clock::now() >= deadline_) end_.was_silent = true;
    if (ended || end_.was_silent) Finish();
  }
  void Interrupt(int signal) {
    end_.interrupted_by = signal;
    Finish();
  }
  GraderEnd& end() { return end_; }

 private:
  void Drain() {
    results_open_ = results_open_ && ReadAll(results_.get(), [&](std::string_view chunk) {
                      lines_.Add(chunk);
                      deadline_ = Clock::now() + silence_;
                    });
    output_open_ = output_open_ && ReadAll(output_.get(), [&](std::string_view chunk) {
                     end_.output += chunk;
                     if (end_.output.size() > kOutputLimit) {
                       end_.output.erase(0, end_.output.size() - kOutputLimit);
                     }
                   });
  }
  void Finish() {
    if (end_.was_silent || end_.interrupted_by != 0) process_->End();
    end_.status = process_->Wait();
    // It may have written between the last read and its end. Others that hold the pipes are not
    // waited for: the pipes do not block.
    Drain();
    lines_.Flush();
    running_ = false;
  }

  std::chrono::milliseconds silence_;
  Clock::time_point deadline_ = Clock::now() + silence_;
  LineSplitter lines_;
  Fd results_;
  Fd output_;
  bool results_open_ = true;
  bool output_open_ = true;
  bool running_ = true;
  GraderEnd end_;
  std::optional<GraderProcess> process_;
};

// Until one of them has written or ended, a signal has come, or one has been silent for too long.
void WaitForAny(const std::vector<std::unique_ptr<Grader>>& graders, const Interrupts& interrupts) {
  std::vector<pollfd> polled = {{interrupts.fd(), POLLIN, 0}};
  auto deadline = Clock::time_point::max();
  for (const auto& grader : graders) {
    if (!grader->running()) continue;
    grader->AppendTo(polled);
    deadline = std::min(deadline, grader->deadline());
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  const int count =
      poll(polled.data(), polled.size(), static_cast<int>(std::max<long long>(left.count(), 0)));
  if (count == -1 && errno != EINTR) throw SystemError(errno, "poll");
}

}  // namespace

std::vector<GraderEnd> RunGraders(const std::vector<GraderPlan>& plans, Interrupts& interrupts,
                                  const OnGraderLine& on_line) {
  std::vector<std::unique_ptr<Grader>> graders;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    graders.push_back(std::make_unique<Grader>(
        plans[i], [&on_line, i](std::string_view line) { on_line(i, line); }));
  }
  const auto running = [](const auto& grader) { return grader->running(); };
  while (std::any_of(graders.begin(), graders.end(), running)) {
    WaitForAny(graders, interrupts);
    const int signal = interrupts.Take();
    for (const auto& grader : graders) {
      if (grader->running()) signal != 0 ? grader->Interrupt(signal) : grader->Look();
    }
  }
  std::vector<GraderEnd> ends;
  for (const auto& grader : graders) ends.push_back(std::move(grader->end()));
  return ends;
}

std::string DescribeEnd(const GraderEnd& end) {
  if (end.was_silent) return "was killed because it said nothing for too long";
  if (WIFSIGNALED(end.status)) return "was killed by " + SignalName(WTERMSIG(end.status));
  return "exited with status " + std::to_string(WEXITSTATUS(end.status));
}

}  // namespace ipclab
