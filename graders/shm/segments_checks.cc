// Exercise shm.1: create, attach, look, remove.

#include <sys/stat.h>

#include <cstring>

#include "graders/shm/expectations.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::seg_attach;
using shm::seg_create;
using shm::seg_detach;
using shm::seg_info;
using shm::seg_open;
using shm::seg_remove;
using shm::SegInfo;

EXERCISE(Segments);

std::size_t SizeOf(const Args& args) { return static_cast<std::size_t>(args.Int("size")); }

// ---- Making -------------------------------------------------------------------------------------

HELPER(CreatesSegment) {
  umask(077);
  const auto mode = static_cast<mode_t>(args.Int("mode", 0600));
  return STUDENT(seg_create)(KeyOf(args), SizeOf(args), mode) == -1 ? 1 : 0;
}

TEST_F(Segments, MakesASegment) {
  Sandbox box;
  constexpr int kModes[] = {0640, 0660, 0666, 0622};
  for (const key_t key : {RandomKey(), IPC_PRIVATE, IPC_PRIVATE}) {
    const auto size = RandomInt(1, 10000);
    const int mode = kModes[RandomInt(0, std::size(kModes) - 1)];

    Helper maker = box.Start("CreatesSegment", {{"key", key}, {"size", size}, {"mode", mode}});

    ASSERT_THAT(OutcomeOf(maker), Succeeds());
    const SysvObject segment = FindSegment(box, static_cast<int>(maker.call().value));
    EXPECT_THAT(segment, HasKey(key)) << "the segment whose id seg_create() returned";
    EXPECT_THAT(segment, HasSize(size));
    EXPECT_THAT(segment, HasMode(mode)) << "the caller's umask is 077";
    EXPECT_THAT(segment, IsAttached(0)) << "seg_create() attaches nothing";
  }
  EXPECT_THAT(box, HoldsObjects(3));
}

TEST_F(Segments, RefusesWhatItCannotMake) {
  Sandbox box;
  const key_t key = RandomKey();
  const auto size = RandomInt(100, 5000);
  const int id = NewSegment(box, {.size = static_cast<std::size_t>(size), .key = key});

  Helper second = box.Start("CreatesSegment", {{"key", key}, {"size", size}});
  EXPECT_THAT(second.Wait(), Exited(1));
  EXPECT_THAT(second.call(), FailedWith(EEXIST)) << "a segment has this key already";
  EXPECT_THAT(FindSegment(box, id), IsNotMarked()) << "the one that was there";

  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}}) {
    for (const key_t other : {IPC_PRIVATE, RandomKey()}) {
      Helper maker = box.Start("CreatesSegment", {{"key", other}, {"size", bad}});
      EXPECT_THAT(maker.Wait(), Exited(1));
      EXPECT_THAT(maker.call(), FailedWith(EINVAL))
          << "the size is " << (bad == 0 ? "0" : "the largest number that a size_t holds");
    }
  }
  EXPECT_THAT(box, HoldsObjects(1)) << "none but the first";
}

// ---- Opening ------------------------------------------------------------------------------------

HELPER(OpensSegments) {
  const key_t key = KeyOf(args);
  STUDENT(seg_open)(key, 0);
  STUDENT(seg_open)(key, SizeOf(args));
  STUDENT(seg_open)(key, SizeOf(args) + 1);
  STUDENT(seg_open)(key ^ 1, 1);
  STUDENT(seg_open)(key ^ 1, 0);
  STUDENT(seg_open)(IPC_PRIVATE, 1);
  STUDENT(seg_open)(IPC_PRIVATE, 0);
  return 0;
}

TEST_F(Segments, OpensOnlyWhatIsThere) {
  Sandbox box;
  const key_t key = RandomKey();
  const auto size = static_cast<std::size_t>(RandomInt(100, 4000));
  NewSegment(box, {});
  const int id = NewSegment(box, {.size = size, .key = key});

  Helper opener = box.Start("OpensSegments", {{"key", key}, {"size", size}});

  EXPECT_THAT(opener.Wait(), Exited(0));
  EXPECT_THAT(opener.call(0), Returned(id)) << "min_size is 0: a segment of any size";
  EXPECT_THAT(opener.call(1), Returned(id)) << "it has exactly the size that is asked for";
  EXPECT_THAT(opener.call(2), FailedWith(EINVAL))
      << "a byte more than the segment has is asked for. That its last page has room for it does "
         "not count.";
  for (const std::size_t i : {3, 4}) {
    EXPECT_THAT(opener.call(i), FailedWith(ENOENT)) << "no segment has this key";
  }
  for (const std::size_t i : {5, 6}) {
    EXPECT_THAT(opener.call(i), FailedWith(ENOENT)) << "the key is IPC_PRIVATE";
  }
  EXPECT_THAT(box, HoldsObjects(2)) << "seg_open() makes nothing";
}

constexpr unsigned kTooFewRights[] = {0400, 0200, 0066};

HELPER(OpensWithoutRights) {
  for (std::size_t i = 0; i < std::size(kTooFewRights); ++i) {
    STUDENT(seg_open)(KeyOf(args) + static_cast<key_t>(i), 1);
  }
  return 0;
}

TEST_F(Segments, AsksForTheRightsItNeeds) {
  Sandbox box;
  const auto key = static_cast<key_t>(RandomInt(1, 1 << 30));
  for (std::size_t i = 0; i < std::size(kTooFewRights); ++i) {
    NewSegment(box, {.key = key + static_cast<key_t>(i), .mode = kTooFewRights[i]});
  }

  Helper opener = box.Start("OpensWithoutRights", {{"key", key}});

  EXPECT_THAT(opener.Wait(), Exited(0));
  for (std::size_t i = 0; i < std::size(kTooFewRights); ++i) {
    EXPECT_THAT(opener.call(i), FailedWith(EACCES))
        << "its owner calls, and the mode of the segment is " << Octal(kTooFewRights[i]);
  }
}

// ---- Attaching ----------------------------------------------------------------------------------

// What the last call attached, as "rw" or "r-"; "nothing", or "2 mappings".
std::string NewMapping(const StudentCall& call, int id) {
  const auto of_segment = [id](const Census& census) {
    std::vector<Mapping> found;
    for (const Mapping& mapping : census.mappings) {
      const bool ours = mapping.object.starts_with("/SYSV");
      if (ours && mapping.inode == static_cast<std::uint64_t>(id)) found.push_back(mapping);
    }
    return found;
  };
  const std::vector<Mapping> before = of_segment(call.before);
  std::vector<Mapping> after = of_segment(call.after);
  std::erase_if(after, [&](const Mapping& mapping) {
    return std::ranges::any_of(before,
                               [&](const Mapping& old) { return old.start == mapping.start; });
  });
  if (after.empty()) return "nothing";
  if (after.size() > 1) return std::to_string(after.size()) + " mappings";
  return after[0].permissions.substr(0, 2);
}

// Attaches twice, and hands the bytes that one shows over the other.
HELPER(AttachesTwice) {
  const std::string content = args.Bytes("content");
  auto* const writable = static_cast<char*>(STUDENT(seg_attach)(IdOf(args), 0));
  const auto* const readable = static_cast<const char*>(STUDENT(seg_attach)(IdOf(args), 1));
  if (writable == nullptr || readable == nullptr) return 1;
  Report("zeroes", std::count(readable, readable + content.size(), '\0'));
  std::memcpy(writable, content.data(), content.size());
  Report("seen", std::string(readable, content.size()));
  shmdt(writable);
  shmdt(readable);
  return 0;
}

TEST_F(Segments, AttachesForWhatIsAsked) {
  Sandbox box;
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(5000, 9000)));
  const int id = NewSegment(box, {.size = content.size()});

  Helper caller = box.Start("AttachesTwice", {{"id", id}, {"content", Binary(content)}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(NewMapping(caller.call(0), id), IsText("rw")) << "readonly is 0";
  EXPECT_THAT(NewMapping(caller.call(1), id), IsText("r-")) << "readonly is 1";
  EXPECT_THAT(caller.Reported("zeroes"), Is(content.size())) << "bytes that are 0 in the beginning";
  EXPECT_THAT(caller.ReportedBytes("seen"), SameBytesAs(content));
}

// Calls for null, and (void*)-1 would count as an address.
HELPER(AttachesInVain) {
  STUDENT(seg_attach)(-1, 0);
  STUDENT(seg_attach)(IdOf(args), 0);
  const void* const mem = STUDENT(seg_attach)(IdOf(args), 1);
  STUDENT(seg_attach)(static_cast<int>(args.Int("shut")), 1);
  if (mem != nullptr) shmdt(mem);
  return 0;
}

TEST_F(Segments, ReportsWhatCannotBeAttached) {
  Sandbox box;
  const int id = NewSegment(box, {.mode = 0400});
  const int shut = NewSegment(box, {.mode = 0266});

  Helper caller = box.Start("AttachesInVain", {{"id", id}, {"shut", shut}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL))
      << "there is no segment -1. (Here -1 stands for the null pointer, 0 for any other.)";
  EXPECT_THAT(caller.call(1), FailedWith(EACCES)) << "to write, where the mode is 0400";
  EXPECT_THAT(caller.call(2), Returned(0)) << "an address, to read, where the mode is 0400";
  EXPECT_THAT(caller.call(3), FailedWith(EACCES)) << "to read, where the mode is 0266";
}

HELPER(Detaches) {
  auto* const first = static_cast<char*>(AttachHere(IdOf(args)));
  auto* const second = static_cast<char*>(AttachHere(IdOf(args)));
  STUDENT(seg_detach)(first + 1);
  STUDENT(seg_detach)(first + 4096);
  STUDENT(seg_detach)(nullptr);
  STUDENT(seg_detach)(first);
  STUDENT(seg_detach)(first);
  Gate();
  shmdt(second);
  return 0;
}

TEST_F(Segments, DetachesOnlyWhatBeginsThere) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int id = NewSegment(box, {.size = 3 * 4096});
  const int gate = HoldAtGate(box);

  Helper caller = box.Start("Detaches", {{"id", id}});

  ASSERT_TRUE(SomebodyComesTo(box, gate));
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "one byte behind the beginning";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "one page behind the beginning";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "a null pointer";
  EXPECT_THAT(caller.call(3), Returned(0));
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "for the second time";
  EXPECT_THAT(FindSegment(box, id), IsAttached(1)) << "it was attached twice, and detached once";
  box.Release(gate);
  EXPECT_THAT(caller.Wait(), Exited(0));
}

// ---- Looking and removing -----------------------------------------------------------------------

HELPER(LooksAtSegment) {
  SegInfo info;
  std::memset(&info, 0x7f, sizeof(info));
  if (STUDENT(seg_info)(IdOf(args), &info) == -1) {
    const auto* const bytes = reinterpret_cast<const char*>(&info);
    Report("untouched", std::count(bytes, bytes + sizeof(info), 0x7f) == sizeof(info) ? 1 : 0);
    return 1;
  }
  Report("size", static_cast<std::int64_t>(info.size));
  Report("attached", static_cast<std::int64_t>(info.attached));
  Report("creator", info.creator);
  Report("last", info.last);
  Report("mode", info.mode);
  Report("marked", info.marked);
  return 0;
}

// Attaches, marks the segment if that is wanted, and stands at a gate for as long as is wanted.
HELPER(HoldsSegment) {
  void* const first = AttachHere(IdOf(args));
  void* const second = AttachHere(IdOf(args));
  if (args.Int("mark") == 1) Check(shmctl(IdOf(args), IPC_RMID, nullptr), "shmctl(IPC_RMID)");
  Gate();
  shmdt(first);
  shmdt(second);
  return 0;
}

TEST_F(Segments, TellsWhatTheKernelKnows) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const auto size = RandomInt(1, 4095);
  const unsigned mode = RandomInt(0, 1) == 0 ? 0640 : 0604;
  const int id = NewSegment(box, {.size = static_cast<std::size_t>(size), .mode = mode});
  const int creator = FindSegment(box, id).creator_pid;

  Helper early = box.Start("LooksAtSegment", {{"id", id}});
  ASSERT_THAT(OutcomeOf(early), Succeeds());
  EXPECT_THAT(early.Reported("size"), Is(size)) << "bytes; its page has more";
  EXPECT_THAT(early.Reported("attached"), Is(0)) << "attachments";
  EXPECT_THAT(early.Reported("creator"), Is(creator)) << "the process that made it";
  EXPECT_THAT(early.Reported("last"), Is(0)) << "nobody has attached it yet";
  EXPECT_THAT(early.Reported("mode"), Is(mode)) << "that is " << Octal(mode);
  EXPECT_THAT(early.Reported("marked"), Is(0)) << "it is not marked for removal";

  const int gate = HoldAtGate(box);
  Helper holder = box.Start("HoldsSegment", {{"id", id}, {"mark", 1}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  Helper late = box.Start("LooksAtSegment", {{"id", id}});
  ASSERT_THAT(OutcomeOf(late), Succeeds());
  EXPECT_THAT(late.Reported("attached"), Is(2)) << "attachments, both of one process";
  EXPECT_THAT(late.Reported("creator"), Is(creator)) << "the process that made it";
  EXPECT_THAT(late.Reported("last"), Is(holder.process().inner_pid)) << "the one that attached it";
  EXPECT_THAT(late.Reported("mode"), Is(mode))
      << "that is " << Octal(mode) << ", and nothing but permission bits";
  EXPECT_THAT(late.Reported("marked"), Is(1)) << "it is marked for removal";
  box.Release(gate);
  EXPECT_THAT(holder.Wait(), Exited(0));

  Helper too_late = box.Start("LooksAtSegment", {{"id", id}});
  EXPECT_THAT(too_late.Wait(), Exited(1));
  EXPECT_THAT(too_late.call(), FailedWith(EINVAL)) << "the segment is gone";
  EXPECT_THAT(too_late.Reported("untouched"), Is(1)) << "*out is unchanged";
  Helper stranger = box.Start("LooksAtSegment", {{"id", NewSegment(box, {.mode = 0200})}});
  EXPECT_THAT(stranger.Wait(), Exited(1));
  EXPECT_THAT(stranger.call(), FailedWith(EACCES)) << "the mode is 0200";
}

HELPER(RemovesTwice) {
  STUDENT(seg_remove)(IdOf(args));
  STUDENT(seg_remove)(IdOf(args));
  return 0;
}

TEST_F(Segments, RemovesTheSegmentAndNoOther) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const key_t key = RandomKey();
  const int other = NewSegment(box, {.key = key ^ 1});
  const int unused = NewSegment(box, {.key = key});
  Helper caller = box.Start("RemovesTwice", {{"id", unused}});
  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), Returned(0));
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "it has been removed";
  ASSERT_THAT(FindSegment(box, unused), IsGone());

  const int used = NewSegment(box, {.key = key});
  const int gate = HoldAtGate(box);
  Helper holder = box.Start("HoldsSegment", {{"id", used}, {"mark", 0}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  Helper second = box.Start("RemovesTwice", {{"id", used}});
  EXPECT_THAT(second.Wait(), Exited(0));
  EXPECT_THAT(second.call(0), Returned(0)) << "somebody has it attached: it is marked";
  EXPECT_THAT(FindSegment(box, used), IsMarked());
  EXPECT_THAT(FindSegment(box, used), IsAttached(2)) << "who has it keeps it";
  box.Release(gate);
  EXPECT_THAT(holder.Wait(), Exited(0));
  EXPECT_THAT(FindSegment(box, used), IsGone());
  EXPECT_THAT(FindSegment(box, other), IsNotMarked()) << "another segment";
}

HELPER(UsesSegment) {
  const int id = STUDENT(seg_create)(KeyOf(args), 100, 0600);
  if (id == -1) return 1;
  SegInfo info;
  bool good = STUDENT(seg_open)(KeyOf(args), 1) == id;
  void* const mem = STUDENT(seg_attach)(id, 0);
  good &= mem != nullptr && STUDENT(seg_info)(id, &info) == 0;
  good &= STUDENT(seg_attach)(-1, 0) == nullptr;
  if (mem != nullptr) good &= STUDENT(seg_detach)(mem) == 0;
  good &= STUDENT(seg_remove)(id) == 0;
  return good ? 0 : 1;
}

TEST_F(Segments, LeavesNothingBehind) {
  Sandbox box;

  Helper caller = box.Start("UsesSegment", {{"key", RandomKey()}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
