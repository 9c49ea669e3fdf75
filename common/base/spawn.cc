#include "common/base/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/base/fd.h"

namespace ipclab {
namespace {

void CheckSpawn(int error, const std::string& call) {
  if (error != 0) throw SystemError(error, call);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn_file_actions_t with an owner.
class FileActions {
 public:
  FileActions() { CheckSpawn(posix_spawn_file_actions_init(&actions_), "file_actions_init"); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void Open(int fd, const char* path, int flags) {
    CheckSpawn(posix_spawn_file_actions_addopen(&actions_, fd, path, flags, 0), "addopen");
  }
  // By way of a copy far above every target, so that no target overwrites a source still needed.
  void Give(int from, int to) {
    constexpr int kFar = 200;
    copies_.emplace_back(Check(fcntl(from, F_DUPFD_CLOEXEC, kFar), "fcntl(F_DUPFD_CLOEXEC)"));
    CheckSpawn(posix_spawn_file_actions_adddup2(&actions_, copies_.back().get(), to), "adddup2");
  }
  void CloseFrom(int fd) {
    CheckSpawn(posix_spawn_file_actions_addclosefrom_np(&actions_, fd), "addclosefrom");
  }
  void ChangeDirectory(const std::string& path) {
    CheckSpawn(posix_spawn_file_actions_addchdir_np(&actions_, path.c_str()), "addchdir");
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
  std::vector<Fd> copies_;
};

// No signal blocked, each at its default.
class CleanSignals {
 public:
  CleanSignals() {
    CheckSpawn(posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
    sigset_t set;
    sigemptyset(&set);
    CheckSpawn(posix_spawnattr_setsigmask(&attributes_, &set), "posix_spawnattr_setsigmask");
    sigfillset(&set);
    CheckSpawn(posix_spawnattr_setsigdefault(&attributes_, &set), "posix_spawnattr_setsigdefault");
    CheckSpawn(
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
        "posix_spawnattr_setflags");
  }
  ~CleanSignals() { posix_spawnattr_destroy(&attributes_); }
  CleanSignals(const CleanSignals&) = delete;
  CleanSignals& operator=(const CleanSignals&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

pid_t Spawn(const SpawnPlan& plan) {
  FileActions actions;
  actions.Open(STDIN_FILENO, "/dev/null", O_RDONLY);
  actions.Open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  actions.Open(STDERR_FILENO, "/dev/null", O_WRONLY);
  int highest = STDERR_FILENO;
  for (const auto& [ours, its] : plan.fds) {
    actions.Give(ours, its);
    highest = std::max(highest, its);
  }
  actions.CloseFrom(highest + 1);
  if (!plan.directory.empty()) actions.ChangeDirectory(plan.directory);
  const CleanSignals signals;

  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> environment = Pointers(plan.environment);
  pid_t pid = -1;
  CheckSpawn(
      posix_spawn(&pid, argv[0], actions.get(), signals.get(), argv.data(), environment.data()),
      "cannot start " + plan.argv[0]);
  return pid;
}

}  // namespace ipclab
