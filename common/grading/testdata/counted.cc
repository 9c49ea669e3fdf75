#include "counted.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ipclab::counted {
namespace {

pid_t Started() {
  return getpid();  // in a static initialiser
}

const pid_t started = Started();

[[noreturn]] void Exits() {
  _exit(3);  // in a child that ends by _exit
}

[[noreturn]] void Execs() {
  execl("/bin/succeeds", "succeeds", nullptr);  // in a child that becomes another program
  _exit(127);                                   // behind an exec that succeeded
}

[[noreturn]] void WaitsToBeKilled(int line) {
  char byte = 'x';
  byte = write(line, &byte, 1) == 1 ? byte : 'y';  // in a child that is killed
  pause();
  _exit(byte);  // behind the call in which it was killed
}

int WaitsForItself() {
  int ends[2];
  if (pipe(ends) == -1) return -1;
  char byte;
  const ssize_t got = read(ends[0], &byte, 1);  // in a process that waits for ever
  return static_cast<int>(got);                 // behind a wait for ever
}

void Kill(pid_t child, int line) {
  char byte;
  if (read(line, &byte, 1) == 1) kill(child, SIGKILL);
}

}  // namespace

int ends(const char* how) {
  if (strcmp(how, "wait for itself") == 0) return WaitsForItself();
  int line[2];
  if (pipe(line) == -1) return -1;
  const pid_t child = fork();
  if (child == 0) {
    if (strcmp(how, "exit") == 0) Exits();
    if (strcmp(how, "exec") == 0) Execs();
    WaitsToBeKilled(line[1]);
  }
  if (strcmp(how, "be killed") == 0) Kill(child, line[0]);
  int status = 0;
  if (waitpid(child, &status, 0) == -1 || started <= 0) return -1;
  return status;  // in the parent
}

}  // namespace ipclab::counted
