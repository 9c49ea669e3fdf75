#include "common/sandbox/launch.h"

#include <link.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>

#include "common/base/fd.h"
#include "common/sandbox/registry.h"

namespace ipclab {
namespace {

constexpr char kBubblewrap[] = "/usr/bin/bwrap";
constexpr char kGraderPath[] = "/box/grader";
constexpr char kShell[] = "/bin/sh";

void CheckSpawn(int error, const std::string& call) {
  if (error != 0) throw SystemError(error, call);
}

// posix_spawn_file_actions_t with an owner.
class FileActions {
 public:
  FileActions() { CheckSpawn(posix_spawn_file_actions_init(&actions_), "file_actions_init"); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void Duplicate(int from, int to) {
    CheckSpawn(posix_spawn_file_actions_adddup2(&actions_, from, to), "file_actions_adddup2");
  }
  void Open(int fd, const char* path, int flags) {
    CheckSpawn(posix_spawn_file_actions_addopen(&actions_, fd, path, flags, 0), "addopen");
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

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The shared objects this very process runs with: exactly what stage and helpers need, and what a
// submission may link to.
const std::set<std::string>& LoadedLibraries() {
  static const std::set<std::string> libraries = [] {
    std::set<std::string> paths;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
          if (info->dlpi_name[0] == '/') static_cast<std::set<std::string>*>(out)->insert(info->dlpi_name);
          return 0;
        },
        &paths);
    return paths;
  }();
  return libraries;
}

void Append(std::vector<std::string>& argv, std::initializer_list<std::string> more) {
  argv.insert(argv.end(), more);
}

}  // namespace

std::string SelfPath() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

std::vector<std::string> BubblewrapCommand(bool shell, int submission) {
  std::vector<std::string> argv = {
      kBubblewrap, "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session",
      "--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--clearenv",
      "--setenv", "PATH", "/bin", "--setenv", "HOME", "/tmp", "--setenv", kStageVariable, "1"};
  for (const std::string& library : LoadedLibraries()) {
    Append(argv, {"--ro-bind", std::filesystem::canonical(library).string(), library});
  }
  Append(argv, {"--ro-bind", SelfPath(), kGraderPath});
  for (const std::string& program : ProgramNames()) {
    Append(argv, {"--symlink", kGraderPath, "/bin/" + program});
  }
  if (shell) Append(argv, {"--ro-bind", std::filesystem::canonical(kShell).string(), kShell});
  if (submission >= 0) {
    Append(argv, {"--ro-bind-data", std::to_string(submission), kSubmissionPath});
  }
  Append(argv, {"--size", "67108864", "--tmpfs", "/tmp"});
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"}) {
    Append(argv, {"--dev-bind", device, device});
  }
  Append(argv, {"--size", "67108864", "--tmpfs", "/dev/shm", "--mqueue", "/dev/mqueue"});
  Append(argv, {"--remount-ro", "/", "--chdir", "/tmp", "--", kGraderPath});
  return argv;
}

std::string MakeScratch(bool shell, int submission) {
  const char* const base = std::getenv("TEST_TMPDIR");
  std::string scratch = std::string(base != nullptr ? base : "/tmp") + "/ipclab-XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr) throw SystemError(errno, "mkdtemp " + scratch);
  namespace fs = std::filesystem;
  for (const char* folder : {"/bin", "/tmp", "/box"}) fs::create_directory(scratch + folder);
  for (const std::string& program : ProgramNames()) {
    fs::create_symlink(SelfPath(), scratch + "/bin/" + program);
  }
  if (shell) fs::create_symlink(kShell, scratch + "/bin/sh");
  if (submission >= 0) {
    fs::copy_file("/proc/self/fd/" + std::to_string(submission), scratch + kSubmissionPath);
  }
  return scratch;
}

pid_t Spawn(const SpawnPlan& plan) {
  FileActions actions;
  // First far away, then into place, so that no target overwrites a source that is still needed.
  constexpr int kFar = 200;
  for (std::size_t i = 0; i < plan.fds.size(); ++i) {
    actions.Duplicate(plan.fds[i].first, kFar + static_cast<int>(i));
  }
  actions.Duplicate(plan.error, 2);
  actions.Open(0, "/dev/null", O_RDONLY);
  actions.Open(1, "/dev/null", O_WRONLY);
  for (std::size_t i = 0; i < plan.fds.size(); ++i) {
    actions.Duplicate(kFar + static_cast<int>(i), plan.fds[i].second);
  }
  actions.CloseFrom(3 + static_cast<int>(plan.fds.size()));
  actions.ChangeDirectory(plan.directory);
  const CleanSignals signals;

  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> environment = Pointers(plan.environment);
  pid_t pid = -1;
  CheckSpawn(posix_spawn(&pid, argv[0], actions.get(), signals.get(), argv.data(),
                         environment.data()),
             "posix_spawn " + plan.argv[0]);
  return pid;
}

}  // namespace ipclab
