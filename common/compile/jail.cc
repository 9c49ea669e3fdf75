#include "common/compile/jail.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/text.h"
#include "common/compile/child.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

constexpr char kBubblewrap[] = "/usr/bin/bwrap";
constexpr char kShell[] = "/bin/sh";
constexpr char kPrlimit[] = "/usr/bin/prlimit";
constexpr char kMade = 'J';

// $0 is the result, "$@" the command. The first byte says that the shell runs, hence that the jail
// stands and the limits hold; the result follows it. The linker seeks in what it writes, so it
// cannot write to a pipe itself.
constexpr char kScript[] = R"(printf J; "$@" 1>&2 || exit; cat "$0" || exit 125)";

// Nothing of the caller's environment decides what a compiler does.
const std::vector<std::string> kEnvironment = {"LC_ALL=C", "PATH=/usr/bin:/bin", "TMPDIR=/tmp"};

// All that a compiler needs of /usr. Not /usr/local, /usr/src or /usr/share: what a site keeps
// there is not for `#include` and .incbin.
constexpr const char* kToolchain[] = {"/usr/bin",   "/usr/include", "/usr/lib",
                                      "/usr/lib64", "/usr/libexec", "/etc/alternatives"};
// Links into /usr on most systems.
constexpr const char* kRootFolders[] = {"/bin", "/lib", "/lib64"};

void Append(std::vector<std::string>& argv, const std::vector<std::string>& more) {
  argv.insert(argv.end(), more.begin(), more.end());
}

// "--name=soft:hard", never above the hard limit that holds already: only root could raise that.
std::string LimitOption(const char* name, __rlimit_resource resource, rlim_t soft, rlim_t hard) {
  struct rlimit now;
  Check(getrlimit(resource, &now), "getrlimit");
  return std::string("--") + name + "=" + std::to_string(std::min(soft, now.rlim_max)) + ":" +
         std::to_string(std::min(hard, now.rlim_max));
}

std::vector<std::string> LimitedCommand(const JailJob& job, const Workplace& at) {
  const CompileLimits& limits = job.limits;
  const auto cpu = static_cast<rlim_t>(limits.cpu.count());
  // The soft limit's SIGXCPU can be told from a SIGKILL of somebody else.
  std::vector<std::string> argv = {
      kPrlimit,
      LimitOption("cpu", RLIMIT_CPU, cpu, cpu + 5),
      LimitOption("as", RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
      LimitOption("fsize", RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
      LimitOption("core", RLIMIT_CORE, 0, 0),
      "--",
      kShell,
      "-c",
      kScript,
      at.result};
  Append(argv, job.command(at));
  return argv;
}

std::vector<std::string> BubblewrapCommand(const JailJob& job, int first_file) {
  std::vector<std::string> argv = {
      kBubblewrap,  "--unshare-all", "--unshare-user",    "--uid",        "1000", "--gid", "1000",
      "--cap-drop", "ALL",           "--die-with-parent", "--new-session"};
  for (const char* folder : kToolchain) Append(argv, {"--ro-bind-try", folder, folder});
  for (const char* folder : kRootFolders) {
    if (fs::is_symlink(folder)) {
      Append(argv, {"--symlink", fs::read_symlink(folder).string(), folder});
    } else {
      Append(argv, {"--ro-bind-try", folder, folder});
    }
  }
  Append(argv, {"--dev-bind", "/dev/null", "/dev/null"});
  Append(argv, {"--size", std::to_string(4 * job.limits.file_bytes), "--tmpfs", "/tmp", "--dir",
                kJailFolder});
  for (std::size_t i = 0; i < job.files.size(); ++i) {
    Append(argv, {"--file", std::to_string(first_file + static_cast<int>(i)),
                  std::string(kJailFolder) + "/" + job.files[i].name});
  }
  for (const LentFile& file : job.lent) {
    Append(argv, {"--ro-bind", file.path, std::string(kJailFolder) + "/" + file.name});
  }
  Append(argv, {"--remount-ro", "/", "--chdir", kJailFolder, "--"});
  return argv;
}

Fd MemoryFile(const JailFile& file) {
  Fd memory(Check(memfd_create("ipclab-source", MFD_CLOEXEC), "memfd_create"));
  WriteAll(memory.get(), file.text);
  Check(lseek(memory.get(), 0, SEEK_SET), "lseek");
  return memory;
}

// The first byte of the output is the script's; the rest is the command's result.
JailRun Judge(ChildRun run) {
  JailRun judged;
  judged.made = !run.output.empty() && run.output[0] == kMade;
  judged.timed_out = run.timed_out;
  judged.flooded = run.flooded;
  judged.messages = std::move(run.messages);
  if (run.timed_out || run.flooded) return judged;
  // bubblewrap and the shell report a signal of the command as an exit code.
  if (WIFSIGNALED(run.status)) {
    throw GraderError("the compiler was ended from outside by " + SignalName(WTERMSIG(run.status)));
  }
  judged.exit_code = WEXITSTATUS(run.status);
  if (judged.made && judged.exit_code == 0) judged.result = run.output.substr(1);
  return judged;
}

// A folder of our own that goes away with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    const char* const base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/ipclab-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) throw SystemError(errno, "mkdtemp " + path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

JailRun RunInJail(const JailJob& job) {
  ChildPlan plan;
  std::vector<Fd> files;
  for (const JailFile& file : job.files) {
    files.push_back(MemoryFile(file));
    plan.fds.push_back(files.back().get());
  }
  plan.argv = BubblewrapCommand(job, ChildPlan::kFirstFd);
  Append(plan.argv, LimitedCommand(job, {kJailFolder, "/tmp/result.so"}));
  plan.environment = kEnvironment;
  plan.output_limit = job.limits.file_bytes + 1;
  plan.wall = job.limits.wall;
  return Judge(RunChild(plan));
}

JailRun RunWithoutJail(const JailJob& job) {
  const ScratchFolder scratch;
  for (const JailFile& file : job.files) {
    const fs::path path = fs::path(scratch.path()) / file.name;
    fs::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out << file.text;
    if (!out.flush()) throw GraderError("cannot write " + path.string());
  }
  for (const LentFile& file : job.lent) {
    fs::create_symlink(file.path, scratch.path() + "/" + file.name);
  }
  ChildPlan plan;
  plan.argv = LimitedCommand(job, {scratch.path(), scratch.path() + "/result.so"});
  plan.environment = kEnvironment;
  plan.environment.back() = "TMPDIR=" + scratch.path();
  plan.folder = scratch.path();
  plan.output_limit = job.limits.file_bytes + 1;
  plan.wall = job.limits.wall;
  return Judge(RunChild(plan));
}

JailRun RunJailed(const JailJob& job, bool allow_unjailed, bool& jailed) {
  JailRun run = RunInJail(job);
  if (run.made) return run;
  if (!allow_unjailed) {
    throw GraderError("no jail to compile in: " + Printable(run.messages.head(), 500));
  }
  jailed = false;
  return RunWithoutJail(job);
}

}  // namespace ipclab
