// Memory that processes share: held between two stores, who can wake whom, and what a file holds.

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/grading/matchers.h"
#include "common/grading/sandbox.h"
#include "common/grading/steering.h"
#include "common/grading/testdata/student.h"
#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

using made_up::does;
using testing::ElementsAre;
using testing::HasSubstr;

HELPER(Stores) { return STUDENT(does)(args.Bytes("what").c_str()); }

Helper StartStores(Sandbox& box, const std::string& what) {
  return box.Start("Stores", {{"what", Binary(what)}});
}

std::string Beginning(const Sandbox& box) {
  return box.FileContents("shared").value_or("").substr(0, 2);
}

TEST(SandboxStores, HoldsBeforeEachStore) {
  Sandbox box({.watch = {Family::kMap}});
  Helper helper = StartStores(box, "store F, then D, then !");
  const int store = box.HoldAtStores(helper, "does");
  std::vector<std::string> seen;
  while (ReachesStore(box, store)) {
    seen.push_back(Beginning(box));
    box.Release(store);
  }
  EXPECT_THAT(helper.Wait(), Exited(2));
  EXPECT_THAT(seen, ElementsAre(std::string("\0\0", 2), std::string("F\0", 2), "FD"));
  EXPECT_EQ(Beginning(box), "!D");
}

TEST(SandboxStores, LetsGoOnAtFullSpeed) {
  Sandbox box({.watch = {Family::kMap}});
  Helper helper = StartStores(box, "store F, then D, then !");
  const int store = box.HoldAtStores(helper, "does");
  EXPECT_TRUE(ReachesStore(box, store));
  box.LetRun(store);
  EXPECT_THAT(helper.Wait(), Exited(2));
  EXPECT_EQ(Beginning(box), "!D");
}

TEST(SandboxStores, HoldsWhoIsKilledThere) {
  Sandbox box({.watch = {Family::kMap}});
  Helper helper = StartStores(box, "store F, then D, then !");
  const int store = box.HoldAtStores(helper, "does");
  EXPECT_TRUE(ReachesStore(box, store));
  box.Release(store);
  EXPECT_TRUE(ReachesStore(box, store));
  helper.Signal(SIGKILL);
  EXPECT_THAT(helper.Wait(), KilledBy(SIGKILL));
  EXPECT_EQ(Beginning(box), std::string("F\0", 2));
}

// Somebody asleep beside it does no harm; that one's own stores are not taken back.
TEST(SandboxStores, StepsBesideASleeper) {
  Sandbox box({.watch = {Family::kMap}});
  Helper sleeper = StartStores(box, "wait in futex, private");
  EXPECT_TRUE(sleeper.WaitUntilBlockedIn({Family::kFutex})) << box.failure();
  Helper helper = StartStores(box, "store F, then D, then !");
  const int store = box.HoldAtStores(helper, "does");
  int stores = 0;
  for (; ReachesStore(box, store); ++stores) box.Release(store);
  EXPECT_EQ(stores, 3);
}

TEST(SandboxStores, FindsWhoComputesForEver) {
  Sandbox box({.watch = {Family::kMap}});
  Helper helper = StartStores(box, "spin");
  const int store = box.HoldAtStores(helper, "does");
  EXPECT_FALSE(ReachesStore(box, store));
  EXPECT_EQ(helper.Wait().kind, Ending::Kind::kBusy);
}

// It looks like an instruction that cannot wait.
TEST(SandboxStores, ServesTheBoxWhileAnInstructionSleeps) {
  Sandbox box({.watch = {Family::kMap}});
  Helper helper = StartStores(box, "pause, by a call with a prefix");
  const int store = box.HoldAtStores(helper, "does");
  EXPECT_FALSE(ReachesStore(box, store));
  Helper other = StartStores(box, "nothing");
  EXPECT_THAT(other.Wait(), Exited(7));
  EXPECT_EQ(helper.Wait().kind, Ending::Kind::kDeadlock);
}

TEST(SandboxStores, TellWhoCanWake) {
  Sandbox box;
  Helper alone = StartStores(box, "wait in futex, private");
  EXPECT_TRUE(alone.WaitUntilBlockedIn({Family::kFutex})) << box.failure();
  const testing::AssertionResult result = OthersCanWake(alone);
  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr("FUTEX_PRIVATE_FLAG"));
  Helper shared = StartStores(box, "wait in futex, shared");
  EXPECT_TRUE(shared.WaitUntilBlockedIn({Family::kFutex})) << box.failure();
  EXPECT_TRUE(OthersCanWake(shared));
}

TEST(SandboxFileContents, FollowsNoLink) {
  Sandbox box;
  StartStores(box, "link to shared").Wait();
  EXPECT_EQ(box.FileContents("link"), std::nullopt);
  EXPECT_EQ(box.FileContents("missing"), std::nullopt);
  EXPECT_TRUE(box.FileContents("shared").has_value());
}

}  // namespace
}  // namespace ipclab
