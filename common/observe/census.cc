#include "common/observe/census.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <string_view>

#include "common/base/error.h"

namespace ipclab {
namespace {

// Flags that say how a file was opened, not how it behaves now.
constexpr int kUninteresting = O_ACCMODE | O_CLOEXEC | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC |
                               O_DIRECTORY | O_NOFOLLOW | 0100000 /* the kernel's O_LARGEFILE */;

// The value behind "key:" at the start of a line; empty if there is none.
std::string_view FieldOf(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(key) || line.size() == key.size() || line[key.size()] != ':') continue;
    line.remove_prefix(key.size() + 1);
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    return line;
  }
  return {};
}

int ToInt(std::string_view text, int base = 10) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// "it_value: (9, 999)": a timerfd shows the time left, and zeros when it is not armed.
bool ShowsTimeLeft(std::string_view info) {
  return FieldOf(info, "it_value").find_first_of("123456789") != std::string_view::npos;
}

// Nothing if the descriptor was closed or the process ended meanwhile.
std::optional<Descriptor> ReadDescriptor(pid_t pid, int number) {
  const std::string name = std::to_string(number);
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + name;
  char target[4097];
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  struct stat file;
  // Looks at the open object itself and opens nothing.
  if (length < 0 || stat(path.c_str(), &file) != 0) return std::nullopt;
  const std::optional<std::string> info = ReadProc(pid, "fdinfo/" + name);
  if (!info) return std::nullopt;

  const int flags = ToInt(FieldOf(*info, "flags"), 8);
  return Descriptor{.number = number,
                    .target = std::string(target, static_cast<std::size_t>(length)),
                    .access = flags & O_ACCMODE,
                    .status_flags = flags & ~kUninteresting,
                    .close_on_exec = (flags & O_CLOEXEC) != 0,
                    .type = file.st_mode & S_IFMT,
                    .device = file.st_dev,
                    .inode = file.st_ino,
                    .armed_timer = ShowsTimeLeft(*info),
                    .info = *info};
}

std::vector<Child> ReadChildren(pid_t pid) {
  std::vector<Child> children;
  for (const pid_t id : ChildrenOf(pid)) {
    const std::optional<Status> status = ReadStatus(id);
    if (!status) continue;
    children.push_back({.pid = id,
                        .inner_pid = status->inner_pid,
                        .state = status->state,
                        .name = status->name,
                        .blocked = status->ended() ? std::nullopt : BlockedCall(id)});
  }
  return children;
}

}  // namespace

bool Descriptor::Readable() const { return access == O_RDONLY || access == O_RDWR; }
bool Descriptor::Writable() const { return access == O_WRONLY || access == O_RDWR; }

bool Descriptor::SameObject(const Descriptor& other) const {
  return device == other.device && inode == other.inode && target == other.target;
}

const Mapping* Census::MappingAt(std::uint64_t address) const {
  const auto found = std::ranges::find_if(mappings, [&](const Mapping& mapping) {
    return mapping.start <= address && address < mapping.end;
  });
  return found == mappings.end() ? nullptr : &*found;
}

const Descriptor* Census::Find(int number) const {
  const auto found = std::ranges::find(descriptors, number, &Descriptor::number);
  return found == descriptors.end() ? nullptr : &*found;
}

std::vector<Descriptor> DescriptorsOf(pid_t pid) {
  std::vector<Descriptor> descriptors;
  for (const int number : NumbersIn(pid, "fd").value_or(std::vector<int>())) {
    if (auto descriptor = ReadDescriptor(pid, number)) {
      descriptors.push_back(std::move(*descriptor));
    }
  }
  return descriptors;
}

// "7f00-7f10 rw-s 00000000 00:01 1042 /dev/zero (deleted)"; the name may hold blanks, and the
// kernel writes a line feed in it as \012.
std::optional<Mapping> ParseMapping(std::string_view line) {
  std::istringstream fields{std::string(line)};
  Mapping mapping;
  char dash = 0;
  std::string device;
  fields >> std::hex >> mapping.start >> dash >> mapping.end >> mapping.permissions >>
      mapping.offset >> device >> std::dec >> mapping.inode;
  if (!fields || dash != '-' || mapping.permissions.size() != 4) return std::nullopt;
  std::getline(fields >> std::ws, mapping.object);
  return mapping;
}

std::vector<Mapping> MappingsOf(pid_t pid) {
  std::vector<Mapping> mappings;
  std::istringstream lines(ReadProc(pid, "maps").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (auto mapping = ParseMapping(line)) mappings.push_back(std::move(*mapping));
  }
  return mappings;
}

std::vector<PosixTimer> ParseTimers(std::string_view text) {
  std::vector<PosixTimer> timers;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const auto id = FieldOf(line, "ID"); !id.empty()) {
      timers.emplace_back().id = ToInt(id);
    }
    if (!timers.empty()) {
      if (const auto signal = FieldOf(line, "signal"); !signal.empty()) {
        timers.back().signal = ToInt(signal);
      }
      if (const auto notify = FieldOf(line, "notify"); !notify.empty()) {
        timers.back().notify = notify;
      }
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return timers;
}

Census TakeCensus(pid_t pid, unsigned parts) {
  Census census;
  census.pid = pid;
  const std::optional<Status> status = ReadStatus(pid);
  if (!status) return census;
  census.inner_pid = status->inner_pid;
  census.parent = status->parent;
  census.state = status->state;
  census.name = status->name;
  census.threads = status->threads;
  census.signals = status->signals;
  if (parts & kChildren) census.children = ReadChildren(status->pid);
  if (census.ended()) return census;
  if (parts & kDescriptors) census.descriptors = DescriptorsOf(pid);
  if (parts & kMappings) census.mappings = MappingsOf(pid);
  // A kernel built without CONFIG_CHECKPOINT_RESTORE has no such file.
  if (parts & kTimers) census.timers = ParseTimers(ReadProc(pid, "timers").value_or(""));
  return census;
}

}  // namespace ipclab
