#include "common/cli/grader_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

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
  if (!plan.checks.empty()) arguments.push_back("--check=" + Join(plan.checks, ","));
  return arguments;
}

// Owns the running grader. A pidfd cannot mean another process that got its number.
class Grader {
 public:
  Grader(const GraderPlan& plan, int results, int output) {
    SpawnPlan spawn;
    spawn.argv = ArgumentsOf(plan);
    spawn.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
    spawn.fds = {{output, STDOUT_FILENO},
                 {output, STDERR_FILENO},
                 {results, kResultsFd},
                 {plan.library, kLibraryFd}};
    pid_ = Spawn(spawn);
    pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) {
      const int error = errno;
      kill(pid_, SIGKILL);  // Not waited for yet, so the number is still its own.
      Wait();
      throw SystemError(error, "pidfd_open");
    }
  }
  ~Grader() {
    if (pid_ == -1) return;
    Signal(SIGKILL);
    Wait();
  }
  Grader(const Grader&) = delete;
  Grader& operator=(const Grader&) = delete;

  int pidfd() const { return pidfd_.get(); }
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
bool Drain(int fd, Sink sink) {
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
  explicit LineSplitter(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}

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
  const std::function<void(std::string_view)>& on_line_;
  std::string line_;
};

Fd NonBlocking(Fd fd) {
  Check(fcntl(fd.get(), F_SETFL, O_NONBLOCK), "fcntl(F_SETFL)");
  return fd;
}

}  // namespace

GraderEnd RunGrader(const GraderPlan& plan, Interrupts& interrupts,
                    const std::function<void(std::string_view)>& on_line) {
  PipeEnds results = MakePipe();
  PipeEnds output = MakePipe();
  Grader grader(plan, results.write.get(), output.write.get());
  results.write.Reset();
  output.write.Reset();
  const Fd results_end = NonBlocking(std::move(results.read));
  const Fd output_end = NonBlocking(std::move(output.read));

  GraderEnd end;
  LineSplitter lines(on_line);
  bool results_open = true;
  bool output_open = true;
  auto deadline = Clock::now() + plan.silence;
  const auto drain = [&] {
    results_open = results_open && Drain(results_end.get(), [&](std::string_view chunk) {
                     lines.Add(chunk);
                     deadline = Clock::now() + plan.silence;
                   });
    output_open = output_open && Drain(output_end.get(), [&](std::string_view chunk) {
                    end.output += chunk;
                    if (end.output.size() > kOutputLimit)
                      end.output.erase(0, end.output.size() - kOutputLimit);
                  });
  };
  while (true) {
    // poll(2) passes over negative descriptors.
    pollfd ready[] = {{grader.pidfd(), POLLIN, 0},
                      {interrupts.fd(), POLLIN, 0},
                      {results_open ? results_end.get() : -1, POLLIN, 0},
                      {output_open ? output_end.get() : -1, POLLIN, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int count = poll(ready, 4, static_cast<int>(std::max<long long>(left.count(), 0)));
    if (count == -1 && errno == EINTR) continue;
    Check(count, "poll");
    drain();
    end.interrupted_by = interrupts.Take();
    end.was_silent = Clock::now() >= deadline;
    const bool ended = (ready[0].revents & POLLIN) != 0;
    if (ended) end.was_silent = false;
    if (ended || end.interrupted_by != 0 || end.was_silent) break;
  }
  if (end.interrupted_by != 0 || end.was_silent) grader.End();
  end.status = grader.Wait();
  // It may have written between the last read and its end. Others that hold the pipes are not
  // waited for: the pipes do not block.
  drain();
  lines.Flush();
  return end;
}

std::string DescribeEnd(const GraderEnd& end) {
  if (end.was_silent) return "was killed because it said nothing for too long";
  if (WIFSIGNALED(end.status)) return "was killed by " + SignalName(WTERMSIG(end.status));
  return "exited with status " + std::to_string(WEXITSTATUS(end.status));
}

}  // namespace ipclab
