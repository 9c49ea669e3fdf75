#include "common/observe/census_diff.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "common/base/names.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

using Lines = std::vector<std::string>;

std::string Numbered(const Descriptor& descriptor) {
  return "descriptor " + std::to_string(descriptor.number);
}

struct Flag {
  int bit;
  const char* name;
};
constexpr Flag kFlags[] = {{O_NONBLOCK, "O_NONBLOCK"},
                           {O_APPEND, "O_APPEND"},
                           {O_ASYNC, "O_ASYNC"},
                           {O_DIRECT, "O_DIRECT"}};

void DiffFlags(const Descriptor& before, const Descriptor& after, Lines& lines) {
  const auto report = [&](const char* name, bool was, bool is) {
    if (was == is) return;
    lines.push_back(Numbered(after) + "'s " + name + " was changed: was " +
                    (was ? "set" : "clear") + ", is " + (is ? "set" : "clear"));
  };
  for (const Flag& flag : kFlags) {
    report(flag.name, before.status_flags & flag.bit, after.status_flags & flag.bit);
  }
  report("FD_CLOEXEC", before.close_on_exec, after.close_on_exec);
}

void DiffDescriptors(const Census& before, const Census& after, ObjectNames& names, Lines& lines) {
  for (const Descriptor& old : before.descriptors) {
    const Descriptor* const now = after.Find(old.number);
    if (now == nullptr) {
      lines.push_back(Numbered(old) + ", " + names.End(old) +
                      ", was closed although it belonged to the caller");
    } else if (!now->SameObject(old) || now->access != old.access) {
      // In this order, so that the older pipe gets the first letter.
      const std::string was = names.End(old);
      lines.push_back(Numbered(old) + " was replaced: was " + was + ", is " + names.End(*now));
    } else {
      DiffFlags(old, *now, lines);
    }
  }
  for (const Descriptor& now : after.descriptors) {
    if (before.Find(now.number) == nullptr) {
      lines.push_back(Numbered(now) + ", " + names.End(now) + ", is still open");
    }
  }
}

void DiffChildren(const Census& before, const Census& after, Lines& lines) {
  // A child that was there before is not this call's, whatever has become of it.
  std::set<pid_t> known;
  for (const Child& child : before.children) known.insert(child.pid);
  for (const Child& child : after.children) {
    if (known.contains(child.pid)) continue;
    const std::string id = std::to_string(child.inner_pid);
    if (child.zombie()) {
      lines.push_back("zombie child " + id + " (not waited for)");
    } else if (child.state == 'T') {
      lines.push_back("child " + id + " still there (stopped)");
    } else {
      lines.push_back(
          "child " + id + " still running" +
          (child.blocked ? " (blocked in " + SyscallName(child.blocked->call) + ")" : ""));
    }
  }
}

// Private mappings of these are the loader's and the library's own work.
bool IsSystemFile(const std::string& path) {
  static constexpr const char* kPlaces[] = {"/usr/", "/lib", "/etc/"};
  return std::ranges::any_of(kPlaces, [&](const char* place) { return path.starts_with(place); });
}

bool CountsAsLeak(const Mapping& mapping) {
  if (mapping.shared()) return true;
  return mapping.object.starts_with('/') && !IsSystemFile(mapping.object);
}

std::string MappingName(const Mapping& mapping) {
  const std::string size = Count(static_cast<long long>(mapping.end - mapping.start), "byte");
  if (mapping.object.starts_with("/SYSV")) {
    return "System V segment id " + std::to_string(mapping.inode) + ", " + size;
  }
  if (mapping.object.starts_with("/dev/zero")) {
    return "mapping of shared anonymous memory, " + size;
  }
  const std::string from =
      mapping.offset == 0 ? "" : " from offset " + std::to_string(mapping.offset);
  return "mapping of " + Printable(mapping.object, 120) + from + ", " + size + ", " +
         mapping.permissions;
}

// The same bytes of the same object at the same addresses, where the two overlap.
bool SameBacking(const Mapping& a, const Mapping& b) {
  return a.object == b.object && a.inode == b.inode && a.shared() == b.shared() &&
         a.OffsetOf(0) == b.OffsetOf(0);
}

// What is left of `mapping` once the parts that `others` map of the same object are taken away. The
// kernel joins neighbours, so the bounds alone say nothing.
std::vector<Mapping> Subtract(const Mapping& mapping, const std::vector<Mapping>& others) {
  std::vector<Mapping> rest{mapping};
  for (const Mapping& other : others) {
    if (!SameBacking(mapping, other)) continue;
    std::vector<Mapping> next;
    for (const Mapping& part : rest) {
      if (other.end <= part.start || part.end <= other.start) {
        next.push_back(part);
        continue;
      }
      Mapping left = part, right = part;
      left.end = other.start;
      right.start = other.end;
      right.offset = part.OffsetOf(right.start);
      if (left.start < left.end) next.push_back(left);
      if (right.start < right.end) next.push_back(right);
    }
    rest = std::move(next);
  }
  return rest;
}

void DiffRights(const Mapping& old, const Census& after, Lines& lines) {
  for (const Mapping& now : after.mappings) {
    const bool overlap = old.start < now.end && now.start < old.end;
    if (!overlap || !SameBacking(old, now) || old.permissions == now.permissions) continue;
    lines.push_back(MappingName(old) + ", has other rights now: " + now.permissions);
  }
}

void DiffMappings(const Census& before, const Census& after, Lines& lines) {
  for (const Mapping& now : after.mappings) {
    if (!CountsAsLeak(now)) continue;
    for (const Mapping& part : Subtract(now, before.mappings)) {
      lines.push_back(MappingName(part) + ", is still " +
                      (now.object.starts_with("/SYSV") ? "attached" : "mapped"));
    }
  }
  for (const Mapping& old : before.mappings) {
    if (!CountsAsLeak(old)) continue;
    DiffRights(old, after, lines);
    for (const Mapping& part : Subtract(old, after.mappings)) {
      lines.push_back(MappingName(part) + ", was unmapped although it belonged to the caller");
    }
  }
}

// Two different handlers look the same from outside: only the tracer can tell them apart.
const char* ActionOf(const SignalState& signals, int signal) {
  if (signals.ignored.Has(signal)) return "ignored";
  return signals.caught.Has(signal) ? "caught" : "default";
}

// SIGRTMIN as the C library gives it: those below are its own, for threads.
constexpr int kFirstLibrarySignal = 32;
constexpr int kLastLibrarySignal = 33;

// A pending signal that is not blocked is only on its way: the process was stopped before it could
// take it. A traced process meets even ignored ones so, such as the SIGCHLD of any child.
bool StaysPending(const SignalState& state, int signal) {
  return state.pending.Has(signal) && state.blocked.Has(signal);
}

void DiffSignals(const SignalState& before, const SignalState& after, Lines& lines) {
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal >= kFirstLibrarySignal && signal <= kLastLibrarySignal) continue;
    const std::string name = SignalName(signal);
    const std::string was = ActionOf(before, signal);
    const std::string is = ActionOf(after, signal);
    if (was != is) {
      lines.push_back("signal action of " + name + " changed: was " + was + ", is " + is);
    }
    if (before.blocked.Has(signal) != after.blocked.Has(signal)) {
      lines.push_back("signal mask: " + name +
                      (after.blocked.Has(signal) ? " is still blocked" : " is no longer blocked"));
    }
    if (!StaysPending(before, signal) && StaysPending(after, signal)) {
      lines.push_back(name + " is still pending");
    }
    if (StaysPending(before, signal) && !StaysPending(after, signal)) {
      lines.push_back(name + " was pending before and is not any more");
    }
  }
}

void DiffTimers(const Census& before, const Census& after, Lines& lines) {
  for (const PosixTimer& timer : after.timers) {
    const bool known =
        std::ranges::find(before.timers, timer.id, &PosixTimer::id) != before.timers.end();
    if (known) continue;
    lines.push_back("POSIX timer " + std::to_string(timer.id) + " (" + SignalName(timer.signal) +
                    ") was not deleted");
  }
}

}  // namespace

std::vector<std::string> Leftovers(const Census& before, const Census& after, ObjectNames& names) {
  Lines lines;
  DiffDescriptors(before, after, names, lines);
  DiffChildren(before, after, lines);
  if (after.threads > before.threads) {
    lines.push_back(Count(after.threads - before.threads, "thread") + " still running");
  }
  DiffMappings(before, after, lines);
  DiffSignals(before.signals, after.signals, lines);
  DiffTimers(before, after, lines);
  return lines;
}

std::vector<std::string> Leftovers(const std::vector<SysvObject>& before,
                                   const std::vector<SysvObject>& after) {
  const auto has = [](const std::vector<SysvObject>& set, const SysvObject& wanted) {
    return std::ranges::any_of(set, [&](const SysvObject& object) {
      return object.kind == wanted.kind && object.id == wanted.id;
    });
  };
  Lines lines;
  for (const SysvObject& object : after) {
    if (!has(before, object)) lines.push_back(object.Name() + " is still there");
  }
  for (const SysvObject& object : before) {
    if (!has(after, object)) {
      lines.push_back(object.Name() + " was removed although it belonged to somebody else");
    }
  }
  return lines;
}

std::vector<std::string> Leftovers(const std::vector<TreeEntry>& before,
                                   const std::vector<TreeEntry>& after) {
  const auto has = [](const std::vector<TreeEntry>& set, const TreeEntry& wanted) {
    return std::ranges::any_of(set, [&](const TreeEntry& entry) {
      return entry.path == wanted.path && entry.device == wanted.device &&
             entry.inode == wanted.inode && entry.type == wanted.type;
    });
  };
  Lines lines;
  for (const TreeEntry& entry : after) {
    if (!has(before, entry)) lines.push_back(entry.Name() + " is still there");
  }
  for (const TreeEntry& entry : before) {
    if (!has(after, entry)) {
      lines.push_back(entry.Name() + " was removed although it belonged to somebody else");
    }
  }
  return lines;
}

}  // namespace ipclab
