// Exercise shm.2: the lifetime of a segment.

#include <sys/syscall.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "common/grading/looks.h"
#include "graders/shm/expectations.h"
#include "graders/shm/pages.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::seg_attached;
using shm::seg_compute;
using shm::seg_remove_when_idle;
using shm::seg_scratch;

EXERCISE(Lifetime);

constexpr int kNoId = -77;

std::size_t SizeOf(const Args& args) { return static_cast<std::size_t>(args.Int("size")); }

// The one segment of the box; as if it were empty, if there is none or more than one.
SysvObject TheSegment(const Sandbox& box) {
  const std::vector<SysvObject> segments = Segments(box);
  return segments.size() == 1 ? segments[0] : SysvObject();
}

void Kill(pid_t pid) {
  if (kill(pid, SIGKILL) == -1 && errno != ESRCH) throw SystemError(errno, "kill");
}

// Kills all processes of the box but the stage, and serves it until they have ended.
testing::AssertionResult AllAreKilled(Sandbox& box) {
  for (const pid_t pid : box.observer().LivingProcesses()) Kill(pid);
  return Comes(box, [&] { return box.observer().LivingProcesses().empty(); });
}

// ---- A scratch segment --------------------------------------------------------------------------

HELPER(TakesScratch) {
  int id = kNoId;
  const std::string content = args.Bytes("content");
  auto* const mem = static_cast<char*>(STUDENT(seg_scratch)(SizeOf(args), &id));
  Report("id", id);
  if (mem == nullptr) return 1;
  std::memcpy(mem, content.data(), content.size());
  Gate();
  Check(shmdt(mem), "shmdt");
  return 0;
}

HELPER(ReadsSegment) {
  const auto* const mem = static_cast<const char*>(AttachHere(IdOf(args)));
  Report("content", std::string(mem, SizeOf(args)));
  Gate();
  Check(shmdt(mem), "shmdt");
  return 0;
}

TEST_F(Lifetime, ScratchVanishesWithItsLastAttachment) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(1, 5000)));
  const int first = HoldAtGate(box);

  Helper taker =
      box.Start("TakesScratch", {{"size", content.size()}, {"content", Binary(content)}});

  ASSERT_TRUE(SomebodyComesTo(box, first));
  const SysvObject scratch = TheSegment(box);
  EXPECT_THAT(scratch, HasKey(IPC_PRIVATE)) << "the one segment of the box";
  EXPECT_THAT(scratch, HasSize(content.size()));
  EXPECT_THAT(scratch, HasMode(0600u));
  EXPECT_THAT(scratch, IsAttached(1)) << "to the caller of seg_scratch()";
  ASSERT_THAT(scratch, IsMarked()) << "if all its processes were killed now, who would remove it?";
  ASSERT_THAT(taker.Reported("id"), Is(scratch.id)) << "the id of the segment";

  const int second = HoldAtGate(box);
  Helper reader = box.Start("ReadsSegment", {{"id", scratch.id}, {"size", content.size()}});
  ASSERT_TRUE(SomebodyComesTo(box, second));
  EXPECT_THAT(reader.ReportedBytes("content"), SameBytesAs(content)) << "read by another process";
  EXPECT_THAT(TheSegment(box), IsAttached(2));
  box.Release(first);
  EXPECT_THAT(taker.Wait(), Exited(0));
  EXPECT_THAT(TheSegment(box), IsAttached(1)) << "its maker has detached it, somebody else has it";
  EXPECT_TRUE(AllAreKilled(box));
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << "the last process that had it was killed";
}

TEST_F(Lifetime, ScratchFailsWithoutASegment) {
  Sandbox box({.watch = {Family::kSharedMemory}});
  Helper without_size = box.Start("TakesScratch", {{"size", 0}, {"content", ""}});
  EXPECT_THAT(without_size.Wait(), Exited(1));
  EXPECT_THAT(without_size.call(), FailedWith(EINVAL)) << "the size is 0";
  EXPECT_THAT(without_size.Reported("id"), Is(kNoId)) << "*id is unchanged";

  for (const long call : {SYS_shmget, SYS_shmat}) {
    box.AddRule({.family = Family::kSharedMemory,
                 .where = [call](const Event& event) { return event.number == call; },
                 .answer = -ENOMEM});
    Helper unlucky = box.Start("TakesScratch", {{"size", 100}, {"content", ""}});
    EXPECT_THAT(unlucky.Wait(), Exited(1));
    EXPECT_THAT(unlucky.call(), FailedWith(ENOMEM))
        << (call == SYS_shmget ? "shmget()" : "shmat()") << " failed with it";
    EXPECT_THAT(unlucky.Reported("id"), Is(kNoId)) << "*id is unchanged";
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
  }
}

// ---- Counting -----------------------------------------------------------------------------------

HELPER(CountsAttachments) {
  unsigned long n = 7777;
  const int result = STUDENT(seg_attached)(IdOf(args), &n);
  Report("n", static_cast<std::int64_t>(n));
  return result == 0 ? 0 : 1;
}

// With a child, which inherits it; marks the segment if that is wanted.
HELPER(HasSegment) {
  void* const mem = AttachHere(IdOf(args));
  if (args.Int("mark") == 1) Check(shmctl(IdOf(args), IPC_RMID, nullptr), "shmctl(IPC_RMID)");
  { const Beside child(Gate); }
  Gate();
  Check(shmdt(mem), "shmdt");
  return 0;
}

TEST_F(Lifetime, CountsAttachments) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int id = NewSegment(box, {});
  const auto expect = [&](int n, const char* why) {
    Helper counter = box.Start("CountsAttachments", {{"id", id}});
    EXPECT_THAT(OutcomeOf(counter), Succeeds()) << why;
    EXPECT_THAT(counter.Reported("n"), Is(n)) << "attachments: " << why;
  };

  expect(0, "nobody has attached it");
  const int in_child = HoldAtGate(box);
  Helper holder = box.Start("HasSegment", {{"id", id}, {"mark", 1}});
  ASSERT_TRUE(SomebodyComesTo(box, in_child));
  expect(2, "a process and its child have it; it is marked for removal");
  const int after_child = HoldAtGate(box);
  box.Release(in_child);
  ASSERT_TRUE(SomebodyComesTo(box, after_child));
  expect(1, "the child has ended");
  box.Release(after_child);
  EXPECT_THAT(holder.Wait(), Exited(0));

  Helper late = box.Start("CountsAttachments", {{"id", id}});
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(ENOENT)) << "it has vanished with its last attachment";
  EXPECT_THAT(late.Reported("n"), Is(7777)) << "*n is unchanged";
  Helper stranger = box.Start("CountsAttachments", {{"id", NewSegment(box, {.mode = 0200})}});
  EXPECT_THAT(stranger.Wait(), Exited(1));
  EXPECT_THAT(stranger.call(), FailedWith(EACCES)) << "its mode is 0200";
}

// ---- Removing when idle -------------------------------------------------------------------------

HELPER(RemovesWhenIdle) {
  const auto start = std::chrono::steady_clock::now();
  const int limit = static_cast<int>(args.Int("limit", -1));
  const int result = STUDENT(seg_remove_when_idle)(IdOf(args), limit);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  Report("ms", static_cast<std::int64_t>(took.count()));
  return result == 0 ? 0 : 1;
}

HELPER(MarksSegment) {
  Check(shmctl(IdOf(args), IPC_RMID, nullptr), "shmctl(IPC_RMID)");
  return 0;
}

// Has a segment attached that a process holds at a gate.
class HeldSegment {
 public:
  HeldSegment(Sandbox& box, int id) : box_(box), gate_(HoldAtGate(box)) {
    holder_.emplace(box.Start("HasSegment", {{"id", id}, {"mark", 0}}));
    held_ = static_cast<bool>(SomebodyComesTo(box, gate_));
  }
  bool held() const { return held_; }
  void Leave() {
    box_.Release(gate_);
    EXPECT_THAT(holder_->Wait(), Exited(0));
  }

 private:
  Sandbox& box_;
  const int gate_;
  std::optional<Helper> holder_;
  bool held_ = false;
};

SandboxOptions WatchesSegmentsAndGates() {
  return WatchesLooks({Family::kSharedMemory, Family::kSignalSend});
}

TEST_F(Lifetime, WaitsUntilNobodyHasIt) {
  Sandbox box(WatchesSegmentsAndGates());
  const key_t key = RandomKey();
  const int unused = NewSegment(box, {});
  Helper at_once = box.Start("RemovesWhenIdle", {{"id", unused}, {"limit", 0}});
  EXPECT_THAT(OutcomeOf(at_once), Succeeds()) << "nobody has it attached";
  EXPECT_THAT(FindSegment(box, unused), IsGone());

  const int id = NewSegment(box, {.key = key});
  HeldSegment held(box, id);
  ASSERT_TRUE(held.held());
  Helper remover = box.Start("RemovesWhenIdle", {{"id", id}});
  ASSERT_TRUE(WaitsPatiently(box, remover)) << "somebody has it attached";
  EXPECT_THAT(FindSegment(box, id), IsNotMarked()) << "as long as it waits";
  EXPECT_THAT(FindSegment(box, id), HasKey(key)) << "as long as it waits";
  held.Leave();
  EXPECT_THAT(OutcomeOf(remover), Succeeds());
  EXPECT_THAT(FindSegment(box, id), IsGone());
}

TEST_F(Lifetime, GivesUpInTime) {
  Sandbox box(WatchesSegmentsAndGates());
  const int id = NewSegment(box, {});
  HeldSegment held(box, id);
  ASSERT_TRUE(held.held());
  for (const int limit : {0, 30}) {
    Helper remover = box.Start("RemovesWhenIdle", {{"id", id}, {"limit", limit}});
    EXPECT_THAT(remover.Wait(), Exited(1));
    EXPECT_THAT(remover.call(), FailedWith(ETIMEDOUT)) << "after " << limit << " ms";
    EXPECT_THAT(remover.Reported("ms"), IsAtLeast(limit)) << "milliseconds";
    EXPECT_THAT(FindSegment(box, id), IsNotMarked()) << "it remains as it is";
  }
  held.Leave();
}

TEST_F(Lifetime, ReportsASegmentThatIsGone) {
  Sandbox box(WatchesSegmentsAndGates());
  const int id = NewSegment(box, {});
  HeldSegment held(box, id);
  ASSERT_TRUE(held.held());
  Helper remover = box.Start("RemovesWhenIdle", {{"id", id}});
  ASSERT_TRUE(WaitsPatiently(box, remover)) << "somebody has it attached";
  EXPECT_THAT(box.Start("MarksSegment", {{"id", id}}).Wait(), Exited(0));
  held.Leave();
  EXPECT_THAT(remover.Wait(), Exited(1));
  EXPECT_THAT(remover.call(), FailedWith(ENOENT)) << "it went while seg_remove_when_idle() waited";

  Helper late = box.Start("RemovesWhenIdle", {{"id", id}, {"limit", 0}});
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(ENOENT)) << "it has gone before";

  // Somebody else's segment: the kernel refuses to remove it.
  const auto removal = [](const Event& event) {
    return event.number == SYS_shmctl && (event.args[1] & 0xff) == IPC_RMID;
  };
  box.AddRule({.family = Family::kSharedMemory, .nth = 0, .where = removal, .answer = -EPERM});
  Helper stranger = box.Start("RemovesWhenIdle", {{"id", NewSegment(box, {})}, {"limit", 0}});
  EXPECT_THAT(stranger.Wait(), Exited(1));
  EXPECT_THAT(stranger.call(), FailedWith(EPERM)) << "IPC_RMID failed with it";
}

// ---- A child that computes ----------------------------------------------------------------------

struct Work {
  std::string content;
  int code = 0;
  int signal = 0;
};

int Compute(void* mem, void* arg) {
  const Work& work = *static_cast<const Work*>(arg);
  auto* const bytes = static_cast<char*>(mem);
  const auto size = static_cast<std::ptrdiff_t>(work.content.size());
  if (std::count(bytes, bytes + size, '\0') != size) return 255;
  std::memcpy(bytes, work.content.data(), work.content.size());
  Gate();
  if (work.signal != 0) kill(getpid(), work.signal);
  return work.code;
}

HELPER(Computes) {
  const Action handler(SIGUSR1, DoNothing);
  Work work{args.Bytes("content"), static_cast<int>(args.Int("code", 0)),
            static_cast<int>(args.Int("signal", 0))};
  std::string out(work.content.size(), '?');
  const bool null = args.Int("null", 0) == 1;
  const int result = STUDENT(seg_compute)(out.size(), null ? nullptr : &Compute, &work, out.data());
  Report("out", out);
  return result == -1 ? 1 : 0;
}

TEST_F(Lifetime, AChildComputes) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(4097, 9000)));
  const auto code = RandomInt(1, 254);
  const int gate = HoldAtAnyGate(box);

  Helper caller = box.Start("Computes", {{"content", Binary(content)}, {"code", code}});

  ASSERT_TRUE(SomebodyComesTo(box, gate));
  const pid_t worker = *box.observer().Held(gate).begin();
  ASSERT_THAT(worker, testing::Ne(caller.pid())) << "the caller itself runs fn";
  EXPECT_THAT(box.observer().process(worker).parent, Is(caller.pid()))
      << "the parent of the process that runs fn; it is the caller";
  EXPECT_THAT(TheSegment(box), IsAttached(2)) << "to the caller and to the child, while fn runs";
  EXPECT_THAT(TheSegment(box), HasKey(IPC_PRIVATE));
  EXPECT_THAT(TheSegment(box), HasMode(0600u));
  EXPECT_TRUE(Waits(box, caller, "for its child"));
  EXPECT_TRUE(Interrupt(box, caller, SIGUSR1));
  box.Release(gate);
  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "a signal interrupted waitpid(); fn went on";
  EXPECT_THAT(caller.call(), Returned(code)) << "what fn returned";
  EXPECT_THAT(caller.ReportedBytes("out"), SameBytesAs(content)) << "what fn stored";
  EXPECT_FALSE(AnyChildStrayed(box)) << "a child came back into the caller's code";
}

TEST_F(Lifetime, NothingRemainsOfAKilledComputation) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int gate = HoldAtAnyGate(box);

  box.Start("Computes", {{"content", Binary(RandomBytes(100))}});

  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_THAT(TheSegment(box), IsAttached(2)) << "to the caller and to the child, while fn runs";
  EXPECT_TRUE(AllAreKilled(box));
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << "caller and child were killed while fn ran";
}

TEST_F(Lifetime, ReportsHowTheChildEnded) {
  Sandbox box({.watch = {Family::kFork}});
  const std::string content = RandomBytes(100);
  const std::string untouched(content.size(), '?');

  for (const int signal : {SIGKILL, SIGTERM}) {
    Helper killed = box.Start("Computes", {{"content", Binary(content)}, {"signal", signal}});
    EXPECT_THAT(killed.Wait(), Exited(1));
    EXPECT_THAT(killed.call(), FailedWith(ECANCELED)) << SignalName(signal) << " ended the child";
    EXPECT_THAT(killed.ReportedBytes("out"), SameBytesAs(untouched)) << "`out` is unchanged";
  }
  Helper without = box.Start("Computes", {{"content", Binary(content)}, {"null", 1}});
  EXPECT_THAT(without.Wait(), Exited(1));
  EXPECT_THAT(without.call(), FailedWith(EINVAL)) << "fn is null";
  Helper nothing = box.Start("Computes", {{"content", ""}});
  EXPECT_THAT(nothing.Wait(), Exited(1));
  EXPECT_THAT(nothing.call(), FailedWith(EINVAL)) << "the size is 0";
  box.Fail(Family::kFork, EAGAIN);
  Helper alone = box.Start("Computes", {{"content", Binary(content)}});
  EXPECT_THAT(alone.Wait(), Exited(1));
  EXPECT_THAT(alone.call(), FailedWith(EAGAIN)) << "fork() failed with it";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

TEST_F(Lifetime, LeavesNothingBehind) {
  Sandbox box({.watch = {Family::kFork}});
  const std::string content = RandomBytes(100);
  for (const int signal : {0, SIGKILL}) {
    Helper caller = box.Start("Computes", {{"content", Binary(content)}, {"signal", signal}});
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind()) << "after seg_compute()";
  }
  box.Fail(Family::kFork, EAGAIN);
  Helper alone = box.Start("Computes", {{"content", Binary(content)}});
  EXPECT_THAT(OutcomeOf(alone), ComesToItsEnd());
  EXPECT_THAT(LeftBehind(box, alone.call()), NothingLeftBehind())
      << "after seg_compute(), in which fork() failed";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
