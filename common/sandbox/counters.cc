#include "common/sandbox/counters.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>

namespace ipclab {

bool SharedCounters::Map(int fd) {
  struct stat info {};
  if (fstat(fd, &info) == -1) return false;
  bytes_ = static_cast<std::size_t>(info.st_size);
  void* const pages = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (pages == MAP_FAILED) return false;
  shared_ = static_cast<std::uint64_t*>(pages);
  return true;
}

bool SharedCounters::Replace(const SubmissionCounters* own) {
  if (own == nullptr || own->end < own->begin) {
    errno = EINVAL;
    return false;
  }
  const auto count = static_cast<std::size_t>(own->end - own->begin);
  const std::size_t bytes = count * sizeof(*shared_);
  if (bytes > bytes_) {
    errno = ENOSPC;
    return false;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (own->begin[i] == 0) continue;
    std::atomic_ref(shared_[i]).fetch_add(own->begin[i]);
  }
  if (bytes < bytes_ && munmap(shared_ + count, bytes_ - bytes) == -1) return false;
  return bytes == 0 ||
         mremap(shared_, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, own->begin) != MAP_FAILED;
}

}  // namespace ipclab
