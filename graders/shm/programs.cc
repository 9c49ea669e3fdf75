// The programs that the box holds in /bin: what line_control runs. Each gets the key as its last
// argument.
//
// They use no stdio, so that what they write is in the pipe when their write returns.

#include <dlfcn.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

void WriteOrExit(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (put == -1) _exit(124);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

key_t KeyIn(int argc, char** argv) {
  if (argc < 2) _exit(125);
  return static_cast<key_t>(std::strtoul(argv[argc - 1], nullptr, 16));
}

// Calls a function of the submission, which stands at argv[1]. Exits with 0, or with its errno.
int Work(int argc, char** argv, const char* function, int fd) {
  if (argc != 3) _exit(125);
  void* const library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) _exit(126);
  const auto work = reinterpret_cast<int (*)(key_t, int)>(dlsym(library, function));
  if (work == nullptr) _exit(126);
  return work(KeyIn(argc, argv), fd) == -1 ? errno : 0;
}

// reads LIBRARY KEY: line_read to its standard output.
PROGRAM(reads) { return Work(argc, argv, "line_read", STDOUT_FILENO); }

// writes LIBRARY KEY: line_write from its standard input.
PROGRAM(writes) { return Work(argc, argv, "line_write", STDIN_FILENO); }

// tells WORD KEY: writes what it was given, and whether there is a segment with that key.
PROGRAM(tells) {
  std::string text = "tells";
  for (int i = 1; i < argc; ++i) text += std::string(" ") + argv[i];
  const bool there = shmget(KeyIn(argc, argv), 0, 0600) != -1;
  WriteOrExit(text + (there ? ": there is a segment\n" : ": there is no segment\n"));
  return 0;
}

// fails CODE KEY: exits with CODE.
PROGRAM(fails) { return argc > 1 ? std::atoi(argv[1]) : 0; }

// stays KEY: waits for ever.
PROGRAM(stays) {
  while (true) pause();
}

}  // namespace
}  // namespace ipclab
