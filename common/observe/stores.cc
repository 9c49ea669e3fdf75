#include "common/observe/stores.h"

#include <sys/uio.h>

#include <algorithm>

#include "common/observe/census.h"
#include "common/observe/memory.h"

namespace ipclab {
namespace {

constexpr std::size_t kLimit = 64 << 10;

}  // namespace

void SharedMemory::Remap() {
  regions_.clear();
  std::size_t left = kLimit;
  for (const Mapping& mapping : MappingsOf(pid_)) {
    if (!mapping.shared() || mapping.permissions[1] != 'w' || left == 0) continue;
    if (mapping.inode == counters_ && mapping.object.starts_with("/memfd:")) continue;
    const std::size_t size = std::min<std::uint64_t>(left, mapping.end - mapping.start);
    // Pages behind the end of the file cannot be read.
    const std::string readable = ReadMemory(pid_, mapping.start, size);
    if (readable.empty()) continue;
    regions_.push_back({mapping.start, readable.size()});
    left -= readable.size();
  }
  Reread();
}

std::string SharedMemory::Read() const {
  std::vector<iovec> remote;
  std::size_t size = 0;
  for (const Region& region : regions_) {
    remote.push_back({reinterpret_cast<void*>(region.start), region.size});
    size += region.size;
  }
  std::string bytes(size, '\0');
  iovec local{bytes.data(), size};
  const bool whole = process_vm_readv(pid_, &local, 1, remote.data(), remote.size(), 0) ==
                     static_cast<ssize_t>(size);
  return whole ? bytes : std::string();
}

void SharedMemory::Reread() { known_ = Read(); }

bool SharedMemory::Changed() {
  if (regions_.empty()) return false;
  now_ = Read();
  return now_.size() == known_.size() && now_ != known_;
}

void SharedMemory::Restore() {
  // From the first to the last byte that differs, and only within one region: what else is there
  // has not changed.
  std::size_t begin = 0;
  for (const Region& region : regions_) {
    const std::size_t end = begin + region.size;
    std::size_t first = begin;
    while (first < end && now_[first] == known_[first]) ++first;
    std::size_t last = end;
    while (last > first && now_[last - 1] == known_[last - 1]) --last;
    if (first < last) {
      iovec local{known_.data() + first, last - first};
      iovec remote{reinterpret_cast<void*>(region.start + (first - begin)), last - first};
      static_cast<void>(process_vm_writev(pid_, &local, 1, &remote, 1, 0));
    }
    begin = end;
  }
}

}  // namespace ipclab
