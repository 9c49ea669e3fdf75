// Exercise shm.4, continued: the form for one producer and one consumer.

#include "graders/shm/ring.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

EXERCISE(OneToOne);

TEST_F(OneToOne, MakesNoSystemCall) {
  Sandbox box({.watch = {Family::kFutex, Family::kSemaphores, Family::kMessages,
                         Family::kSharedMemory, Family::kMap, Family::kSignalMask}});
  const int slots = RandomInt(2, 6);
  const auto count = static_cast<std::size_t>(slots);
  MadeRing ring = NewRing(box, count, static_cast<std::size_t>(RandomInt(1, 40)));
  const std::string items = Items(ring, slots + 1);

  Helper user = StartUser(
      box, ring,
      {.steps = "PG" + std::string(count + 1, 'P') + "u" + std::string(count + 1, 'G') + "u",
       .items = items});

  ASSERT_THAT(user.Wait(), Exited(0));
  std::size_t call = 2;
  for (int i = 1; i <= slots; ++i) {
    ASSERT_THAT(user.call(call++), Returned(0))
        << "for item " << i << " in a ring of " << slots << " slots";
  }
  EXPECT_THAT(user.call(call++), FailedWith(EAGAIN)) << "all " << slots << " slots are taken";
  EXPECT_THAT(user.call(call++), Returned(slots));
  for (int i = 1; i <= slots; ++i) EXPECT_THAT(user.call(call++), Returned(0)) << "item " << i;
  EXPECT_THAT(user.call(call++), FailedWith(EAGAIN)) << "the ring is empty";
  EXPECT_THAT(user.call(call++), Returned(0));
  EXPECT_THAT(user.ReportedBytes("got"), SameBytesAs(items)) << "in the order they were put in";
  for (const StudentCall& made : user.process().calls) {
    if (!made.function.starts_with("spsc")) continue;
    EXPECT_FALSE(made.made_calls) << made.function << "() makes a system call";
  }
}

TEST_F(OneToOne, NeverWaits) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string items = Items(ring, 3);

  const int store = HoldAtAnyGate(box);
  Helper putter = StartUser(box, ring, {.steps = "PP", .items = items, .guard = PROT_READ});
  ASSERT_TRUE(ComesTo(box, putter, store)) << "it copies the item into the ring";
  Helper hasty = StartUser(box, ring, {.steps = "G"});
  ASSERT_TRUE(ComesToRest(box));
  ASSERT_THAT(hasty.call(), FailedWith(EAGAIN)) << "the one item is just being put in";
  box.Release(store);
  EXPECT_THAT(putter.Wait(), Exited(0));

  // The ring is full.
  const int load = HoldAtAnyGate(box);
  Helper getter = StartUser(box, ring, {.steps = "GG", .guard = PROT_NONE});
  ASSERT_TRUE(ComesTo(box, getter, load)) << "it copies the item out of the ring";
  Helper next = StartUser(box, ring, {.steps = "P", .items = ItemOf(ring, items, 2)});
  ASSERT_TRUE(ComesToRest(box));
  ASSERT_THAT(next.call(), FailedWith(EAGAIN))
      << "the ring is full, and its oldest item is just being copied out";
  box.Release(load);
  EXPECT_THAT(getter.Wait(), Exited(0));
  EXPECT_THAT(getter.ReportedBytes("got"), SameBytesAs(items.substr(0, 2 * ring.item)));
}

}  // namespace
}  // namespace ipclab
