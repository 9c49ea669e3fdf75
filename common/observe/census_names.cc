#include "common/observe/census_names.h"

#include <fcntl.h>

#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kPathLimit = 120;

// 0 is A, 25 is Z, 26 is AA.
std::string Letters(int n) {
  std::string letters;
  for (++n; n > 0; n = (n - 1) / 26) letters.insert(0, 1, static_cast<char>('A' + (n - 1) % 26));
  return letters;
}

std::string_view AccessName(int access) {
  switch (access) {
    case O_RDONLY:
      return "reading";
    case O_WRONLY:
      return "writing";
    default:
      return "reading and writing";
  }
}

}  // namespace

std::string ObjectNames::Of(const std::string& target) {
  if (target.starts_with("anon_inode:")) return Printable(target.substr(11), kPathLimit);
  // A path begins with a slash, so no file can pass for one of these.
  const bool pipe = target.starts_with("pipe:[");
  if (!pipe && !target.starts_with("socket:[")) return Printable(target, kPathLimit);
  const std::string kind = pipe ? "pipe" : "socket";
  std::string& name = names_[target];
  if (name.empty()) name = kind + " " + Letters(used_[kind]++);
  return name;
}

std::string ObjectNames::End(const Descriptor& descriptor) {
  const std::string name = Of(descriptor.target);
  if (descriptor.IsPipe() && descriptor.access != O_RDWR) {
    return std::string(descriptor.access == O_RDONLY ? "read" : "write") + " end of " + name;
  }
  if (S_ISREG(descriptor.type) || S_ISFIFO(descriptor.type) || S_ISDIR(descriptor.type)) {
    return name + " (open for " + std::string(AccessName(descriptor.access)) + ")";
  }
  return name;
}

}  // namespace ipclab
