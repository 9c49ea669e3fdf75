// Exercise shm.4: a bounded ring buffer.

#include <chrono>
#include <cstring>

#include "graders/shm/ring.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::ring_bytes;
using shm::ring_close;
using shm::ring_get;
using shm::ring_init;
using shm::ring_put;

EXERCISE(Ring);

// ---- The ring itself ----------------------------------------------------------------------------

TEST_F(Ring, HoldsAsManyItemsAsItHasSlots) {
  Sandbox box;
  const int slots = RandomInt(3, 9);
  MadeRing ring =
      NewRing(box, static_cast<std::size_t>(slots), static_cast<std::size_t>(RandomInt(1, 40)));
  const std::string items = Items(ring, slots + 2);
  const auto count = static_cast<std::size_t>(slots);

  // Not from the first slot on, so that it goes round.
  Helper user = StartUser(
      box, ring,
      {.steps = "pgpg" + std::string(count + 1, 'p') + "u" + std::string(count + 1, 'g') + "u",
       .items = items,
       .timeout = 0});

  ASSERT_THAT(user.Wait(), Exited(0));
  std::size_t call = 4;
  for (int i = 1; i <= slots; ++i) {
    ASSERT_THAT(user.call(call++), Returned(0))
        << "for item " << i << " in a ring of " << slots << " slots";
  }
  EXPECT_THAT(user.call(call++), FailedWith(ETIMEDOUT))
      << "a ring of " << slots << " slots holds " << slots << " items, the timeout is 0";
  EXPECT_THAT(user.call(call++), Returned(slots));
  for (int i = 1; i <= slots; ++i) EXPECT_THAT(user.call(call++), Returned(0)) << "item " << i;
  EXPECT_THAT(user.call(call++), FailedWith(ETIMEDOUT)) << "the ring is empty, the timeout is 0";
  EXPECT_THAT(user.call(call++), Returned(0));
  EXPECT_THAT(user.ReportedBytes("got"), SameBytesAs(items)) << "in the order they were put in";
}

TEST_F(Ring, WaitsAsleepForRoomAndForItems) {
  Sandbox box({.watch = kWakers});
  MadeRing ring = NewRing(box, 2, 8);
  const std::string items = Items(ring, 3);

  Helper getter = StartUser(box, ring, {.steps = "g"});
  ASSERT_TRUE(SleepsUntilWoken(box, getter)) << "the ring is empty";
  Helper putter = StartUser(box, ring, {.steps = "pppp", .items = items + Items(ring, 1)});
  EXPECT_THAT(getter.Wait(), Exited(0)) << "there is an item for it";
  EXPECT_THAT(PrivateFutexes(box, getter), NothingPrivate());
  EXPECT_THAT(getter.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 0)));

  ASSERT_TRUE(SleepsUntilWoken(box, putter)) << "the ring is full";
  Helper second = StartUser(box, ring, {.steps = "g"});
  EXPECT_THAT(putter.Wait(), Exited(0)) << "there is room for its item";
  EXPECT_THAT(PrivateFutexes(box, putter), NothingPrivate());
  EXPECT_THAT(second.Wait(), Exited(0));
  EXPECT_THAT(second.ReportedBytes("got"), SameBytesAs(ItemOf(ring, items, 1)));
}

TEST_F(Ring, WakesAsManyAsThereIsWorkFor) {
  Sandbox box({.watch = kWakers});
  MadeRing ring = NewRing(box, 3, 8);
  const std::string items = Items(ring, 2);
  // Both sleep, and once woken stand still until both items are in the ring.
  const int woken =
      box.AddRule({.family = Family::kFutex,
                   .nth = 0,
                   .where = [](const Event& event) { return event.function == "ring_get"; },
                   .hold = true,
                   .after = true});
  Helper one = StartUser(box, ring, {.steps = "g"});
  Helper other = StartUser(box, ring, {.steps = "g"});
  ASSERT_TRUE(ComesToRest(box));

  Helper putter = StartUser(box, ring, {.steps = "pp", .items = items});
  ASSERT_TRUE(ComesToRest(box));
  box.Release(woken);

  EXPECT_THAT(putter.Wait(), Exited(0));
  EXPECT_THAT(one.Wait(), Exited(0)) << "two wait for an item, and two items have come";
  EXPECT_THAT(other.Wait(), Exited(0)) << "two wait for an item, and two items have come";
  const std::string got = one.ReportedBytes("got") + other.ReportedBytes("got");
  EXPECT_TRUE(got == items || got == ItemOf(ring, items, 1) + ItemOf(ring, items, 0))
      << "the two got other items than those that were put in";
}

HELPER(TimesOut) {
  const Action on_signal(SIGUSR1, DoNothing);
  void* const mem = AttachHere(IdOf(args));
  const auto begin = std::chrono::steady_clock::now();
  char item[8] = {};
  STUDENT(ring_get)(mem, item, static_cast<int>(args.Int("timeout")));
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  Check(shmdt(mem), "shmdt");
  return 0;
}

TEST_F(Ring, WaitsForItsTimeAndThroughSignals) {
  Sandbox box({.watch = kWakers});
  MadeRing ring = NewRing(box, 1, 8);

  const int timeout = RandomInt(20, 40);
  Helper late = box.Start("TimesOut", {{"id", ring.id}, {"timeout", timeout}});
  EXPECT_THAT(late.Wait(), Exited(0));
  EXPECT_THAT(late.call(), FailedWith(ETIMEDOUT)) << "the ring is empty";
  EXPECT_THAT(late.Reported("ms"), IsAtLeast(timeout)) << "milliseconds, the timeout";

  Helper getter = StartUser(box, ring, {.steps = "g", .timeout = 60'000});
  ASSERT_TRUE(SleepsUntilWoken(box, getter)) << "the ring is empty, and there is a minute";
  ASSERT_TRUE(Interrupt(box, getter, SIGUSR1));
  ASSERT_TRUE(StaysInside(box, getter)) << "a signal came, and no item";
  const std::string item = Items(ring, 1);
  Helper putter = StartUser(box, ring, {.steps = "p", .items = item});
  EXPECT_THAT(putter.Wait(), Exited(0));
  EXPECT_THAT(getter.Wait(), Exited(0));
  EXPECT_THAT(getter.ReportedBytes("got"), SameBytesAs(item));
}

TEST_F(Ring, EndsWhenItIsClosed) {
  Sandbox box({.watch = kWakers});
  MadeRing empty = NewRing(box, 2, 8);
  MadeRing full = NewRing(box, 2, 8);
  const std::string items = Items(full, 3);
  Helper getter = StartUser(box, empty, {.steps = "g"});
  ASSERT_TRUE(SleepsUntilWoken(box, getter)) << "the ring is empty";
  Helper putter = StartUser(box, full, {.steps = "ppp", .items = items});
  ASSERT_TRUE(SleepsUntilWoken(box, putter)) << "the ring is full";

  Helper one = StartUser(box, empty, {.steps = "c"});
  EXPECT_THAT(OutcomeOf(one), Succeeds());
  EXPECT_THAT(one.call(), Returned(0));
  EXPECT_THAT(getter.Wait(), Exited(0)) << "ring_close() was called while it waited";
  EXPECT_THAT(getter.call(), FailedWith(ENODATA)) << "the ring was closed";
  Helper other = StartUser(box, full, {.steps = "ccpgggp", .items = Items(full, 1)});
  EXPECT_THAT(other.Wait(), Exited(0));
  EXPECT_THAT(putter.Wait(), Exited(0)) << "ring_close() was called while it waited";
  EXPECT_THAT(putter.call(2), FailedWith(EPIPE)) << "the ring was closed";
  EXPECT_THAT(other.call(1), Returned(0)) << "the ring was closed already";
  EXPECT_THAT(other.call(2), FailedWith(EPIPE)) << "the ring was closed";
  EXPECT_THAT(other.ReportedBytes("got"), SameBytesAs(items.substr(0, 2 * full.item)))
      << "what was in the ring when it was closed";
  EXPECT_THAT(other.call(5), FailedWith(ENODATA)) << "the ring was closed, and is empty now";
  EXPECT_THAT(other.call(6), FailedWith(EPIPE)) << "there is room, but the ring was closed";
}

// ---- Many ---------------------------------------------------------------------------------------

struct Piece {
  std::uint32_t producer;
  std::uint32_t number;
};
constexpr int kSides = 3;
constexpr std::uint32_t kPieces = 300;
constexpr std::int64_t kAllRight = -1;

template <typename Function>
Function* Unmarked(const char* name) {
  return reinterpret_cast<Function*>(SubmissionSymbol(name));
}

// Keeps a ring full while it goes round, more often than 16 bits can count, and empties it again.
// Returns how many items came out right before the first that did not.
std::int64_t GoesRound(void* mem, std::size_t slots, decltype(&ring_put) put,
                       decltype(&ring_get) get) {
  constexpr std::uint32_t kTimes = 70'000;
  std::uint32_t next = 0;
  std::uint32_t right = 0;
  Piece piece{};
  const auto takes_one = [&] { return get(mem, &piece, 0) == 0 && piece.number == right; };
  for (Piece one{7, 0}; next < slots && put(mem, &one, 0) == 0; one.number = ++next) {
  }
  while (next < kTimes && takes_one()) {
    ++right;
    const Piece one{7, next++};
    if (put(mem, &one, 0) == -1) return right;
  }
  while (right < next && takes_one()) ++right;
  return right == kTimes ? kAllRight : right;
}

// Three producers and three consumers, and what each consumer got.
HELPER(RunsTraffic) {
  const std::size_t slots = static_cast<std::size_t>(args.Int("slots"));
  const ssize_t bytes = STUDENT(ring_bytes)(slots, sizeof(Piece));
  if (bytes <= 0) return 1;
  constexpr std::size_t kLog = 1 << 16;
  const std::size_t size = (static_cast<std::size_t>(bytes) + kPage - 1) / kPage * kPage;
  void* const mem = mmap(nullptr, size + kSides * kLog, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (mem == MAP_FAILED) throw SystemError(errno, "mmap");
  if (STUDENT(ring_init)(mem, slots, sizeof(Piece)) == -1) return 2;
  char* const logs = static_cast<char*>(mem) + size;
  const auto put = Unmarked<decltype(ring_put)>("ring_put");
  const auto get = Unmarked<decltype(ring_get)>("ring_get");
  const std::int64_t right = GoesRound(mem, slots, put, get);
  Report("right", right);
  if (right != kAllRight) return munmap(mem, size + kSides * kLog);
  const auto consume = [&](int side) {
    std::uint64_t count = 0;
    Piece piece{};
    while (count + 1 < kLog / sizeof(Piece) && get(mem, &piece, -1) == 0) {
      std::memcpy(logs + side * kLog + ++count * sizeof(Piece), &piece, sizeof(piece));
      std::memcpy(logs + side * kLog, &count, sizeof(count));
    }
  };
  {
    const Beside first([&] { consume(0); });
    const Beside second([&] { consume(1); });
    const Beside third([&] { consume(2); });
    {
      const auto produce = [&](std::uint32_t producer) {
        for (Piece piece{producer, 0}; piece.number < kPieces; ++piece.number) {
          if (put(mem, &piece, -1) == -1) _exit(1);
        }
      };
      const Beside one([&] { produce(0); });
      const Beside two([&] { produce(1); });
      const Beside three([&] { produce(2); });
    }
    STUDENT(ring_close)(mem);
  }
  for (int side = 0; side < kSides; ++side) {
    std::uint64_t count = 0;
    std::memcpy(&count, logs + side * kLog, sizeof(count));
    Report("log" + std::to_string(side),
           std::string(logs + side * kLog + sizeof(Piece), count * sizeof(Piece)));
  }
  munmap(mem, size + kSides * kLog);
  return 0;
}

TEST_F(Ring, BringsEachItemOnceFromManyToMany) {
  Sandbox box;
  Helper traffic = box.Start("RunsTraffic", {{"slots", 2 * RandomInt(1, 3) + 1}});

  ASSERT_THAT(OutcomeOf(traffic), Succeeds());
  const std::int64_t right = traffic.Reported("right");
  ASSERT_TRUE(right == kAllRight) << "in a ring that is kept full and goes round and round, the "
                                  << "first " << right << " items come out right, and the next not";
  std::vector<std::vector<int>> times(kSides, std::vector<int>(kPieces, 0));
  for (int side = 0; side < kSides; ++side) {
    const std::string log = traffic.ReportedBytes("log" + std::to_string(side));
    std::vector<std::int64_t> last(kSides, -1);
    for (std::size_t at = 0; at + sizeof(Piece) <= log.size(); at += sizeof(Piece)) {
      Piece piece{};
      std::memcpy(&piece, log.data() + at, sizeof(piece));
      ASSERT_TRUE(piece.producer < kSides && piece.number < kPieces)
          << "a consumer got an item that nobody put in";
      ASSERT_GT(piece.number, last[piece.producer])
          << "a consumer got an item of one producer after a later one of the same";
      last[piece.producer] = piece.number;
      ++times[piece.producer][piece.number];
    }
  }
  int lost = 0;
  int doubled = 0;
  for (const auto& of_producer : times) {
    for (const int n : of_producer) {
      lost += n == 0 ? 1 : 0;
      doubled += n > 1 ? 1 : 0;
    }
  }
  EXPECT_THAT(lost, Is(0)) << "items of " << kSides * kPieces << " that no consumer got";
  EXPECT_THAT(doubled, Is(0)) << "items that came out more than once";
}

// ---- Sizes and the rest -------------------------------------------------------------------------

struct BadRing {
  const char* what;
  std::size_t slots;
  std::size_t item;
};
constexpr std::size_t kMost = std::size_t{1} << 40;
constexpr BadRing kBadRings[] = {
    {"no slots", 0, 8},
    {"items of 0 bytes", 8, 0},
    {"a product just above 2^40", kMost + 1, 1},
    {"a product of 2^66, which is 0 in 64 bits", std::size_t{1} << 33, std::size_t{1} << 33},
    {"a product of 2^64 + 2^33, which is 2^33 in 64 bits", (std::size_t{1} << 31) + 1,
     std::size_t{1} << 33},
};

HELPER(MakesBadRing) {
  std::string mem(1 << 12, '\0');
  STUDENT(ring_bytes)
  (static_cast<std::size_t>(args.Int("slots")), static_cast<std::size_t>(args.Int("item")));
  STUDENT(ring_init)
  (mem.data(), static_cast<std::size_t>(args.Int("slots")),
   static_cast<std::size_t>(args.Int("item")));
  return 0;
}

TEST_F(Ring, RefusesSizesThatMakeNoRing) {
  Sandbox box;
  for (const BadRing& bad : kBadRings) {
    Helper maker = box.Start("MakesBadRing", {{"slots", bad.slots}, {"item", bad.item}});
    EXPECT_THAT(maker.Wait(), Exited(0)) << bad.what;
    EXPECT_THAT(maker.call(0), FailedWith(EINVAL)) << bad.what;
    EXPECT_THAT(maker.call(1), FailedWith(EINVAL)) << bad.what;
  }
}

// A ring at the beginning of memory that has more room, and is watched.
HELPER(LivesInItsMemory) {
  const std::size_t slots = static_cast<std::size_t>(args.Int("slots"));
  const std::size_t item = static_cast<std::size_t>(args.Int("item"));
  const ssize_t bytes = STUDENT(ring_bytes)(slots, item);
  if (bytes <= 0) return 1;
  const auto size = static_cast<std::size_t>(bytes);
  const std::size_t room = size + kPage;
  auto* const mem = static_cast<char*>(
      mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (mem == MAP_FAILED) throw SystemError(errno, "mmap");
  std::memset(mem, 0x5a, room);
  bool good = STUDENT(ring_init)(mem, slots, item) == 0;
  std::string data(item, '\xff');
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < slots; ++i) good &= STUDENT(ring_put)(mem, data.data(), 0) == 0;
    for (std::size_t i = 0; i < slots; ++i) good &= STUDENT(ring_get)(mem, data.data(), 0) == 0;
  }
  good &= STUDENT(ring_close)(mem) == 0;
  std::int64_t altered = 0;
  for (std::size_t i = size; i < room; ++i) altered += mem[i] != 0x5a ? 1 : 0;
  Report("altered", altered);
  munmap(mem, room);
  return good ? 0 : 2;
}

TEST_F(Ring, NeedsNothingButItsMemory) {
  Sandbox box;
  Helper user =
      box.Start("LivesInItsMemory", {{"slots", RandomInt(1, 9)}, {"item", RandomInt(1, 40)}});
  EXPECT_THAT(OutcomeOf(user), Succeeds());
  EXPECT_THAT(user.Reported("altered"), Is(0))
      << "bytes were changed behind the memory that ring_bytes() asked for";
  EXPECT_THAT(user.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
