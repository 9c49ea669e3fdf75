#include "common/sandbox/launch.h"

#include <link.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "common/base/error.h"
#include "common/sandbox/registry.h"

namespace ipclab {
namespace {

constexpr char kBubblewrap[] = "/usr/bin/bwrap";
constexpr char kGraderPath[] = "/box/grader";
constexpr char kShell[] = "/bin/sh";

// The shared objects this very process runs with: exactly what stage and helpers need, and what a
// submission may link to.
const std::set<std::string>& LoadedLibraries() {
  static const std::set<std::string> libraries = [] {
    std::set<std::string> paths;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
          if (info->dlpi_name[0] == '/')
            static_cast<std::set<std::string>*>(out)->insert(info->dlpi_name);
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
  std::vector<std::string> argv = {kBubblewrap,
                                   "--unshare-all",
                                   "--as-pid-1",
                                   "--die-with-parent",
                                   "--new-session",
                                   "--cap-drop",
                                   "ALL",
                                   "--uid",
                                   "1000",
                                   "--gid",
                                   "1000",
                                   "--clearenv",
                                   "--setenv",
                                   "PATH",
                                   "/bin",
                                   "--setenv",
                                   "HOME",
                                   "/tmp",
                                   "--setenv",
                                   kStageVariable,
                                   "1"};
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

}  // namespace ipclab
