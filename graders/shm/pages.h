// Holds a process between two accesses to shared memory, wherever they are in the student's code.
//
//   HELPER(PutsSlowly) {
//     ...                                     // Where do the bytes of an item lie?
//     const GuardedPages guard(slot, size, PROT_READ);
//     STUDENT(ring_put)(mem, item, -1);       // Its first store into the slot comes to Gate().
//   }
//
//   const int gate = HoldAtAnyGate(box);
//   Helper putter = box.Start("PutsSlowly", ...);
//   EXPECT_TRUE(ComesTo(box, putter, gate));  // It stands in the middle of ring_put.
//   ...                                       // What do the others see now?
//   box.Release(gate);
//
// The pages are protected in one process only: another one that has them mapped goes on freely. The
// box must watch Family::kSignalSend. A system call that is to store there fails with EFAULT, so
// guard nothing but what a student's code copies itself.

#ifndef IPCLAB_GRADERS_SHM_PAGES_H_
#define IPCLAB_GRADERS_SHM_PAGES_H_

#include <sys/mman.h>

#include <csignal>
#include <cstdint>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/exercise.h"

namespace ipclab {

constexpr std::size_t kPage = 4096;

// Only the pages that lie wholly within `size` bytes from `begin`. One guard at a time.
class GuardedPages {
 public:
  // `protection` allows what does not come to the gate: PROT_READ or PROT_NONE. Each access that it
  // forbids opens its page, and then comes to Gate().
  GuardedPages(void* begin, std::size_t size, int protection);
  ~GuardedPages();
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  // Pages that were opened, in that order, by their number from the first whole one.
  std::vector<int> Opened() const;

 private:
  struct sigaction old_ {};
};

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_PAGES_H_
