#include "common/observe/deadlock.h"

#include <sys/syscall.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "common/observe/blocked.h"
#include "common/observe/deadlock_wait.h"

namespace ipclab {
namespace {

using deadlock::DecodeWait;
using deadlock::Members;
using deadlock::SleepsForGood;

std::vector<TaskSample> LivingTasks(const World& world) {
  std::vector<TaskSample> tasks = SampleTasks(world.processes);
  std::erase_if(tasks, [](const TaskSample& task) { return task.status.ended(); });
  for (TaskSample& task : tasks) {
    if (!task.blocked || task.blocked->call != SYS_restart_syscall) continue;
    const auto resumed = world.resumed.find(task.tid);
    if (resumed != world.resumed.end()) task.blocked = resumed->second;
  }
  return tasks;
}

bool AllSleepForGood(const std::vector<TaskSample>& tasks, const World& world) {
  return !tasks.empty() && std::ranges::all_of(tasks, [&](const TaskSample& task) {
    return SleepsForGood(task, world);
  });
}

bool NobodyRanBetween(const std::vector<TaskSample>& first, const std::vector<TaskSample>& second) {
  return std::ranges::equal(
      first, second, [](const TaskSample& a, const TaskSample& b) { return a.SleptUntil(b); });
}

// False if a child was not listed, or has ended without its parent knowing: the kernel tells the
// tracer first.
bool AccountsForChildren(const Census& process, const World& world) {
  return std::ranges::all_of(process.children, [&](const Child& child) {
    if (std::ranges::find(world.processes, child.pid) != world.processes.end() && !child.zombie()) {
      return true;
    }
    const std::optional<Status> status = ReadStatus(child.pid);
    return status && status->ended() && status->threads <= 1 && status->tracer == 0;
  });
}

// The living processes, or nothing if one of them has a timer or an unknown child.
std::optional<Members> TakeMembers(const std::vector<TaskSample>& tasks, const World& world) {
  Members members;
  for (const TaskSample& task : tasks) {
    if (members.contains(task.pid)) continue;
    // Of the thread, because a leader that has ended (pthread_exit) shows no descriptors.
    Census process = TakeCensus(task.tid, kDescriptors | kChildren | kTimers);
    process.pid = task.pid;
    const bool armed = std::ranges::any_of(process.descriptors, &Descriptor::armed_timer);
    if (armed || !process.timers.empty() || world.armed.contains(task.pid) ||
        !AccountsForChildren(process, world)) {
      return std::nullopt;
    }
    members.emplace(task.pid, std::move(process));
  }
  return members;
}

// The wait-for graph of a proved deadlock, put in the order in which a person wants to read it.
class Graph {
 public:
  explicit Graph(std::vector<WaitEdge> edges) : edges_(std::move(edges)) {
    for (std::size_t i = 0; i < edges_.size(); ++i) by_pid_[edges_[i].waiter.pid].push_back(i);
  }

  Deadlock Order() && {
    std::vector<std::size_t> order = ShortestCircle();
    Deadlock deadlock;
    deadlock.circle = order.size();
    if (order.empty()) order = Roots();
    AppendWaiters(order);
    for (const std::size_t i : order) deadlock.chain.push_back(std::move(edges_[i]));
    return deadlock;
  }

 private:
  // Edges of the processes that edge `i` needs.
  std::vector<std::size_t> Next(std::size_t i) const {
    std::vector<std::size_t> next;
    for (const Party& party : edges_[i].needs) {
      const auto found = by_pid_.find(party.pid);
      if (found == by_pid_.end()) continue;
      // A thread does not wait for itself if its process has others.
      for (const std::size_t other : found->second) {
        if (other != i || found->second.size() == 1) next.push_back(other);
      }
    }
    return next;
  }

  // The way from `start` back to `start` over the fewest edges; empty if there is none.
  std::vector<std::size_t> CircleFrom(std::size_t start) const {
    std::map<std::size_t, std::size_t> came_from;
    std::deque<std::size_t> queue{start};
    while (!queue.empty()) {
      const std::size_t at = queue.front();
      queue.pop_front();
      for (const std::size_t next : Next(at)) {
        if (next == start) {
          std::vector<std::size_t> circle{at};
          while (circle.back() != start) circle.push_back(came_from.at(circle.back()));
          return {circle.rbegin(), circle.rend()};
        }
        if (came_from.emplace(next, at).second) queue.push_back(next);
      }
    }
    return {};
  }

  // It begins with a wait for an object, which tells more than a wait for a process.
  std::vector<std::size_t> ShortestCircle() const {
    std::vector<std::size_t> best;
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      std::vector<std::size_t> circle = CircleFrom(i);
      if (!circle.empty() && (best.empty() || circle.size() < best.size())) best.swap(circle);
    }
    const auto object = std::ranges::find_if(best, [&](std::size_t i) {
      return !edges_[i].objects.empty() || edges_[i].call == "futex";
    });
    if (object != best.end()) std::rotate(best.begin(), object, best.end());
    return best;
  }

  // Waits that anybody could end. Without a circle there is one, or all waits hang on none.
  std::vector<std::size_t> Roots() const {
    std::vector<std::size_t> roots;
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (Next(i).empty()) roots.push_back(i);
    }
    return roots;
  }

  // Adds to `order` who waits for those in it, and for those in turn, then whatever is left.
  void AppendWaiters(std::vector<std::size_t>& order) const {
    const auto placed = [&](std::size_t i) { return std::ranges::find(order, i) != order.end(); };
    for (std::size_t at = 0; at < order.size(); ++at) {
      for (std::size_t i = 0; i < edges_.size(); ++i) {
        const std::vector<std::size_t> next = Next(i);
        if (!placed(i) && std::ranges::find(next, order[at]) != next.end()) order.push_back(i);
      }
    }
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (!placed(i)) order.push_back(i);
    }
  }

  std::vector<WaitEdge> edges_;
  std::map<pid_t, std::vector<std::size_t>> by_pid_;
};

}  // namespace

bool MayEndByTheClock(const Blocked& call) {
  return deadlock::RuleOf(call.call) == nullptr || deadlock::HasTimeout(call);
}

bool AllRestForGood(const World& world) {
  const std::vector<TaskSample> tasks = LivingTasks(world);
  // That a process has ended is news, and still on its way to who listed it.
  const auto lives = [&](pid_t pid) {
    return std::ranges::count(tasks, pid, &TaskSample::pid) != 0;
  };
  if (!std::ranges::all_of(world.processes, lives)) return false;
  const auto rests = [&](const TaskSample& task) {
    return world.held.contains(task.tid) || SleepsForGood(task, world);
  };
  return !tasks.empty() && world.armed.empty() && std::ranges::all_of(tasks, rests) &&
         NobodyRanBetween(tasks, LivingTasks(world));
}

std::optional<Deadlock> FindDeadlock(const World& world) {
  const std::vector<TaskSample> first = LivingTasks(world);
  if (!AllSleepForGood(first, world)) return std::nullopt;

  const std::optional<Members> members = TakeMembers(first, world);
  if (!members) return std::nullopt;
  std::vector<WaitEdge> edges;
  for (const TaskSample& task : first) {
    std::optional<WaitEdge> edge = DecodeWait(task, *members, world);
    if (!edge) return std::nullopt;
    edges.push_back(std::move(*edge));
  }

  const std::vector<TaskSample> second = LivingTasks(world);
  if (!NobodyRanBetween(first, second)) return std::nullopt;
  return Graph(std::move(edges)).Order();
}

}  // namespace ipclab
