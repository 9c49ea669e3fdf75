#include "common/observe/testing/world.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "common/observe/poll.h"
#include "common/observe/proc.h"

namespace ipclab {
namespace {

constexpr int kLooks = 20;

// Position in the tree from 1; 0 for a stranger.
std::size_t NumberOf(pid_t pid, const std::vector<pid_t>& tree) {
  const auto found = std::ranges::find(tree, pid);
  return found == tree.end() ? 0 : static_cast<std::size_t>(found - tree.begin()) + 1;
}

void Renumber(Party& party, const std::vector<pid_t>& tree) {
  const int number = static_cast<int>(NumberOf(party.pid, tree));
  if (party.inner_tid == party.inner_pid) party.inner_tid = number;
  party.inner_pid = number;
}

std::string Explained(Deadlock deadlock, const std::vector<pid_t>& tree) {
  for (WaitEdge& edge : deadlock.chain) {
    Renumber(edge.waiter, tree);
    for (Party& party : edge.needs) Renumber(party, tree);
    for (WaitObject& object : edge.objects) {
      for (Holder& holder : object.holders) Renumber(holder.party, tree);
    }
  }
  ObjectNames names;
  return deadlock.Explain(names);
}

}  // namespace

void StartAfresh() {
  if (close_range(3, ~0U, 0) != 0) _exit(95);
}

RawPipe OpenPipe() {
  int ends[2];
  if (pipe(ends) != 0) _exit(95);
  return {ends[0], ends[1]};
}

int ReadByte(int fd) {
  char byte;
  return read(fd, &byte, 1) == 1 ? 0 : 1;
}

int WriteByte(int fd) { return write(fd, "", 1) == 1 ? 0 : 1; }

void FillPipe(int write_end) {
  const int flags = fcntl(write_end, F_GETFL);
  if (flags == -1 || fcntl(write_end, F_SETFL, flags | O_NONBLOCK) != 0) _exit(95);
  while (WriteByte(write_end) == 0) {
  }
  if (errno != EAGAIN || fcntl(write_end, F_SETFL, flags) != 0) _exit(95);
}

int WaitForChild(pid_t child) { return waitpid(child, nullptr, 0) == child ? 0 : 1; }

World WorldOf(pid_t root) {
  World world;
  world.processes = ProcessTree(root);
  world.name = [tree = world.processes](pid_t pid) {
    const std::size_t number = NumberOf(pid, tree);
    return number == 1 ? "parent" : "child " + std::to_string(number);
  };
  return world;
}

std::string ProvedDeadlock(pid_t root) {
  std::string text = "no deadlock";
  const bool proved = PollUntil([&] {
    const World world = WorldOf(root);
    const std::optional<Deadlock> deadlock = FindDeadlock(world);
    if (deadlock) text = Explained(*deadlock, world.processes);
    return deadlock.has_value();
  });
  return proved ? text : "no deadlock";
}

std::string DeadlockNow(const World& world) {
  for (int i = 0; i < kLooks; ++i) {
    if (const auto deadlock = FindDeadlock(world)) return Explained(*deadlock, world.processes);
  }
  return "no deadlock";
}

}  // namespace ipclab
