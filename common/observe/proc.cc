#include "common/observe/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <functional>
#include <iterator>
#include <map>
#include <memory>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/names.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

std::string PathOf(pid_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

// Throws unless `error` only means that the process has ended. From early in exit(2) on, the kernel
// hides what belongs to a process from everybody but root, hence the second look.
void ExpectEnded(pid_t pid, int error, const std::string& call) {
  if (error == ENOENT || error == ESRCH) return;
  if (error == EACCES || error == EPERM) {
    const std::optional<Status> status = ReadStatus(pid);
    if (!status || status->ended() || !status->has_memory) return;
  }
  throw SystemError(error, call);
}

std::string_view Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

template <typename Number>
Number ToNumber(std::string_view text, int base = 10) {
  Number value{};
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// The last of several numbers: "4711\t12\t3" is 3, the id in the innermost namespace.
pid_t LastNumber(std::string_view text) {
  const auto gap = text.find_last_of(" \t");
  return ToNumber<pid_t>(gap == std::string_view::npos ? text : text.substr(gap + 1));
}

using FieldReader = std::function<void(Status&, std::string_view)>;

SignalSet ToSignals(std::string_view text) { return {ToNumber<std::uint64_t>(text, 16)}; }

const std::map<std::string_view, FieldReader>& FieldReaders() {
  static const auto* const readers = new std::map<std::string_view, FieldReader>{
      {"Name", [](Status& s, std::string_view v) { s.name = v; }},
      {"State", [](Status& s, std::string_view v) { s.state = v.empty() ? 'X' : v[0]; }},
      {"Tgid", [](Status& s, std::string_view v) { s.pid = ToNumber<pid_t>(v); }},
      {"NStgid", [](Status& s, std::string_view v) { s.inner_pid = LastNumber(v); }},
      {"NSpid", [](Status& s, std::string_view v) { s.inner_tid = LastNumber(v); }},
      {"PPid", [](Status& s, std::string_view v) { s.parent = ToNumber<pid_t>(v); }},
      {"TracerPid", [](Status& s, std::string_view v) { s.tracer = ToNumber<pid_t>(v); }},
      {"VmSize", [](Status& s, std::string_view) { s.has_memory = true; }},
      {"Threads", [](Status& s, std::string_view v) { s.threads = ToNumber<int>(v); }},
      {"SigPnd",
       [](Status& s, std::string_view v) { s.signals.pending.bits |= ToSignals(v).bits; }},
      {"ShdPnd",
       [](Status& s, std::string_view v) { s.signals.pending.bits |= ToSignals(v).bits; }},
      {"SigBlk", [](Status& s, std::string_view v) { s.signals.blocked = ToSignals(v); }},
      {"SigIgn", [](Status& s, std::string_view v) { s.signals.ignored = ToSignals(v); }},
      {"SigCgt", [](Status& s, std::string_view v) { s.signals.caught = ToSignals(v); }},
      {"voluntary_ctxt_switches",
       [](Status& s, std::string_view v) { s.voluntary_switches = ToNumber<std::uint64_t>(v); }},
      {"nonvoluntary_ctxt_switches",
       [](Status& s, std::string_view v) { s.involuntary_switches = ToNumber<std::uint64_t>(v); }},
  };
  return *readers;
}

}  // namespace

std::vector<int> SignalSet::Members() const {
  std::vector<int> members;
  for (int signal = 1; signal <= 64; ++signal) {
    if (Has(signal)) members.push_back(signal);
  }
  return members;
}

std::string SignalSet::Names() const {
  std::string names;
  const std::vector<int> members = Members();
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) names += i + 1 == members.size() ? " and " : ", ";
    names += SignalName(members[i]);
  }
  return names;
}

std::optional<std::string> ReadProc(pid_t pid, std::string_view name) {
  const std::string path = PathOf(pid, name);
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    ExpectEnded(pid, errno, "open " + path);
    return std::nullopt;
  }
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t n = read(file.get(), block, sizeof(block));
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      ExpectEnded(pid, errno, "read " + path);
      return std::nullopt;
    }
    text.append(block, static_cast<std::size_t>(n));
  }
}

Status ParseStatus(std::string_view text) {
  Status status;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto reader = FieldReaders().find(line.substr(0, colon));
    if (reader != FieldReaders().end()) reader->second(status, Trimmed(line.substr(colon + 1)));
  }
  return status;
}

std::optional<Status> ReadStatus(pid_t pid) {
  const std::optional<std::string> text = ReadProc(pid, "status");
  if (!text || text->empty()) return std::nullopt;
  return ParseStatus(*text);
}

std::optional<std::vector<int>> NumbersIn(pid_t pid, std::string_view directory) {
  const std::string path = PathOf(pid, directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(path.c_str()), &closedir);
  if (entries == nullptr) {
    ExpectEnded(pid, errno, "open " + path);
    return std::nullopt;
  }
  std::vector<int> numbers;
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(entries.get());
    if (entry == nullptr) {
      if (errno != 0) ExpectEnded(pid, errno, "read " + path);
      break;
    }
    if (entry->d_name[0] != '.') numbers.push_back(ToNumber<int>(entry->d_name));
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::optional<std::chrono::nanoseconds> CpuTime(pid_t pid) {
  clockid_t clock;
  timespec used;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

std::vector<pid_t> ThreadsOf(pid_t pid) {
  return NumbersIn(pid, "task").value_or(std::vector<int>());
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t tid : ThreadsOf(pid)) {
    const std::string name = "task/" + std::to_string(tid) + "/children";
    const std::optional<std::string> text = ReadProc(pid, name);
    if (!text) continue;
    std::string_view rest = *text;
    while (!(rest = Trimmed(rest)).empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      children.push_back(ToNumber<pid_t>(word));
      rest.remove_prefix(word.size());
    }
  }
  return children;
}

std::vector<pid_t> ProcessTree(pid_t root) {
  std::vector<pid_t> tree{root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const std::vector<pid_t> children = ChildrenOf(tree[i]);
    tree.insert(tree.end(), children.begin(), children.end());
  }
  std::erase_if(tree, [](pid_t pid) {
    const std::optional<Status> status = ReadStatus(pid);
    return !status || (status->ended() && status->threads <= 1);
  });
  return tree;
}

}  // namespace ipclab
