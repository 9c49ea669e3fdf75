// The programs that the box holds in /bin: stages of pipelines, filters, commands.
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

// Without its newline. False at end of file.
bool ReadLine(std::string* line) {
  line->clear();
  for (char c = 0; read(STDIN_FILENO, &c, 1) == 1;) {
    if (c == '\n') return true;
    line->push_back(c);
  }
  return false;
}

std::string Capitals(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
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

// adds WORD: writes what it reads, and at the end of it WORD.
PROGRAM(adds) {
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) WriteOrExit(bytes);
  WriteOrExit(argc > 1 ? argv[1] : "");
  return 0;
}

// Writes what it reads in capitals.
PROGRAM(upper) {
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) {
    WriteOrExit(Capitals(bytes));
  }
  return 0;
}

// endless [WORD]: writes for ever, lines or WORD; ends with code 1 if a write fails.
PROGRAM(endless) {
  while (true) WriteOrExit(argc > 1 ? argv[1] : "y\n");
}

// Takes one line and leaves.
PROGRAM(first_line) {
  std::string line;
  if (!ReadLine(&line)) return 1;
  WriteOrExit(line + "\n");
  return 0;
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

// answers [CODE]: every line with itself in capitals; exits with CODE at end of file.
PROGRAM(answers) {
  for (std::string line; ReadLine(&line);) WriteOrExit(Capitals(line) + "\n");
  return argc > 1 ? std::atoi(argv[1]) : 0;
}

// Takes one line, answers with half of it and leaves.
PROGRAM(half_answers) {
  std::string line;
  if (!ReadLine(&line)) return 1;
  WriteOrExit(line.substr(0, line.size() / 2));
  return 0;
}

// Like a filter with buffered output: writes nothing before its input ends.
PROGRAM(hoards) {
  std::string all;
  for (std::string bytes = ReadSome(); !bytes.empty(); bytes = ReadSome()) all += bytes;
  WriteOrExit(all);
  return 0;
}

}  // namespace
}  // namespace ipclab
