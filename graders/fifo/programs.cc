// The programs that the box holds in /bin: what split_run runs.
//
// They use no stdio, so that what they write is in the pipe when their write returns.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

void WriteOrExit(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (put == -1) _exit(1);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

// Empty at end of file.
std::string ReadSome() {
  std::string bytes(16 * 1024, '\0');
  const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got == -1) _exit(1);
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

// says WORD: writes WORD and a newline.
PROGRAM(says) {
  WriteOrExit(argc > 1 ? std::string(argv[1]) + "\n" : "\n");
  return 0;
}

// Writes what it reads.
PROGRAM(copies) {
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) WriteOrExit(bytes);
  return 0;
}

// adds WORD [CODE]: writes what it reads, and at the end of it WORD; exits with CODE.
PROGRAM(adds) {
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) WriteOrExit(bytes);
  WriteOrExit(argc > 1 ? argv[1] : "");
  return argc > 2 ? std::atoi(argv[2]) : 0;
}

// Writes what it reads in capitals.
PROGRAM(upper) {
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) {
    for (char& c : bytes) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    WriteOrExit(bytes);
  }
  return 0;
}

// Writes for ever; ends with code 1 if a write fails.
PROGRAM(endless) {
  while (true) WriteOrExit("y\n");
}

// first_byte [CODE]: takes one byte, writes it and leaves.
PROGRAM(first_byte) {
  char c = 0;
  if (read(STDIN_FILENO, &c, 1) != 1) return 1;
  WriteOrExit({&c, 1});
  return argc > 1 ? std::atoi(argv[1]) : 0;
}

// lets_go CODE: closes its standard descriptors and exits with CODE.
PROGRAM(lets_go) {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (close(fd) == -1) _exit(125);
  }
  _exit(argc > 1 ? std::atoi(argv[1]) : 0);
}

// dies SIGNAL: of that signal.
PROGRAM(dies) {
  raise(argc > 1 ? std::atoi(argv[1]) : SIGKILL);
  return 0;
}

}  // namespace
}  // namespace ipclab
