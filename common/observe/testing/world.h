// A forked tree as the world of a deadlock proof, with texts that do not depend on process ids.
//
//   const Forked parent([] { StartAfresh(); ... });
//   EXPECT_EQ(ProvedDeadlock(parent.pid()), "Process 1 (parent) waits in ...");
//
// The processes of a tree are numbered from 1, breadth first, and named "parent", "child 2" ...

#ifndef IPCLAB_COMMON_OBSERVE_TESTING_WORLD_H_
#define IPCLAB_COMMON_OBSERVE_TESTING_WORLD_H_

#include <sys/types.h>

#include <string>

#include "common/observe/deadlock.h"

namespace ipclab {

// For the body of a child: closes all but the three standard descriptors, so that the next are 3, 4
// ...
void StartAfresh();

// For the body of a child: a pipe whose ends are not close-on-exec. Ends the process on failure.
struct RawPipe {
  int read_end = -1;
  int write_end = -1;
};
RawPipe OpenPipe();

// For the body of a child: one byte from, or to, a descriptor. Returns 0 if that went well.
int ReadByte(int fd);
int WriteByte(int fd);

// For the body of a child: fills a pipe to the last byte.
void FillPipe(int write_end);

// For the body of a child: waits for one child. Returns 0 if that went well.
int WaitForChild(pid_t child);

// The tree below `root`, as it is now.
World WorldOf(pid_t root);

// Waits for the proof and returns the explanation, or "no deadlock" if none comes.
std::string ProvedDeadlock(pid_t root);

// "no deadlock", or the explanation of one, without waiting. Looks several times.
std::string DeadlockNow(const World& world);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TESTING_WORLD_H_
