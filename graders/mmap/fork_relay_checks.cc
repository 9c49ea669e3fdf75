// Exercise mmap.4, second part: what a child shares with its parent.

#include <signal.h>

#include "graders/mmap/fork_relay.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::file_relay;
using mmap::fork_see;

// ---- fork_see ----------------------------------------------------------------------------------

HELPER(SeesThroughAFork) {
  const std::string before = args.Bytes("before");
  const std::string after = args.Bytes("after");
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string saw(cap + 1, '?');
  {
    const AtBirth gate(&Gate);
    STUDENT(fork_see)
    (static_cast<int>(args.Int("flags")), before.c_str(), after.c_str(), saw.data(), cap);
  }
  Report("saw", saw.substr(0, saw.find('\0')));
  Report("whole", saw[cap] == '?');
  return 0;
}

void ExpectSeen(const Helper& caller, const ForkCase& c, int flags) {
  const bool shared = flags == MAP_SHARED;
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(caller.ReportedBytes("saw"), IsText(shared ? c.after : c.before))
      << "The child overwrote \"" << c.before << "\" with \"" << c.after << "\" in a page that was "
      << (shared ? "shared." : "private.");
}

TEST_F(Sharing, ForkSharesOnlySharedPages) {
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    Sandbox box({.watch = {Family::kMap}});
    const ForkCase c;

    Helper caller =
        box.Start("SeesThroughAFork", c.Args(flags, std::max(c.before.size(), c.after.size()) + 1));

    EXPECT_THAT(caller.Wait(), Exited(0));
    ExpectSeen(caller, c, flags);
    EXPECT_TRUE(std::ranges::any_of(
        MmapCalls(box),
        [&](const Event& event) { return static_cast<int>(event.args[3] & MAP_TYPE) == flags; }))
        << "No mmap() with " << (flags == MAP_SHARED ? "MAP_SHARED" : "MAP_PRIVATE")
        << " was seen.";
    EXPECT_TRUE(box.Children().size() == 1) << "There was no child to write into the page.";
  }
}

TEST_F(Sharing, ForkedChildIsWaitedFor) {
  for (const int flags : {MAP_SHARED, MAP_PRIVATE}) {
    Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
    const ForkCase c;
    const int birth = HoldBirth(box, 1);

    Helper caller = box.Start("SeesThroughAFork", c.Args(flags));
    EXPECT_TRUE(WaitsForTheHeld(box, caller, birth));
    box.Release(birth);

    EXPECT_THAT(caller.Wait(), Exited(0));
    ExpectSeen(caller, c, flags);
  }
}

// ---- file_relay --------------------------------------------------------------------------------

HELPER(Relays) {
  const std::string path = args.Bytes("path");
  const std::string msg = args.Bytes("msg");
  const std::string old = args.Bytes("old");
  if (!old.empty()) MakeFile(path, old);
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::string back(cap + 1, '?');
  off_t offset = kUntouchedOffset;
  {
    const AtBirth gate(&Gate);
    STUDENT(file_relay)(path.c_str(), msg.data(), msg.size(), &offset, back.data(), cap);
  }
  Report("back", back);
  Report("offset", offset);
  return 0;
}

void ExpectRelayed(const Sandbox& box, const Helper& caller, const std::string& path,
                   const std::string& msg, std::size_t cap) {
  const std::string back = msg.substr(0, cap);
  EXPECT_THAT(caller.call(), Returned(back.size()));
  EXPECT_THAT(caller.ReportedBytes("back"),
              SameBytesAs(back + std::string(cap + 1 - back.size(), '?')));
  EXPECT_TRUE(caller.Reported("offset") == static_cast<std::int64_t>(msg.size()))
      << "The child has written " << msg.size() << " bytes; *offset is "
      << caller.Reported("offset") << ".";
  EXPECT_THAT(Contents(box, path), SameBytesAs(msg)) << "the file stays";
}

TEST_F(Sharing, RelayGoesThroughOneOpenFile) {
  Sandbox box({.watch = {Family::kOpen, Family::kWrite, Family::kRead, Family::kMap}});
  const std::string path = RandomWord(8);
  const std::string msg = RandomBytes(static_cast<std::size_t>(RandomInt(3000, 6000)));

  Helper caller = StartRelay(box, path, msg, 10000);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectRelayed(box, caller, path, msg, 10000);
  std::int64_t by_child = 0;
  for (const Event& event : box.Calls(Family::kWrite)) {
    const bool childs = event.pid != caller.pid() && event.Succeeded();
    if (childs && EndsWithPath(event.target, path)) by_child += *event.result;
  }
  EXPECT_TRUE(by_child == static_cast<std::int64_t>(msg.size()))
      << "The child has written " << by_child << " of the " << msg.size() << " bytes.";
  for (const Event& event : box.Calls(Family::kOpen)) {
    EXPECT_TRUE(event.pid == caller.pid() || !EndsWithPath(event.detail, path))
        << "The child opens the file itself: an open file of its own has an offset of its own.";
  }
  EXPECT_THAT(MmapCallsOf(box, path), testing::IsEmpty()) << "This works without a mapping.";
  EXPECT_TRUE(EntryAt(box, path).permissions == 0600) << "A new file is to have the mode 0600.";
}

TEST_F(Sharing, RelayTakesAllSizes) {
  Sandbox box({.watch = {Family::kWrite, Family::kRead}});
  box.Shorten(Family::kWrite, 700);
  box.Shorten(Family::kRead, 300);
  const std::string msg = RandomBytes(3000);

  Helper part = StartRelay(box, "part", msg, 1000);
  EXPECT_THAT(part.Wait(), Exited(0));
  ExpectRelayed(box, part, "part", msg, 1000);

  Helper old = StartRelay(box, "old", msg, 5000, RandomBytes(9000));
  EXPECT_THAT(old.Wait(), Exited(0)) << "the file was there, and longer";
  ExpectRelayed(box, old, "old", msg, 5000);

  Helper empty = StartRelay(box, "empty", "", 10);
  EXPECT_THAT(empty.Wait(), Exited(0));
  ExpectRelayed(box, empty, "empty", "", 10);
}

TEST_F(Sharing, RelayedFileIsReadAfterTheChild) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::string msg = RandomBytes(500);
  const int birth = HoldBirth(box, 1);

  Helper caller = StartRelay(box, "relay", msg, 1000);
  EXPECT_TRUE(WaitsForTheHeld(box, caller, birth));
  box.Release(birth);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectRelayed(box, caller, "relay", msg, 1000);
}

// ---- When the child is killed ------------------------------------------------------------------

TEST_F(Sharing, KilledChildIsMissed) {
  for (const bool relay : {false, true}) {
    Sandbox box({.watch = {Family::kSignalSend}});
    const int birth = HoldBirth(box, 1);

    Helper caller = relay ? StartRelay(box, "relay", RandomBytes(500), 1000)
                          : box.Start("SeesThroughAFork", ForkCase().Args(MAP_SHARED));
    EXPECT_TRUE(SomebodyComesTo(box, birth));
    for (const pid_t child : box.observer().Held(birth)) {
      Check(kill(child, SIGKILL), "kill");
      EXPECT_TRUE(Ends(box, child));
    }

    EXPECT_THAT(caller.Wait(), Exited(0)) << "its child was killed";
    EXPECT_THAT(caller.call(), FailedWith(ECANCELED)) << "its child was killed";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  }
}

}  // namespace

Helper StartRelay(Sandbox& box, const std::string& path, const std::string& msg, std::size_t cap,
                  const std::string& old) {
  return box.Start(
      "Relays", {{"path", Binary(path)}, {"msg", Binary(msg)}, {"old", Binary(old)}, {"cap", cap}});
}

}  // namespace ipclab
