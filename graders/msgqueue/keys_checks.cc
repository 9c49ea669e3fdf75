// Exercise msgqueue.1: keys, creating, opening, removing.

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::key_from_path;
using msgqueue::q_create;
using msgqueue::q_open;
using msgqueue::q_open_or_create;
using msgqueue::q_private;
using msgqueue::q_remove;

EXERCISE(Keys);

key_t KeyOf(const Args& args, const char* name = "key") {
  return static_cast<key_t>(args.Int(name));
}

mode_t ModeOf(const Args& args) { return static_cast<mode_t>(args.Int("mode")); }

// ---- Keys ---------------------------------------------------------------------------------------

HELPER(MakesKeys) {
  const Fd file(Check(open("here", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open"));
  Check(link("here", "there"), "link");
  const int id = static_cast<int>(args.Int("id"));
  Report("one", ftok("here", 1));
  Report("id", ftok("here", id));
  Report("high", ftok("here", id + 128));
  STUDENT(key_from_path)("here", 1);
  STUDENT(key_from_path)("there", id);
  STUDENT(key_from_path)("here", id + 128);
  for (const int wrong : {0, 256, 256 + id, -id}) STUDENT(key_from_path)("here", wrong);
  STUDENT(key_from_path)("nowhere", id);
  return 0;
}

TEST_F(Keys, MakesAKeyFromAPathAsFtokDoes) {
  Sandbox box;

  Helper caller = box.Start("MakesKeys", {{"id", RandomInt(2, 126)}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(caller.Reported("one"))) << "id 1";
  EXPECT_THAT(caller.call(1), Returned(caller.Reported("id"))) << "another name of the file";
  EXPECT_THAT(caller.call(2), Returned(caller.Reported("high")))
      << "an id above 127: the key is negative, and good";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "id 0";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "id 256, of which ftok would see 0";
  EXPECT_THAT(caller.call(5), FailedWith(EINVAL)) << "an id above 256";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "a negative id";
  EXPECT_THAT(caller.call(7), FailedWith(ENOENT)) << "there is no such file";
}

// ---- Creating and opening -----------------------------------------------------------------------

HELPER(CreatesTwice) {
  umask(077);
  STUDENT(q_create)(KeyOf(args), ModeOf(args));
  STUDENT(q_create)(KeyOf(args), 0600);
  STUDENT(q_create)(KeyOf(args, "other"), ModeOf(args));
  STUDENT(q_create)(IPC_PRIVATE, 0600);
  STUDENT(q_create)(KeyOf(args, "third"), 01600);
  return 0;
}

TEST_F(Keys, CreatesAQueueOnlyWhereThereIsNone) {
  Sandbox box;
  const std::int64_t key = RandomKey(), other = RandomKey(/*negative=*/true);
  const std::int64_t mode = RandomInt(0, 7) << 6 | RandomInt(1, 077);

  Helper caller = box.Start(
      "CreatesTwice", {{"key", key}, {"other", other}, {"third", RandomKey()}, {"mode", mode}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(1), FailedWith(EEXIST)) << "there is a queue with this key";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "IPC_PRIVATE";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "mode 01600 has more than permission bits";
  const std::vector<SysvObject> queues = QueuesOf(box);
  EXPECT_TRUE(queues.size() == 2) << "q_create() was called for two new keys, and there are "
                                  << Count(queues.size(), "queue");
  for (const auto& [nth, wanted] : {std::pair<std::size_t, std::int64_t>(0, key), {2, other}}) {
    const auto queue = QueueOf(box, caller.call(nth).value);
    ASSERT_TRUE(queue && queue->key == wanted)
        << DescribeCall(caller.call(nth)) << ", and that is no queue with the key " << wanted;
    EXPECT_THAT(*queue, HasMode(mode, "the queue"));
  }
}

HELPER(OpensQueues) {
  const OwnQueue queue(KeyOf(args));
  const OwnQueue read_only(KeyOf(args, "read_only"), 0400);
  const OwnQueue write_only(KeyOf(args, "write_only"), 0200);
  Report("id", queue.id());
  STUDENT(q_open)(KeyOf(args));
  STUDENT(q_open)(KeyOf(args, "missing"));
  STUDENT(q_open)(KeyOf(args, "read_only"));
  STUDENT(q_open)(KeyOf(args, "write_only"));
  STUDENT(q_open)(IPC_PRIVATE);
  int created = 7;
  STUDENT(q_open_or_create)(KeyOf(args), 0600, &created);
  Report("created", std::exchange(created, 7));
  STUDENT(q_open_or_create)(KeyOf(args, "read_only"), 0400, &created);
  STUDENT(q_open_or_create)(IPC_PRIVATE, 0600, &created);
  Report("unchanged", created);
  return 0;
}

TEST_F(Keys, OpensTheQueueThatIsThere) {
  Sandbox box;
  const std::int64_t key = RandomKey(/*negative=*/true);

  Helper caller = box.Start(
      "OpensQueues",
      {{"key", key}, {"missing", key + 1}, {"read_only", key + 2}, {"write_only", key + 3}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(caller.Reported("id")));
  EXPECT_THAT(caller.call(1), FailedWith(ENOENT)) << "no queue has this key";
  EXPECT_THAT(caller.call(2), FailedWith(EACCES)) << "the queue has mode 0400";
  EXPECT_THAT(caller.call(3), FailedWith(EACCES)) << "the queue has mode 0200";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "IPC_PRIVATE";
  EXPECT_THAT(caller.call(5), Returned(caller.Reported("id")));
  EXPECT_TRUE(caller.Reported("created") == 0)
      << "q_open_or_create() found a queue, and *created is " << caller.Reported("created");
  EXPECT_THAT(caller.call(6), FailedWith(EACCES)) << "the queue has mode 0400";
  EXPECT_THAT(caller.call(7), FailedWith(EINVAL)) << "IPC_PRIVATE";
  EXPECT_TRUE(caller.Reported("unchanged") == 7) << "*created has changed on failure";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

// ---- Races --------------------------------------------------------------------------------------

HELPER(OpensOrCreates) {
  int created = 7;
  STUDENT(q_open_or_create)(KeyOf(args), ModeOf(args), &created);
  Report("created", created);
  return 0;
}

TEST_F(Keys, OneOfTwoCallersMakesTheQueue) {
  Sandbox box({.watch = {Family::kMessages}});
  // The slow one is held at its n-th msgget(), while the quick one is called and returns.
  for (const int nth : {1, 2}) {
    const std::int64_t key = RandomKey();
    const std::int64_t modes[] = {0600 | RandomInt(0, 3), 0620 | RandomInt(4, 7)};
    Helper slow = box.Start("OpensOrCreates", {{"key", key}, {"mode", modes[0]}});
    const int gate = HoldCall(box, slow, SYS_msgget, nth);
    const bool between = IsHeldBeforeItEnds(box, slow, gate);
    Helper quick = box.Start("OpensOrCreates", {{"key", key}, {"mode", modes[1]}});
    EXPECT_THAT(OutcomeOf(quick), Succeeds());
    box.Release(gate);
    EXPECT_THAT(OutcomeOf(slow), Succeeds());

    const std::string when =
        between ? "two processes call, the second while the first is about to make msgget() no. " +
                      std::to_string(nth)
                : "two processes call, one after the other";
    const auto queue = QueueOf(box, quick.call().value);
    ASSERT_TRUE(queue && queue->key == key)
        << when << ": " << DescribeCall(quick.call()) << ", and that is no queue with this key";
    EXPECT_THAT(slow.call(), Returned(queue->id)) << when;
    const std::int64_t first = slow.Reported("created"), second = quick.Reported("created");
    ASSERT_TRUE((first == 0 && second == 1) || (first == 1 && second == 0))
        << when << ": for one *created is " << first << ", for the other " << second;
    EXPECT_THAT(*queue, HasMode(modes[first == 1 ? 0 : 1], "the queue")) << when;
  }
}

HELPER(CreatesByKey) {
  Report("id", Check(msgget(KeyOf(args), IPC_CREAT | IPC_EXCL | 0600), "msgget"));
  return 0;
}

TEST_F(Keys, BeginsAgainWhenTheQueueVanishes) {
  Sandbox box({.watch = {Family::kMessages}});
  for (const int nth : {1, 2}) {
    const std::int64_t key = RandomKey();
    Helper maker = box.Start("CreatesByKey", {{"key", key}});
    ASSERT_THAT(maker.Wait(), Exited(0));
    const std::int64_t old = maker.Reported("id");

    Helper caller = box.Start("OpensOrCreates", {{"key", key}, {"mode", 0600}});
    const int gate = HoldCall(box, caller, SYS_msgget, nth);
    const bool between = IsHeldBeforeItEnds(box, caller, gate);
    if (!between) {
      EXPECT_THAT(caller.call(), Returned(old)) << "the queue is there";
      continue;
    }
    RemoveQueue(box, static_cast<int>(old));
    box.Release(gate);

    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    const auto queue = QueueOf(box, caller.call().value);
    EXPECT_TRUE(queue && queue->key == key)
        << "somebody removes the queue before msgget() no. " << nth << ": "
        << DescribeCall(caller.call()) << ", and that is no queue with this key";
    EXPECT_TRUE(caller.Reported("created") == 1)
        << "the old queue is gone, and *created is " << caller.Reported("created");
  }
}

// ---- Errors -------------------------------------------------------------------------------------

HELPER(RemovesOne) {
  const OwnQueue mine;
  OwnQueue yours;
  STUDENT(q_remove)(yours.id());
  STUDENT(q_remove)(yours.id());
  STUDENT(q_remove)(-1);
  STUDENT(q_remove)(mine.id());
  Report("survives", msgctl(mine.id(), IPC_STAT, std::make_unique<msqid_ds>().get()) == 0 ? 1 : 0);
  return 0;
}

TEST_F(Keys, RemovesTheQueueItIsGiven) {
  Sandbox box({.watch = {Family::kMessages}});

  Helper caller = box.Start("RemovesOne");
  const auto for_survivor = [&](const Event& event) {
    return !event.function.empty() && event.number == SYS_msgctl &&
           caller.process().calls.size() == 4;
  };
  box.AddRule({.family = Family::kMessages, .nth = 0, .where = for_survivor, .answer = -EPERM});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(0));
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "the queue has been removed already";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "-1 is no queue";
  EXPECT_THAT(caller.call(3), FailedWith(EPERM)) << "the queue belongs to somebody else";
  EXPECT_TRUE(caller.Reported("survives") == 1) << "another queue is gone as well";
}

HELPER(MeetsErrorsOfMsgget) {
  int created = 7;
  STUDENT(q_create)(KeyOf(args), 0600);
  STUDENT(q_open)(KeyOf(args));
  STUDENT(q_open_or_create)(KeyOf(args), 0600, &created);
  STUDENT(q_private)("queue.id", 0600);
  Report("created", created);
  return 0;
}

TEST_F(Keys, PassesOnTheErrorsOfMsgget) {
  Sandbox box({.watch = {Family::kMessages}});
  for (const int error : {ENOSPC, ENOMEM}) {
    Helper caller = box.Start("MeetsErrorsOfMsgget", {{"key", RandomKey()}});
    FailCall(box, caller, SYS_msgget, error, 0);

    ASSERT_TRUE(EndsWithoutRepeating(box, caller, 20))
        << "msgget() fails with " << ErrnoName(error);
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    for (std::size_t nth = 0; nth < 4; ++nth) {
      EXPECT_THAT(caller.call(nth), FailedWith(error)) << "msgget() fails";
    }
    EXPECT_TRUE(caller.Reported("created") == 7) << "*created has changed on failure";
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
