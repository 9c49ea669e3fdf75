// What the checks of POSIX shared memory share.
//
//   EXPECT_THAT(Object(box, name), HasBytes(100));

#ifndef IPCLAB_GRADERS_SHM_POSIX_H_
#define IPCLAB_GRADERS_SHM_POSIX_H_

#include <optional>
#include <ostream>
#include <string>

#include "graders/shm/expectations.h"

namespace ipclab {

inline std::string RandomName() {
  return "/" + RandomWord(static_cast<std::size_t>(RandomInt(8, 20)));
}

// The object as it stands in /dev/shm of the box; nothing if there is none.
inline std::optional<TreeEntry> Object(const Sandbox& box, const std::string& name) {
  for (const TreeEntry& entry : box.Names()) {
    if (entry.path == "/dev/shm" + name) return entry;
  }
  return std::nullopt;
}

inline void PrintTo(const TreeEntry& entry, std::ostream* out) { *out << entry.Name(); }

MATCHER(IsThere, "the name is there") { return arg.has_value(); }
MATCHER_P(HasBytes, size, "an object of " + std::to_string(size) + " bytes") {
  if (arg) *result_listener << "it has " << arg->size << " bytes";
  return arg && arg->size == static_cast<std::int64_t>(size);
}
MATCHER_P(AllowsWhat, mode, "an object with the permission bits " + Octal(mode)) {
  if (arg) *result_listener << "they are " << Octal(arg->permissions);
  return arg && (arg->permissions & 07777) == static_cast<mode_t>(mode);
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_POSIX_H_
