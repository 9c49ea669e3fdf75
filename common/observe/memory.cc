#include "common/observe/memory.h"

#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include <algorithm>

namespace ipclab {

bool ReadMemory(pid_t pid, std::uint64_t address, void* into, std::size_t size) {
  if (size == 0) return true;
  iovec local{into, size};
  iovec remote{reinterpret_cast<void*>(address), size};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

std::string ReadMemory(pid_t pid, std::uint64_t address, std::size_t size) {
  std::string bytes(size, '\0');
  iovec local{bytes.data(), size};
  iovec remote{reinterpret_cast<void*>(address), size};
  const ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  bytes.resize(got == -1 ? 0 : static_cast<std::size_t>(got));
  return bytes;
}

std::optional<std::string> ReadString(pid_t pid, std::uint64_t address) {
  std::string text;
  // Byte by byte up to a page border, since the page behind it may not be there.
  while (text.size() < PATH_MAX) {
    char block[256];
    const std::size_t size =
        std::min<std::uint64_t>(sizeof(block), 4096 - (address + text.size()) % 4096);
    if (!ReadMemory(pid, address + text.size(), block, size)) return std::nullopt;
    const std::size_t length = strnlen(block, size);
    text.append(block, length);
    if (length < size) return text;
  }
  return std::nullopt;
}

}  // namespace ipclab
