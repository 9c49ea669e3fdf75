#include "common/compile/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/spawn.h"

namespace ipclab {
namespace {

using Clock = std::chrono::steady_clock;

// Kills `pid` and all below it. Bubblewrap takes its jail along; a plain shell would leave the
// compiler behind. A stopped parent starts no more children and reaps none, so their pids stay
// theirs until the signal is sent.
void KillTree(pid_t pid) {
  kill(pid, SIGSTOP);
  const std::string id = std::to_string(pid);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  for (pid_t child; children >> child;) KillTree(child);
  kill(pid, SIGKILL);
}

// Owns a child: whatever happens, it is killed and waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ < 0) return;
    Kill();
    int status = 0;
    while (waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Kill() { KillTree(pid_); }
  int Wait() {
    int status = 0;
    pid_t waited;
    do {
      waited = waitpid(pid_, &status, 0);
    } while (waited == -1 && errno == EINTR);
    pid_ = -1;
    Check(waited, "waitpid");
    return status;
  }

 private:
  pid_t pid_;
};

// One read(2); false at the end of the file.
template <typename Sink>
bool Drain(Fd& from, Sink sink) {
  char chunk[1 << 16];
  const ssize_t n = read(from.get(), chunk, sizeof(chunk));
  if (n == -1 && (errno == EINTR || errno == EAGAIN)) return true;
  if (Check(n, "read from the compiler") == 0) return false;
  sink(std::string_view(chunk, static_cast<std::size_t>(n)));
  return true;
}

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max<long long>(left.count(), 0));
}

// Reads both pipes until they end, the time is over or the output is too long.
void Collect(const ChildPlan& plan, Fd out, Fd err, ChildRun& run) {
  const auto deadline = Clock::now() + plan.wall;
  while (out || err) {
    const int left = MillisecondsUntil(deadline);
    if (left == 0) {
      run.timed_out = true;
      return;
    }
    pollfd ready[2] = {{out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}};
    const int count = poll(ready, 2, left);
    if (count == -1 && errno == EINTR) continue;
    Check(count, "poll");
    if (ready[0].revents != 0 &&
        !Drain(out, [&](std::string_view chunk) { run.output += chunk; })) {
      out.Reset();
    }
    if (ready[1].revents != 0 &&
        !Drain(err, [&](std::string_view chunk) { run.messages.Append(chunk); })) {
      err.Reset();
    }
    if (run.output.size() > plan.output_limit) {
      run.flooded = true;
      return;
    }
  }
}

}  // namespace

ChildRun RunChild(const ChildPlan& plan) {
  PipeEnds out = MakePipe();
  PipeEnds err = MakePipe();
  SpawnPlan spawn{plan.argv, plan.environment, {}, plan.folder};
  spawn.fds = {{out.write.get(), STDOUT_FILENO}, {err.write.get(), STDERR_FILENO}};
  int next = ChildPlan::kFirstFd;
  for (const int fd : plan.fds) spawn.fds.emplace_back(fd, next++);
  Child child(Spawn(spawn));
  // With our write ends open the pipes would never end.
  out.write.Reset();
  err.write.Reset();

  ChildRun run;
  Collect(plan, std::move(out.read), std::move(err.read), run);
  if (run.timed_out || run.flooded) child.Kill();
  run.status = child.Wait();
  return run;
}

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n == -1 && errno == EINTR) continue;
    bytes.remove_prefix(static_cast<std::size_t>(Check(n, "write")));
  }
}

}  // namespace ipclab
