#include "student.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ipclab::made_up {
namespace {

int WaitsForItself() {
  int ends[2];
  if (pipe(ends) == -1) return -1;
  char c;
  return static_cast<int>(read(ends[0], &c, 1));
}

int LeaksDescriptorAndZombie() {
  int ends[2];
  if (pipe(ends) == -1) return -1;
  close(ends[0]);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
}

int LeavesPipeOpenInChild() {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  return child == -1 ? -1 : 0;
}

int ForksForEver() {
  while (true) {
    if (fork() == 0) pause();
  }
}

int WritesForEver() {
  const char text[4096] = "[  PASSED  ] all tests\n";
  while (write(STDOUT_FILENO, text, sizeof(text)) > 0) {
  }
  return 0;
}

int ChildReturns() {
  const pid_t child = fork();
  if (child > 0) waitpid(child, nullptr, 0);
  return 0;
}

int CopiesThroughPipe() {
  int ends[2];
  if (pipe(ends) == -1) return -1;
  const char text[] = "hello";
  char copy[16];
  const ssize_t out = write(ends[1], text, sizeof(text));
  const int error = errno;
  const ssize_t in = out > 0 ? read(ends[0], copy, sizeof(copy)) : -1;
  close(ends[0]);
  close(ends[1]);
  errno = error;
  return static_cast<int>(out > 0 ? in : out);
}

char* MapShared() {
  const int fd = open("shared", O_RDWR | O_CREAT, 0600);
  if (fd == -1 || ftruncate(fd, 4096) == -1) return nullptr;
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return page == MAP_FAILED ? nullptr : static_cast<char*>(page);
}

int StoresThrice() {
  volatile char* const page = MapShared();
  if (page == nullptr) return -1;
  page[0] = 'F';
  page[1] = 'D';
  page[0] = '!';
  return 2;
}

int WaitsInFutex(int operation) {
  char* const page = MapShared();
  return page == nullptr ? -1
                         : static_cast<int>(syscall(SYS_futex, page + 64, operation, 0, nullptr));
}

}  // namespace

int not_written() {
  errno = ENOSYS;
  return -1;
}

int does(const char* what) {
  const auto is = [what](const char* name) { return strcmp(what, name) == 0; };
  if (is("nothing")) return 7;
  if (is("wait for itself")) return WaitsForItself();
  if (is("leak")) return LeaksDescriptorAndZombie();
  if (is("leave a child")) return LeavesPipeOpenInChild();
  if (is("exit")) exit(0);
  if (is("abort")) abort();
  if (is("spin")) {
    while (true) asm volatile("");  // Not empty, so that the compiler keeps the loop.
  }
  if (is("fork for ever")) return ForksForEver();
  if (is("write for ever")) return WritesForEver();
  if (is("trace")) return static_cast<int>(ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr));
  if (is("return in child")) return ChildReturns();
  if (is("copy")) return CopiesThroughPipe();
  if (is("store F, then D, then !")) return StoresThrice();
  if (is("wait in futex, private")) return WaitsInFutex(FUTEX_WAIT_PRIVATE);
  if (is("wait in futex, shared")) return WaitsInFutex(FUTEX_WAIT);
  if (is("pause, by a call with a prefix")) {
    long result = SYS_pause;
    asm volatile(".byte 0x48\n syscall" : "+a"(result) : : "rcx", "r11", "memory");
    return 0;
  }
  if (is("link to shared")) return MapShared() == nullptr ? -1 : symlink("shared", "link");
  if (is("ignore SIGPIPE")) return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
  errno = EINVAL;
  return -1;
}

}  // namespace ipclab::made_up
