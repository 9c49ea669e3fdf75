// Exercise shm.4, continued: what a ring is worth while somebody stands in the middle of it.

#include <optional>

#include "graders/shm/ring.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

EXERCISE(RingMidway);

// A producer stands at its first store into a slot, then a consumer at its first look into one.
TEST_F(RingMidway, HandsOverWholeItems) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string items = Items(ring, 3);

  const int store = HoldAtAnyGate(box);
  Helper putter = StartUser(box, ring, {.steps = "ppp", .items = items, .guard = PROT_READ});
  ASSERT_TRUE(ComesTo(box, putter, store)) << "it copies the item into the ring";
  Helper getter = StartUser(box, ring, {.steps = "g"});
  EXPECT_TRUE(StaysInside(box, getter)) << "the one item is just being put in";
  box.Release(store);
  EXPECT_THAT(getter.Wait(), Exited(0));
  ASSERT_THAT(getter.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 0)))
      << "the consumer came while the producer copied it in";
  EXPECT_THAT(putter.Wait(), Exited(0));

  // The ring is full: items 1 and 2.
  const int load = HoldAtAnyGate(box);
  Helper reader = StartUser(box, ring, {.steps = "g", .guard = PROT_NONE});
  ASSERT_TRUE(ComesTo(box, reader, load)) << "it copies the item out of the ring";
  Helper next = StartUser(box, ring, {.steps = "p", .items = Items(ring, 1)});
  ASSERT_TRUE(ComesToRest(box));
  box.Release(load);
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 1)))
      << "a producer came while the consumer copied it out";
  EXPECT_THAT(next.Wait(), Exited(0));
}

TEST_F(RingMidway, KeepsTwoOfAKindApart) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kFutex}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string one = Items(ring, 1);
  const std::string other = Items(ring, 1);

  const int store = HoldAtAnyGate(box);
  Helper first = StartUser(box, ring, {.steps = "p", .items = one, .guard = PROT_READ});
  ASSERT_TRUE(ComesTo(box, first, store)) << "it copies the item into the ring";
  Helper second = StartUser(box, ring, {.steps = "p", .items = other});
  ASSERT_TRUE(ComesToRest(box));
  EXPECT_THAT(PrivateFutexes(box, second), NothingPrivate());
  box.Release(store);
  EXPECT_THAT(first.Wait(), Exited(0));
  EXPECT_THAT(second.Wait(), Exited(0));

  const int load = HoldAtAnyGate(box);
  Helper reader = StartUser(box, ring, {.steps = "g", .timeout = 0, .guard = PROT_NONE});
  ASSERT_TRUE(ComesTo(box, reader, load)) << "it copies the item out of the ring";
  Helper last = StartUser(box, ring, {.steps = "g"});
  ASSERT_TRUE(ComesToRest(box));
  box.Release(load);
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(last.Wait(), Exited(0)) << "two items were put in, and one was taken out";
  const std::string got = reader.ReportedBytes("got") + last.ReportedBytes("got");
  EXPECT_TRUE(got == one + other || got == other + one)
      << "two producers came at once, then two consumers: each item comes out once, and whole";
}

// Who comes second has to wait for the first, and by then what it saw is not true any more.
TEST_F(RingMidway, LooksWhenNobodyElseCanChangeAnything) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string items = Items(ring, 4);
  Helper early = StartUser(box, ring, {.steps = "p", .items = ItemOf(ring, items, 0)});
  ASSERT_THAT(early.Wait(), Exited(0));

  const int store = HoldAtAnyGate(box);
  Helper first =
      StartUser(box, ring, {.steps = "p", .items = ItemOf(ring, items, 1), .guard = PROT_READ});
  ASSERT_TRUE(ComesTo(box, first, store)) << "it copies the item into the ring";
  Helper second = StartUser(box, ring, {.steps = "p", .items = ItemOf(ring, items, 2)});
  ASSERT_TRUE(StaysInside(box, second)) << "one slot is free, and somebody else is filling it";
  box.Release(store);
  EXPECT_THAT(first.Wait(), Exited(0));
  ASSERT_TRUE(StaysInside(box, second)) << "the ring is full";
  Helper reader = StartUser(box, ring, {.steps = "gg"});
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.ReportedBytes("got"), SameBytesAs(items.substr(0, 2 * ring.item)));
  EXPECT_THAT(second.Wait(), Exited(0)) << "there is room again";

  const int load = HoldAtAnyGate(box);
  Helper taker = StartUser(box, ring, {.steps = "g", .guard = PROT_NONE});
  ASSERT_TRUE(ComesTo(box, taker, load)) << "it copies the item out of the ring";
  Helper last = StartUser(box, ring, {.steps = "g"});
  ASSERT_TRUE(StaysInside(box, last)) << "there is one item, and somebody else is taking it";
  box.Release(load);
  EXPECT_THAT(taker.Wait(), Exited(0));
  EXPECT_THAT(taker.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 2)));
  ASSERT_TRUE(StaysInside(box, last)) << "the ring is empty";
  Helper late = StartUser(box, ring, {.steps = "p", .items = ItemOf(ring, items, 3)});
  EXPECT_THAT(late.Wait(), Exited(0));
  EXPECT_THAT(last.Wait(), Exited(0));
  EXPECT_THAT(last.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 3)));
}

// ---- Death --------------------------------------------------------------------------------------

// All slots are there: two items go in, a third one does not, and the two come out.
void ExpectBothSlots(Sandbox& box, MadeRing& ring, const std::string& who_died) {
  const std::string items = Items(ring, 3);
  Helper user = StartUser(box, ring, {.steps = "upppggu", .items = items, .timeout = 0});
  EXPECT_THAT(user.Wait(), Exited(0)) << who_died;
  EXPECT_THAT(user.call(0), Returned(0)) << who_died << ". The ring has been emptied";
  EXPECT_THAT(user.call(1), Returned(0)) << who_died << ". There are two slots";
  EXPECT_THAT(user.call(2), Returned(0)) << who_died << ". There are two slots, and one item";
  EXPECT_THAT(user.call(3), FailedWith(ETIMEDOUT)) << who_died << ". There are two slots";
  EXPECT_THAT(user.ReportedBytes("got"), SameBytesAs(items.substr(0, 2 * ring.item))) << who_died;
  EXPECT_THAT(user.call(6), Returned(0)) << who_died;
}

// Some is halfway in the slot when the producer dies, and another one waits for the producer.
TEST_F(RingMidway, SurvivesAProducerKilledInTheMiddle) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string dead = Items(ring, 1);
  const std::string alive = Items(ring, 1);
  const int halfway = HoldAtAnyGate(box, 2);
  Helper killed = StartUser(box, ring, {.steps = "p", .items = dead, .guard = PROT_READ});
  ASSERT_TRUE(ComesTo(box, killed, halfway)) << "it copies the item into the ring";
  Helper next = StartUser(box, ring, {.steps = "p", .items = alive});
  ASSERT_TRUE(ComesToRest(box));
  killed.Signal(SIGKILL);
  ASSERT_TRUE(Ends(box, killed.pid()));

  EXPECT_THAT(next.Wait(), Exited(0)) << "a producer was killed in the middle of ring_put()";
  EXPECT_THAT(next.call(), Returned(0)) << "a producer was killed in the middle of ring_put()";
  Helper reader = StartUser(box, ring, {.steps = "ggg", .timeout = 0});
  EXPECT_THAT(reader.Wait(), Exited(0)) << "a producer was killed in the middle of ring_put()";
  EXPECT_THAT(reader.call(0), Returned(0)) << "there is an item of a living producer";
  const std::string got = reader.ReportedBytes("got");
  if (got != dead + alive) {
    EXPECT_THAT(got, SameBytesAs(alive))
        << "the item of the killed producer is there whole, or not at all";
  }
  ExpectBothSlots(box, ring, "a producer was killed in the middle of ring_put()");
}

TEST_F(RingMidway, SurvivesAConsumerKilledInTheMiddle) {
  Sandbox box({.watch = {Family::kSignalSend}});
  MadeRing ring = NewRing(box, 2, kLargeItem, true);
  ASSERT_NE(ring.id, -1);
  const std::string items = Items(ring, 2);
  Helper putter = StartUser(box, ring, {.steps = "pp", .items = items});
  ASSERT_THAT(putter.Wait(), Exited(0));
  const int halfway = HoldAtAnyGate(box, 2);
  Helper killed = StartUser(box, ring, {.steps = "g", .guard = PROT_NONE});
  ASSERT_TRUE(ComesTo(box, killed, halfway)) << "it copies the item out of the ring";
  killed.Signal(SIGKILL);
  ASSERT_TRUE(Ends(box, killed.pid()));

  Helper reader = StartUser(box, ring, {.steps = "ggg", .timeout = 0});
  EXPECT_THAT(reader.Wait(), Exited(0)) << "a consumer was killed in the middle of ring_get()";
  EXPECT_THAT(reader.call(0), Returned(0))
      << "a consumer was killed in the middle of ring_get(), and there were two items";
  const std::string got = reader.ReportedBytes("got");
  if (got != items) {
    EXPECT_THAT(got, SameBytesAs(ItemOf(ring, items, 1)))
        << "the item that the killed consumer was taking may be there or not, the next one is";
  }
  ExpectBothSlots(box, ring, "a consumer was killed in the middle of ring_get()");
}

}  // namespace
}  // namespace ipclab
