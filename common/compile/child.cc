#include "common/compile/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "common/base/error.h"
#include "common/base/fd.h"

namespace ipclab {
namespace {

using Clock = std::chrono::steady_clock;

void CheckSpawn(int error, const std::string& call) {
  if (error != 0) throw SystemError(error, call);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Numbers far above every target, so that no dup2 overwrites a source that is still needed.
Fd FarDuplicate(int fd) {
  constexpr int kFar = 200;
  return Fd(Check(fcntl(fd, F_DUPFD_CLOEXEC, kFar), "fcntl(F_DUPFD_CLOEXEC)"));
}

// What posix_spawn(3) is to do in the new process.
class SpawnActions {
 public:
  SpawnActions(int out, int err, const std::vector<Fd>& fds) {
    CheckSpawn(posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
    CheckSpawn(posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
    CheckSpawn(posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0), "addopen");
    Duplicate(out, 1);
    Duplicate(err, 2);
    int next = ChildPlan::kFirstFd;
    for (const Fd& fd : fds) Duplicate(fd.get(), next++);
    CheckSpawn(posix_spawn_file_actions_addclosefrom_np(&actions_, next), "addclosefrom");

    sigset_t signals;
    sigemptyset(&signals);
    CheckSpawn(posix_spawnattr_setsigmask(&attributes_, &signals), "setsigmask");
    sigfillset(&signals);
    CheckSpawn(posix_spawnattr_setsigdefault(&attributes_, &signals), "setsigdefault");
    CheckSpawn(
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
        "posix_spawnattr_setflags");
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  pid_t Spawn(const ChildPlan& plan) {
    CheckSpawn(posix_spawn_file_actions_addchdir_np(&actions_, plan.folder.c_str()), "addchdir");
    const std::vector<char*> argv = Pointers(plan.argv);
    const std::vector<char*> environment = Pointers(plan.environment);
    pid_t pid = -1;
    CheckSpawn(posix_spawn(&pid, argv[0], &actions_, &attributes_, argv.data(), environment.data()),
               "posix_spawn " + plan.argv[0]);
    return pid;
  }

 private:
  void Duplicate(int from, int to) {
    CheckSpawn(posix_spawn_file_actions_adddup2(&actions_, from, to), "adddup2");
  }
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

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
  std::vector<Fd> fds;
  for (const int fd : plan.fds) fds.push_back(FarDuplicate(fd));
  Fd far_out = FarDuplicate(out.write.get());
  Fd far_err = FarDuplicate(err.write.get());
  Child child(SpawnActions(far_out.get(), far_err.get(), fds).Spawn(plan));
  // With our write ends open the pipes would never end.
  for (Fd* end : {&out.write, &err.write, &far_out, &far_err}) end->Reset();

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
