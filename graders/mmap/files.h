// What the checks of the mmap lab say about files and mappings.
//
// In helpers:
//   MakeFile("data", bytes);
// In checks:
//   const Mapping* const mapping = caller.call().after.MappingAt(address);
//   EXPECT_THAT(MapsLeft(box, caller), NothingLeftBehind());   // Anonymous private ones too.

#ifndef IPCLAB_GRADERS_MMAP_FILES_H_
#define IPCLAB_GRADERS_MMAP_FILES_H_

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/text.h"
#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

inline std::size_t PageSize() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// ---- In helpers --------------------------------------------------------------------------------

// A new file with exactly this mode, whatever the umask.
inline void MakeFile(const std::string& path, std::string_view bytes, mode_t mode = 0600) {
  const Fd file(Check(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "open"));
  while (!bytes.empty()) {
    bytes.remove_prefix(
        static_cast<std::size_t>(Check(write(file.get(), bytes.data(), bytes.size()), "write")));
  }
  Check(fchmod(file.get(), mode), "fchmod");
}

// A new file that is one hole.
inline void MakeHole(const std::string& path, off_t size) {
  MakeFile(path, "");
  Check(truncate(path.c_str(), size), "truncate");
}

// Pages of the helper's own, for as long as this lives.
class Pages {
 public:
  Pages(std::size_t size, int prot, int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1)
      : size_(size), at_(::mmap(nullptr, size, prot, flags, fd, 0)) {
    if (at_ == MAP_FAILED) throw SystemError(errno, "mmap");
  }
  ~Pages() { munmap(at_, size_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  char* bytes() const { return static_cast<char*>(at_); }
  std::string Text(std::size_t size) const { return std::string(bytes(), size); }
  void Allow(std::size_t page, int prot) const {
    Check(mprotect(bytes() + page * PageSize(), PageSize(), prot), "mprotect");
  }

 private:
  std::size_t size_;
  void* at_;
};

// The whole file in shared memory of the helper's own.
inline Pages MapHere(const std::string& path, std::size_t size) {
  const Fd file(Check(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"));
  return Pages(size, PROT_READ, MAP_SHARED, file.get());
}

inline std::int64_t Number(const volatile void* address) {
  return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address));
}

// What each child does that is forked while this lives, before fork(2) returns to it.
class AtBirth {
 public:
  explicit AtBirth(void (*action)()) {
    Action() = action;
    static const int registered = pthread_atfork(nullptr, nullptr, [] {
      if (Action() != nullptr) Action()();
    });
    if (registered != 0) throw SystemError(registered, "pthread_atfork");
  }
  ~AtBirth() { Action() = nullptr; }
  AtBirth(const AtBirth&) = delete;
  AtBirth& operator=(const AtBirth&) = delete;

 private:
  static void (*&Action())() {
    static void (*action)() = nullptr;
    return action;
  }
};

// ---- In checks ---------------------------------------------------------------------------------

inline std::uint64_t Address(const Helper& helper, const std::string& key) {
  return static_cast<std::uint64_t>(helper.Reported(key, 0));
}

// The mapping at the address that the helper reported under `key`, as the call left it.
inline const Mapping* MappingOf(const Helper& helper, const StudentCall& call,
                                const std::string& key) {
  return call.after.MappingAt(Address(helper, key));
}

// Calls of mmap(2) in students' functions, by any process; without the C library's own.
inline std::vector<Event> MmapCalls(const Sandbox& box) {
  std::vector<Event> calls;
  for (const Event& event : box.Calls(Family::kMap)) {
    if (event.number == SYS_mmap) calls.push_back(event);
  }
  return calls;
}

inline bool EndsWithPath(const std::string& target, const std::string& path) {
  return target == "/tmp/" + path || target.ends_with("/" + path);
}

// Those of the file at `path`.
inline std::vector<Event> MmapCallsOf(const Sandbox& box, const std::string& path) {
  std::vector<Event> calls = MmapCalls(box);
  std::erase_if(calls, [&](const Event& event) { return !EndsWithPath(event.target, path); });
  return calls;
}

// Calls of these families in students' functions that move bytes of the file at `path`.
inline std::vector<std::string> TransfersOf(Sandbox& box, const std::string& path,
                                            const std::vector<Family>& families) {
  std::vector<std::string> transfers;
  for (const Family family : families) {
    for (const Event& event : box.Calls(family)) {
      if (EndsWithPath(event.target, path)) transfers.push_back(Describe(event, box.names()));
    }
  }
  return transfers;
}

MATCHER(ByMappingOnly, "the bytes of the file travel by mapping") {
  for (const std::string& call : arg) *result_listener << "\n  " << call;
  return arg.empty();
}

// Makes the n-th mmap(2) of a file fail, or with `files` false the n-th of any memory.
inline int FailMmap(Sandbox& box, int error, int nth = 1, bool files = true) {
  const auto where = [files](const Event& event) {
    return !event.function.empty() && event.number == SYS_mmap && (!files || event.descriptor >= 0);
  };
  return box.AddRule({.family = Family::kMap, .nth = nth, .where = where, .answer = -error});
}

// The how manieth child, from 1, it is of those that the same function has started, leaving out the
// first `before` children of the box.
inline int Birth(const Sandbox& box, pid_t pid, std::size_t before) {
  const std::vector<Process> children = box.Children();
  const std::string& function = box.observer().process(pid).function;
  int birth = 0;
  for (std::size_t i = before; i < children.size(); ++i) {
    if (children[i].function == function) ++birth;
    if (children[i].pid == pid) return birth;
  }
  return 0;
}

// Holds the n-th child that is forked from now on when it comes to a Gate() in an AtBirth; with 0,
// all of them. The box has to watch Family::kSignalSend.
inline int HoldBirth(Sandbox& box, int nth) {
  const std::size_t before = box.Children().size();
  const auto where = [&box, nth, before](const Event& event) {
    if (event.args[1] != 0 || box.observer().process(event.pid).helper) return false;
    return nth == 0 || Birth(box, event.pid, before) == nth;
  };
  return box.AddRule({.family = Family::kSignalSend, .nth = 0, .where = where, .hold = true});
}

// Serves the box until the rule holds a child and the caller sleeps; false if it does not wait.
inline testing::AssertionResult WaitsForTheHeld(Sandbox& box, Helper& caller, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  const auto over = [&] {
    return caller.call().returned || !caller.process().alive || AtRest(box);
  };
  const testing::AssertionResult result = Comes(box, over);
  if (!result) return result;
  if (!held()) return testing::AssertionFailure() << "no child was started";
  if (!caller.call().returned && caller.process().alive) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << DescribeCall(caller.call()) << " before its child had done anything";
}

// In practice mode helpers may have the capabilities of root, for whom modes of files mean nothing.
inline bool ModesCount() { return Session::Get().confine; }

// What mmap(2) gave the helper in students' functions and no munmap(2) took back, private memory
// without a file included. The box has to watch Family::kMap.
inline std::vector<std::string> MapsLeft(const Sandbox& box, const Helper& helper) {
  using Range = std::pair<std::uint64_t, std::uint64_t>;
  const std::uint64_t page = PageSize();
  std::vector<Range> left;
  for (const Event& event : box.Calls(Family::kMap)) {
    if (event.pid != helper.pid() || !event.Succeeded()) continue;
    const bool maps = event.number == SYS_mmap;
    if (!maps && event.number != SYS_munmap) continue;
    const std::uint64_t begin = maps ? static_cast<std::uint64_t>(*event.result) : event.args[0];
    const std::uint64_t end = begin + (event.args[1] + page - 1) / page * page;
    std::vector<Range> rest;
    for (const auto& [from, to] : left) {
      if (from < std::min(to, begin)) rest.emplace_back(from, std::min(to, begin));
      if (std::max(from, end) < to) rest.emplace_back(std::max(from, end), to);
    }
    if (maps) rest.emplace_back(begin, end);
    left = std::move(rest);
  }
  std::vector<std::string> lines;
  for (const auto& [from, to] : left) {
    lines.push_back("a mapping of " + Count(static_cast<long long>(to - from), "byte") +
                    " that mmap() made is still there");
  }
  return lines;
}

// What the file holds now; an impossible text if there is none.
inline std::string Contents(const Sandbox& box, const std::string& path) {
  return box.FileContents(path).value_or("(there is no file " + path + ")");
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_FILES_H_
