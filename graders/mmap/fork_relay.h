// Calls of fork_see and file_relay, for the checks of exercise 4: sharing_checks.cc and
// fork_relay_checks.cc.
//
//   const ForkCase c;
//   Helper seer = box.Start("SeesThroughAFork", c.Args(MAP_SHARED));
//   Helper relay = StartRelay(box, "relay", RandomBytes(500), 1000);

#ifndef IPCLAB_GRADERS_MMAP_FORK_RELAY_H_
#define IPCLAB_GRADERS_MMAP_FORK_RELAY_H_

#include <string>

#include "graders/mmap/files.h"

namespace ipclab {

EXERCISE(Sharing);

// ---- fork_see ----------------------------------------------------------------------------------

struct ForkCase {
  std::string before = RandomWord(static_cast<std::size_t>(RandomInt(5, 50)));
  std::string after = RandomWord(static_cast<std::size_t>(RandomInt(5, 50)));

  nlohmann::json Args(int flags, std::size_t cap = 100) const {
    return {{"before", Binary(before)}, {"after", Binary(after)}, {"flags", flags}, {"cap", cap}};
  }
};

// ---- file_relay --------------------------------------------------------------------------------

constexpr off_t kUntouchedOffset = 777;

Helper StartRelay(Sandbox& box, const std::string& path, const std::string& msg, std::size_t cap,
                  const std::string& old = "");

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_FORK_RELAY_H_
