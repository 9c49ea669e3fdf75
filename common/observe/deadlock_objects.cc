#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "common/base/fd.h"
#include "common/observe/deadlock_wait.h"
#include "common/observe/memory.h"

namespace ipclab::deadlock {
namespace {

constexpr int kDescriptorLimit = 4096;  // More than a box allows.

// An awaited descriptor before anything is known about its object.
struct Wanted {
  int number;
  bool reads;
};
using WantedList = std::optional<std::vector<Wanted>>;

WantedList PolledDescriptors(const TaskSample& task) {
  const std::uint64_t count = task.blocked->args[1];
  if (count > kDescriptorLimit) return std::nullopt;
  std::vector<pollfd> entries(count);
  const std::size_t size = entries.size() * sizeof(pollfd);
  if (!ReadMemory(task.tid, task.blocked->args[0], entries.data(), size)) return std::nullopt;
  std::vector<Wanted> wanted;
  for (const pollfd& entry : entries) {
    if (entry.fd < 0) continue;
    if (entry.events & POLLOUT) wanted.push_back({entry.fd, false});
    if (!(entry.events & POLLOUT) || (entry.events & POLLIN)) wanted.push_back({entry.fd, true});
  }
  return wanted;
}

WantedList SelectedDescriptors(const TaskSample& task) {
  const std::uint64_t count = task.blocked->args[0];
  if (count > kDescriptorLimit) return std::nullopt;
  std::vector<Wanted> wanted;
  for (int set = 1; set <= 3; ++set) {
    const std::uint64_t address = task.blocked->args[static_cast<std::size_t>(set)];
    if (address == 0) continue;
    // The kernel reads whole words.
    std::vector<std::uint64_t> words((count + 63) / 64);
    if (!ReadMemory(task.tid, address, words.data(), words.size() * 8)) return std::nullopt;
    for (std::uint64_t fd = 0; fd < count; ++fd) {
      if (words[fd / 64] >> (fd % 64) & 1) wanted.push_back({static_cast<int>(fd), set != 2});
    }
  }
  return wanted;
}

// "tfd:        5 events:       19 data: 5  pos:0 ino:61af sdev:7" for each watched descriptor. The
// number is the one at the time of EPOLL_CTL_ADD, so the inode must still agree.
WantedList EpollDescriptors(const TaskSample& task, const Census& process) {
  const Descriptor* const epoll = process.Find(static_cast<int>(task.blocked->args[0]));
  if (epoll == nullptr) return std::nullopt;
  std::vector<Wanted> wanted;
  std::istringstream lines(epoll->info);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("tfd:")) continue;
    std::istringstream words(line.substr(4));
    int number = -1;
    unsigned events = 0;
    std::string label;
    words >> number >> label >> std::hex >> events;
    const auto inode_at = line.find("ino:");
    const Descriptor* const descriptor = process.Find(number);
    if (!words || inode_at == std::string::npos || descriptor == nullptr) return std::nullopt;
    ino_t inode = 0;
    std::from_chars(line.data() + inode_at + 4, line.data() + line.size(), inode, 16);
    if (inode != descriptor->inode) return std::nullopt;
    if (events & POLLOUT) wanted.push_back({number, false});
    if (!(events & POLLOUT) || (events & POLLIN)) wanted.push_back({number, true});
  }
  return wanted;
}

WantedList WantedBy(const TaskSample& task, Shape shape, const Census& process) {
  const auto& args = task.blocked->args;
  const auto fd = [&](std::size_t i) { return static_cast<int>(args[i]); };
  switch (shape) {
    case Shape::kRead:
      return {{{fd(0), true}}};
    case Shape::kWrite:
      return {{{fd(0), false}}};
    case Shape::kCopy:
      if (task.blocked->call == SYS_sendfile) return {{{fd(1), true}, {fd(0), false}}};
      if (task.blocked->call == SYS_tee) return {{{fd(0), true}, {fd(1), false}}};
      return {{{fd(0), true}, {fd(2), false}}};
    case Shape::kPoll:
      return PolledDescriptors(task);
    case Shape::kSelect:
      return SelectedDescriptors(task);
    case Shape::kEpoll:
      return EpollDescriptors(task, process);
    default:
      return std::nullopt;
  }
}

std::vector<Holder> HoldersOfOtherEnd(const Descriptor& descriptor, bool reads,
                                      const Members& members, const World& world) {
  std::vector<Holder> holders;
  for (const auto& [pid, process] : members) {
    for (const Descriptor& other : process.descriptors) {
      if (!other.SameObject(descriptor)) continue;
      if (reads ? other.Writable() : other.Readable()) {
        holders.push_back({PartyOf(process, world), other.number});
      }
    }
  }
  return holders;
}

// A local socket without SO_RCVTIMEO and SO_SNDTIMEO. What goes over a network may come by itself.
bool IsPatientLocalSocket(pid_t pid, int number) {
  const Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return false;
  const Fd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  if (!socket) return false;
  int domain = 0;
  socklen_t size = sizeof(domain);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    timeval limit{};
    size = sizeof(limit);
    if (getsockopt(socket.get(), SOL_SOCKET, option, &limit, &size) != 0) return false;
    if (limit.tv_sec != 0 || limit.tv_usec != 0) return false;
  }
  return domain == AF_UNIX;
}

// True if only a process of the box can make the object ready.
bool OnlyTheBoxServes(const Descriptor& descriptor, const TaskSample& task, const Members& members,
                      const World& world) {
  if (world.served.contains(descriptor.target)) return false;
  if (descriptor.IsPipe()) return true;
  if (S_ISSOCK(descriptor.type)) {
    // The other end, of another number, may be with somebody outside.
    const bool has_peer = std::ranges::any_of(members, [&](const auto& member) {
      return std::ranges::any_of(member.second.descriptors, [&](const Descriptor& other) {
        return S_ISSOCK(other.type) && !other.SameObject(descriptor);
      });
    });
    return has_peer && IsPatientLocalSocket(task.pid, descriptor.number);
  }
  // An armed timer was excluded before.
  static constexpr const char* kKinds[] = {"[eventfd]", "[signalfd]", "[pidfd]", "[timerfd]",
                                           "inotify"};
  if (descriptor.target.starts_with("anon_inode:")) {
    const std::string kind = descriptor.target.substr(11);
    return std::ranges::any_of(kKinds, [&](const char* known) { return kind == known; });
  }
  // A POSIX queue; other regular files never make a call sleep for long.
  return task.blocked->call == SYS_mq_timedreceive || task.blocked->call == SYS_mq_timedsend;
}

bool IsNamed(const Descriptor& pipe) { return pipe.target.starts_with('/'); }

bool IsPoll(Shape shape) {
  return shape == Shape::kPoll || shape == Shape::kSelect || shape == Shape::kEpoll;
}

void AddNeeds(const std::vector<Holder>& holders, std::vector<Party>& needs) {
  for (const Holder& holder : holders) {
    const bool known = std::ranges::find(needs, holder.party.pid, &Party::pid) != needs.end();
    if (!known) needs.push_back(holder.party);
  }
}

}  // namespace

bool DecodeObjects(const TaskSample& task, Shape shape, const Members& members, const World& world,
                   WaitEdge& edge) {
  const Census& process = members.at(task.pid);
  const WantedList wanted = WantedBy(task, shape, process);
  if (!wanted) return false;
  // Poll without descriptors is a way to wait for a signal.
  if (wanted->empty()) edge.aim = "for a signal";
  bool anybody = wanted->empty();
  for (const Wanted& want : *wanted) {
    const Descriptor* const descriptor = process.Find(want.number);
    if (descriptor == nullptr) return false;
    // A file is always ready, so it is the other side of a copy that waits.
    if (shape == Shape::kCopy && S_ISREG(descriptor->type)) continue;
    if (!OnlyTheBoxServes(*descriptor, task, members, world)) return false;
    WaitObject object{.descriptor = want.number,
                      .target = descriptor->target,
                      .pipe = descriptor->IsPipe(),
                      .reads = want.reads && descriptor->Readable(),
                      .full = false,
                      .holders = {}};
    if (object.pipe) {
      // Of a copy it is not known which side it waits for.
      object.full = !object.reads && shape != Shape::kCopy;
      object.holders = HoldersOfOtherEnd(*descriptor, object.reads, members, world);
      if (object.holders.empty() && shape == Shape::kCopy) continue;
      // An end that nobody holds would have ended the wait: somebody outside holds it. But a FIFO
      // that was opened without waiting may be polled before its first writer has come.
      if (object.holders.empty()) {
        if (!object.reads || !IsNamed(*descriptor) || !IsPoll(shape)) return false;
        anybody = true;
      }
      AddNeeds(object.holders, edge.needs);
    } else {
      anybody = true;
    }
    edge.objects.push_back(std::move(object));
  }
  if (anybody) edge.needs.clear();
  return !edge.objects.empty() || wanted->empty();
}

}  // namespace ipclab::deadlock
