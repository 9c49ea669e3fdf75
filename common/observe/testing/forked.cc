#include "common/observe/testing/forked.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "common/base/error.h"
#include "common/observe/proc.h"

namespace ipclab {
namespace {

// A descendant of ours that has not been reaped yet, whoever its parent was.
void Reap(pid_t pid, int* status) {
  while (waitpid(pid, status, 0) == -1 && errno == EINTR) {
  }
}

}  // namespace

Forked::Forked(const std::function<int()>& body) {
  Check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER)");
  pid_ = Check(fork(), "fork");
  if (pid_ == 0) _exit(body());
}

Forked::~Forked() {
  if (reaped_) return;
  // Ended ones too: a dead parent may leave living children.
  std::vector<pid_t> tree{pid_};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    for (const pid_t child : ChildrenOf(tree[i])) tree.push_back(child);
  }
  for (const pid_t pid : tree) kill(pid, SIGKILL);
  // Parents first: their end makes their children ours.
  for (const pid_t pid : tree) Reap(pid, nullptr);
}

int Forked::Wait() {
  int status = 0;
  Reap(pid_, &status);
  reaped_ = true;
  return status;
}

pid_t ForkFrom(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == -1) _exit(99);
  if (pid == 0) _exit(body());
  return pid;
}

}  // namespace ipclab
