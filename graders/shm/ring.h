// What the checks of the ring share: rings in segments, and those who use them.
//
//   MadeRing ring = NewRing(box, 2, 8);
//   Helper getter = StartUser(box, ring, {.steps = "g"});
//   EXPECT_TRUE(SleepsUntilWoken(box, getter)) << "the ring is empty";
//   Helper putter = StartUser(box, ring, {.steps = "p", .items = Items(ring, 1)});
//
// Each user has the ring at an address of its own. The helpers behind it are in
// ring_tools_checks.cc.

#ifndef IPCLAB_GRADERS_SHM_RING_H_
#define IPCLAB_GRADERS_SHM_RING_H_

#include <string>
#include <vector>

#include "graders/shm/expectations.h"
#include "graders/shm/pages.h"

namespace ipclab {

// So large that each item covers whole pages of its own, wherever it begins.
constexpr std::size_t kLargeItem = 3 * kPage;

// Where the slots are: the places in memory at which items were found that had been put in.
struct Slots {
  std::int64_t begin = -1;  // From the beginning of the ring; -1 if none was found.
  std::int64_t end = -1;
};

struct MadeRing {
  int id = -1;  // Of its segment; -1 if it could not be made.
  std::size_t item = 0;
  Slots slots;
  int users = 0;
};

// Makes a ring where something else was before. A failure is one of the check.
MadeRing NewRing(Sandbox& box, std::size_t slots, std::size_t item, bool find_slots = false);

struct Use {
  // p ring_put, g ring_get, c ring_close, u ring_used, P spsc_put, G spsc_get. An item that could
  // not be put in is tried again by the next p. The helper reports what it `got`.
  std::string steps;
  std::string items;  // To put in.
  int timeout = -1;
  int guard = -1;  // The protection of the slots while it is at work; see pages.h.
};

Helper StartUser(Sandbox& box, MadeRing& ring, const Use& use);

// Random bytes for so many items, and one of them.
std::string Items(const MadeRing& ring, int count);
std::string ItemOf(const MadeRing& ring, const std::string& items, int number);

// Calls of futex(2) by which a user says that he shares a word of the ring with no other process.
std::vector<std::string> PrivateFutexes(Sandbox& box, const Helper& user);

// Serves the box until nothing moves; fails if the helper has come out of its call.
[[nodiscard]] testing::AssertionResult StaysInside(Sandbox& box, const Helper& helper);

MATCHER(NothingPrivate,
        "no call of futex() for a word in the ring has FUTEX_PRIVATE_FLAG, with which it sees and "
        "wakes only threads of its own process") {
  for (const std::string& call : arg) *result_listener << "\n  " << call;
  return arg.empty();
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_RING_H_
