// A census: what one process owns at a moment, object by object, as the kernel sees it.
//
//   const Census before = TakeCensus(pid);
//   ...                                   // The student's function runs.
//   const Census after = TakeCensus(pid);
//   Leftovers(before, after, names)       // See census_diff.h.
//
// The process should stand still (stopped by its tracer, blocked) while its census is taken. Of a
// process that has ended, or ends meanwhile, the census holds what is still known. Interval timers
// (alarm, setitimer) do not show in /proc: only the tracer knows them.

#ifndef IPCLAB_COMMON_OBSERVE_CENSUS_H_
#define IPCLAB_COMMON_OBSERVE_CENSUS_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/observe/blocked.h"
#include "common/observe/proc.h"

namespace ipclab {

// One open descriptor. `device` and `inode` identify its object; a name in `target` does not.
struct Descriptor {
  int number = -1;
  std::string target;    // "pipe:[123]", "/tmp/x", "socket:[123]", "anon_inode:[eventfd]".
  int access = 0;        // O_RDONLY, O_WRONLY or O_RDWR.
  int status_flags = 0;  // O_NONBLOCK, O_APPEND ...: what F_GETFL gives beside the access mode.
  bool close_on_exec = false;
  mode_t type = 0;  // S_IFIFO, S_IFSOCK, S_IFREG ...; 0 for anonymous inodes.
  dev_t device = 0;
  ino_t inode = 0;
  bool armed_timer = false;  // A timerfd that is going to expire.
  std::string info;          // The text of fdinfo, for what only some kinds have.

  bool IsPipe() const { return S_ISFIFO(type); }  // A FIFO too.
  bool Readable() const;
  bool Writable() const;
  bool SameObject(const Descriptor& other) const;
};

// One line of /proc/PID/maps.
struct Mapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::string permissions;  // "rw-s"
  std::uint64_t offset = 0;
  std::uint64_t inode = 0;  // The id of a System V segment.
  std::string object;       // "/tmp/x", "/SYSV00000000 (deleted)", "[heap]"; empty if anonymous.

  // What an address of it is in its object.
  std::uint64_t OffsetOf(std::uint64_t address) const { return offset + (address - start); }
  bool shared() const { return permissions.size() > 3 && permissions[3] == 's'; }
};

struct Child {
  pid_t pid = 0;
  pid_t inner_pid = 0;
  char state = 'X';
  std::string name;  // The command name (comm) that the kernel shows.
  std::optional<Blocked> blocked;

  bool zombie() const { return state == 'Z'; }
};

// A timer made by timer_create(2).
struct PosixTimer {
  int id = -1;
  int signal = 0;
  std::string notify;  // "signal/pid.7"
};

struct Census {
  pid_t pid = 0;
  pid_t inner_pid = 0;
  pid_t parent = 0;
  char state = 'X';
  std::string name;
  int threads = 0;
  SignalState signals;
  std::vector<Descriptor> descriptors;  // By number.
  std::vector<Child> children;          // By birth.
  std::vector<Mapping> mappings;        // By address.
  std::vector<PosixTimer> timers;

  bool ended() const { return state == 'Z' || state == 'X'; }
  const Descriptor* Find(int number) const;
  // The mapping that `address` lies in; nullptr if nothing is mapped there.
  const Mapping* MappingAt(std::uint64_t address) const;
};

// Parts beside the status, which is always read. Add them up with |.
enum CensusParts : unsigned {
  kDescriptors = 1,
  kChildren = 2,
  kMappings = 4,
  kTimers = 8,
  kAllParts = 15,
};

// `pid` may also name a thread; its process is then what descriptors and mappings belong to. Throws
// GraderError if the kernel refuses to show a living process.
Census TakeCensus(pid_t pid, unsigned parts = kAllParts);

// For tests and for whoever needs one part only; empty if the process has ended.
std::vector<Descriptor> DescriptorsOf(pid_t pid);
std::vector<Mapping> MappingsOf(pid_t pid);
std::optional<Mapping> ParseMapping(std::string_view line);
std::vector<PosixTimer> ParseTimers(std::string_view text);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CENSUS_H_
