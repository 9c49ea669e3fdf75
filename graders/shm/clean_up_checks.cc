// Exercise shm.7, continued: what may be removed, and its removal.

#include <sys/ipc.h>
#include <unistd.h>

#include <cstring>

#include "graders/shm/census.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::Filter;
using shm::Ipc;
using shm::ipc_clean;
using shm::ipc_match;
using shm::Item;
using shm::kPosix;
using shm::kQueue;
using shm::kSegment;
using shm::kSemaphores;

EXERCISE(CleanUp);

HELPER(Cleans) {
  Items items(args);
  const std::string prefix = args.Bytes("prefix");
  const Filter filter = {static_cast<int>(args.Int("kinds")),
                         static_cast<key_t>(args.Int("key_lo")),
                         static_cast<key_t>(args.Int("key_hi")), prefix.c_str()};
  items.ReportThem(STUDENT(ipc_clean)(&filter, static_cast<int>(args.Int("dry_run")), items.data(),
                                      items.cap()));
  return 0;
}

struct CleanOptions {
  int kinds = kAllKinds;
  key_t key_lo = kLowest;
  key_t key_hi = kHighest;
  std::string prefix = "/";
  int dry_run = 0;
  int cap = 50;
};

Helper StartClean(Sandbox& box, const CleanOptions& options) {
  return box.Start("Cleans", {{"kinds", options.kinds},
                              {"key_lo", options.key_lo},
                              {"key_hi", options.key_hi},
                              {"prefix", options.prefix},
                              {"dry_run", options.dry_run},
                              {"cap", options.cap}});
}

// ---- The filter ---------------------------------------------------------------------------------

struct MatchRow {
  const char* what;
  Item item;
  Filter filter;
  int want;
};

// An item that the filter behind it names. `uid` is the caller's.
Item Plain(Ipc kind, uid_t uid) {
  Item item{};
  item.kind = kind;
  item.id = kind == kPosix ? -1 : 7;
  item.key = kind == kPosix ? 0 : 100;
  item.uid = uid;
  item.mode = 0600;
  item.size = 10;
  item.users = kind == kPosix ? -1 : 0;
  if (kind == kPosix) std::strcpy(item.name, "/abc");
  return item;
}

std::vector<MatchRow> MatchRows(uid_t uid) {
  const Filter all = {kAllKinds, kLowest, kHighest, "/"};
  const auto with = [&](Ipc kind, auto change) {
    Item item = Plain(kind, uid);
    change(item);
    return item;
  };
  const auto same = [](Item&) {};
  return {
      {"an idle queue", with(kQueue, same), all, 1},
      {"an idle set", with(kSemaphores, same), all, 1},
      {"an idle segment", with(kSegment, same), all, 1},
      {"a POSIX object", with(kPosix, same), all, 1},
      {"a queue of another user", with(kQueue, [](Item& i) { ++i.uid; }), all, 0},
      {"a segment of another user", with(kSegment, [](Item& i) { ++i.uid; }), all, 0},
      {"a POSIX object of another user", with(kPosix, [](Item& i) { ++i.uid; }), all, 0},
      {"a queue with a message", with(kQueue, [](Item& i) { i.users = 1; }), all, 0},
      {"a set in which somebody waits", with(kSemaphores, [](Item& i) { i.users = 1; }), all, 0},
      {"a set of which nobody can tell who waits", with(kSemaphores, [](Item& i) { i.users = -1; }),
       all, 0},
      {"an attached segment", with(kSegment, [](Item& i) { i.users = 2; }), all, 0},
      {"a marked segment", with(kSegment, [](Item& i) { i.marked = 1; }), all, 0},
      {"a queue, but the filter names sets and segments",
       with(kQueue, same),
       {kSemaphores | kSegment, kLowest, kHighest, "/"},
       0},
      {"a POSIX object, but the filter names segments",
       with(kPosix, same),
       {kSegment, kLowest, kHighest, "/"},
       0},
      {"a segment, and the filter names segments",
       with(kSegment, same),
       {kSegment, kLowest, kHighest, nullptr},
       1},
      {"the lowest key", with(kQueue, same), {kAllKinds, 100, 200, nullptr}, 1},
      {"the highest key", with(kQueue, same), {kAllKinds, 50, 100, nullptr}, 1},
      {"a key below", with(kQueue, same), {kAllKinds, 101, 200, nullptr}, 0},
      {"a key above", with(kQueue, same), {kAllKinds, 50, 99, nullptr}, 0},
      {"a negative key within",
       with(kSegment, [](Item& i) { i.key = -5; }),
       {kAllKinds, -10, -1, nullptr},
       1},
      {"a segment without a key, and keys from 1 on",
       with(kSegment, [](Item& i) { i.key = IPC_PRIVATE; }),
       {kAllKinds, 1, kHighest, nullptr},
       0},
      {"a segment without a key, and the key 0",
       with(kSegment, [](Item& i) { i.key = IPC_PRIVATE; }),
       {kAllKinds, 0, 0, nullptr},
       1},
      {"a POSIX object, whatever the keys", with(kPosix, same), {kAllKinds, 5, 6, "/a"}, 1},
      {"a POSIX object with just this name", with(kPosix, same), {kPosix, 0, 0, "/abc"}, 1},
      {"a POSIX object with a shorter name", with(kPosix, same), {kPosix, 0, 0, "/abcd"}, 0},
      {"a POSIX object with another name", with(kPosix, same), {kPosix, 0, 0, "/bc"}, 0},
      {"a POSIX object, and no prefix", with(kPosix, same), {kPosix, 0, 0, nullptr}, 0},
      {"a POSIX object, and an empty prefix", with(kPosix, same), {kPosix, 0, 0, ""}, 0},
  };
}

HELPER(MatchesRows) {
  for (const MatchRow& row : MatchRows(geteuid())) STUDENT(ipc_match)(&row.item, &row.filter);
  return 0;
}

TEST_F(CleanUp, MatchesWhatIsNamedAndYoursAndUnused) {
  Sandbox box;
  Helper matcher = box.Start("MatchesRows");
  EXPECT_THAT(matcher.Wait(), Exited(0));
  std::size_t call = 0;
  for (const MatchRow& row : MatchRows(0)) {
    EXPECT_THAT(matcher.call(call++), Returned(row.want)) << row.what;
  }
}

// ---- The clean-up -------------------------------------------------------------------------------

TEST_F(CleanUp, RemovesWhatTheFilterNamesAndNothingElse) {
  Sandbox box;
  const key_t low = RandomInt(1000, 1'000'000);
  const key_t high = low + RandomInt(10, 1000);
  int removable = 0;
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    const std::size_t size = kind == kQueue ? 0 : RandomSize();
    for (const key_t key : {low - 1, low, high, high + 1, IPC_PRIVATE}) {
      New(box, {.kind = kind, .key = key, .size = size});
    }
    removable += 2;
  }
  const std::string prefix = RandomName();
  New(box, {.kind = kPosix, .size = RandomSize(), .name = prefix});
  New(box, {.kind = kPosix, .size = 0, .name = prefix + "x"});
  New(box, {.kind = kPosix, .size = 10, .name = prefix.substr(0, prefix.size() - 1)});
  removable += 2;
  Helper before = StartCensus(box);
  EXPECT_THAT(before.Wait(), Exited(0));
  const std::vector<std::string> all = WhatIsThere(box, before);

  const int cap = RandomInt(1, 5);
  Helper cleaner = StartClean(
      box, {.kinds = kAllKinds, .key_lo = low, .key_hi = high, .prefix = prefix, .cap = cap});

  EXPECT_THAT(cleaner.Wait(), Exited(0));
  EXPECT_THAT(cleaner.call(), Returned(removable))
      << "three kinds have two keys within, and two names begin with the prefix";
  const std::vector<std::string> left = WhatIsThere(box, cleaner);
  std::vector<std::string> gone;
  std::ranges::set_difference(all, left, std::back_inserter(gone));
  for (const std::string& text : gone) {
    const bool named = text.find(", key " + std::to_string(low) + ",") != text.npos ||
                       text.find(", key " + std::to_string(high) + ",") != text.npos ||
                       text.find(prefix) != text.npos;
    EXPECT_TRUE(named) << "the filter does not name what was removed: " << text;
  }
  EXPECT_THAT(gone.size(), Is(removable)) << "objects are gone";
  EXPECT_THAT(TextsIn(cleaner).size(), Is(cap)) << "items in `removed`";
  EXPECT_TRUE(std::ranges::includes(gone, TextsIn(cleaner))) << "`removed` tells something else";
  EXPECT_THAT(cleaner.Reported("intact"), Is(1)) << "what is behind the room is as it was";
}

TEST_F(CleanUp, RemovesNothingThatIsUsed) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int set = New(box, {.kind = kSemaphores, .size = 3});
  box.Start("WaitsInSet", {{"id", set}, {"number", 1}, {"change", -1}});
  const int segment = New(box, {.kind = kSegment, .size = 100});
  const int gate = HoldAtGate(box);
  box.Start("Attaches", {{"id", segment}, {"mark", 0}});
  New(box, {.kind = kQueue, .size = 1});
  New(box, {.kind = kSemaphores, .size = 1, .mode = 0200});
  ASSERT_TRUE(ComesToRest(box));
  New(box, {.kind = kSegment, .size = 100});
  New(box, {.kind = kSemaphores, .size = 5});

  Helper cleaner = StartClean(box, {});

  EXPECT_THAT(cleaner.Wait(), Exited(0));
  EXPECT_THAT(cleaner.call(), Returned(2)) << "one segment and one set are not used";
  EXPECT_THAT(FindSegment(box, segment), IsNotMarked()) << "somebody has it attached";
  EXPECT_THAT(box, HoldsObjects(4))
      << "one is attached, in one somebody waits, one has a message, of one nobody can tell";
  box.Release(gate);
}

TEST_F(CleanUp, DryRunRemovesNothing) {
  Sandbox box({.watch = kTables});
  NewOfEachKind(box);
  Helper census = StartCensus(box);
  EXPECT_THAT(census.Wait(), Exited(0));
  const std::vector<std::string> before = WhatIsThere(box, census);

  Helper cleaner = StartClean(box, {.dry_run = 1});

  EXPECT_THAT(cleaner.Wait(), Exited(0));
  EXPECT_THAT(WhatIsThere(box, cleaner), SameItemsAs(before)) << "as before";
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    for (const Event& event : box.Calls(FamilyOf(kind))) {
      EXPECT_FALSE(Commands(kind, {IPC_RMID})(event)) << Describe(event, box.names());
    }
  }
  // The queues hold messages.
  EXPECT_THAT(cleaner.call(), Returned(6)) << "two idle sets, two idle segments, two POSIX objects";
  EXPECT_THAT(TextsIn(cleaner).size(), Is(6)) << "items in `removed`";
  EXPECT_TRUE(std::ranges::includes(before, TextsIn(cleaner))) << "`removed` tells something else";
}

TEST_F(CleanUp, GoesOnWhenOneCannotBeRemoved) {
  Sandbox box({.watch = kTables});
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    for (int i = 0; i < 2; ++i) {
      New(box, {.kind = kind, .size = kind == kQueue ? 0u : 1u});
    }
    box.AddRule({.family = FamilyOf(kind), .where = Commands(kind, {IPC_RMID}), .answer = -EPERM});
  }
  New(box, {.kind = kPosix, .size = 1, .name = RandomName()});

  Helper cleaner = StartClean(box, {});

  EXPECT_THAT(cleaner.Wait(), Exited(0));
  EXPECT_THAT(cleaner.call(), FailedWith(EPERM)) << "three objects could not be removed";
  EXPECT_THAT(box, HoldsObjects(3)) << "one of each kind could not be removed, the others were";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
}

TEST_F(CleanUp, IsContentWhenSomebodyElseWasFaster) {
  Sandbox box({.watch = kTables});
  for (const Ipc kind : {kQueue, kSemaphores, kSegment}) {
    New(box, {.kind = kind, .size = kind == kQueue ? 0u : 1u});
    const int removal =
        box.AddRule({.family = FamilyOf(kind), .where = Commands(kind, {IPC_RMID}), .hold = true});
    Helper cleaner = StartClean(box, {});
    ASSERT_TRUE(SomebodyComesTo(box, removal)) << "the removal";
    Helper remover = box.Start("RemovesKind", {{"kind", static_cast<int>(kind)}});
    ASSERT_THAT(remover.Wait(), Exited(0));
    box.Release(removal);
    EXPECT_THAT(cleaner.Wait(), Exited(0));
    EXPECT_THAT(cleaner.call(), Returned(0))
        << "the only object (" << KindText(kind) << ") was removed by somebody else";
  }
}

TEST_F(CleanUp, LeavesNothingBehind) {
  Sandbox box;
  NewOfEachKind(box);
  Helper census = StartCensus(box);
  EXPECT_THAT(census.Wait(), Exited(0));
  EXPECT_THAT(census.Leftovers(), NothingLeftBehind());
  Helper cleaner = StartClean(box, {});
  EXPECT_THAT(cleaner.Wait(), Exited(0));
  EXPECT_THAT(cleaner.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "the filter named all of them";
}

}  // namespace
}  // namespace ipclab
