// Exercise msgqueue.7 too: mode, owner and limit, and who may change them. "Fills" is in
// inside_checks.cc.

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/inside.h"

namespace ipclab {
namespace {

using msgqueue::q_drain;
using msgqueue::q_fill;
using msgqueue::q_give;
using msgqueue::q_set_max;
using msgqueue::q_set_mode;

EXERCISE(Rights);

// ---- Helpers ------------------------------------------------------------------------------------

// What the kernel says, for the checks.
void ReportStatus(int qid, const std::string& key) {
  const msqid_ds status = StatusOf(qid);
  Report(key + "_mode", status.msg_perm.mode & 0777);
  Report(key + "_uid", status.msg_perm.uid);
  Report(key + "_gid", status.msg_perm.gid);
  Report(key + "_max", static_cast<std::int64_t>(status.msg_qbytes));
  Report(key + "_messages", static_cast<std::int64_t>(status.msg_qnum));
}

// A queue that has a message in it, less room than others, and owner and group as they are.
class UsualQueue : public OwnQueue {
 public:
  explicit UsualQueue(const Args& args)
      : OwnQueue(IPC_PRIVATE, static_cast<int>(args.Int("mode", 0640))) {
    SetCapacity(id(), static_cast<unsigned long>(args.Int("max", 4000)));
    PutRaw(id(), 5, "in it");
    ReportStatus(id(), "before");
  }
  ~UsualQueue() { ReportStatus(id(), "after"); }
};

HELPER(SetsMode) {
  const UsualQueue queue(args);
  STUDENT(q_set_mode)(queue.id(), 01644);
  STUDENT(q_set_mode)(queue.id(), static_cast<mode_t>(args.Int("new_mode")));
  return 0;
}

HELPER(SetsMax) {
  const UsualQueue queue(args);
  msginfo limits{};
  Check(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)), "msgctl(IPC_INFO)");
  const auto most = static_cast<unsigned long>(limits.msgmnb);
  STUDENT(q_set_max)(queue.id(), most + 1);
  STUDENT(q_set_max)(queue.id(), most);
  Report("most", static_cast<std::int64_t>(most));
  Report("raised", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qbytes));
  STUDENT(q_set_max)(queue.id(), static_cast<unsigned long>(args.Int("new_max")));
  return 0;
}

HELPER(Gives) {
  const UsualQueue queue(args);
  Report("uid", geteuid());
  Report("gid", getegid());
  const auto uid = static_cast<uid_t>(args.Int("to_uid", geteuid()));
  const auto gid = static_cast<gid_t>(args.Int("to_gid", getegid()));
  STUDENT(q_give)(queue.id(), uid, gid);
  return 0;
}

HELPER(AsksForTooMuch) {
  const OwnQueue write_only(IPC_PRIVATE, 0200);
  const OwnQueue read_only(IPC_PRIVATE, 0400);
  const int closed = write_only.id();
  int gone = 0;
  {
    const OwnQueue queue;
    gone = queue.id();
  }
  int sent = 0;
  ReportInfo(gone, "gone");
  STUDENT(q_set_mode)(gone, 0600);
  STUDENT(q_set_max)(gone, 100);
  STUDENT(q_give)(gone, geteuid(), getegid());
  STUDENT(q_fill)(gone, 10, &sent);
  STUDENT(q_drain)(gone);
  ReportInfo(closed, "closed");
  STUDENT(q_set_mode)(closed, 0600);
  STUDENT(q_set_max)(closed, 100);
  STUDENT(q_give)(closed, geteuid(), getegid());
  STUDENT(q_fill)(read_only.id(), 10, &sent);
  STUDENT(q_drain)(closed);
  Report("mode", static_cast<std::int64_t>([&] {
           for (const SysvObject& object : SysvObjects()) {
             if (object.kind == SysvKind::kQueue && object.id == closed) return object.mode;
           }
           return 0u;
         }()));
  return 0;
}

HELPER(ChangesAQueueOfOthers) {
  const UsualQueue queue(args);
  STUDENT(q_set_mode)(queue.id(), 0600);
  STUDENT(q_set_max)(queue.id(), 100);
  STUDENT(q_give)(queue.id(), geteuid(), getegid());
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

// What a function that was to change one field has changed beside it.
void ExpectAsBefore(const Helper& helper, const std::vector<const char*>& fields) {
  for (const char* field : fields) {
    const std::int64_t before = helper.Reported(std::string("before_") + field);
    const std::int64_t after = helper.Reported(std::string("after_") + field);
    EXPECT_TRUE(after == before) << field << " has changed with it, from " << before << " to "
                                 << after;
  }
}

TEST_F(Rights, SetsTheModeAndNothingElse) {
  Sandbox box;
  // The queue has 0640: one of its bits goes, and at least one is new.
  const std::int64_t mode = 0600 | RandomInt(1, 037);

  Helper caller = box.Start("SetsMode", {{"new_mode", mode}, {"max", RandomInt(1000, 9000)}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "01644 has more than permission bits";
  EXPECT_THAT(caller.call(1), Returned(0));
  ExpectFields(caller, "after", {{"mode", mode}}, "after q_set_mode()");
  ExpectAsBefore(caller, {"uid", "gid", "max", "messages"});
}

TEST_F(Rights, SetsTheLimitAndNothingElse) {
  Sandbox box;
  const std::int64_t max = RandomInt(100, 900);

  Helper caller = box.Start("SetsMax", {{"mode", RandomMode()}, {"new_max", max}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EPERM)) << "one byte above the limit of the system";
  EXPECT_THAT(caller.call(1), Returned(0)) << "up to the limit of the system";
  EXPECT_TRUE(caller.Reported("raised") == caller.Reported("most"))
      << "the limit is " << caller.Reported("raised") << " then";
  EXPECT_THAT(caller.call(2), Returned(0)) << "lowering it";
  ExpectFields(caller, "after", {{"max", max}}, "after q_set_max()");
  ExpectAsBefore(caller, {"uid", "gid", "mode", "messages"});
}

TEST_F(Rights, GivesTheQueueAndNothingElse) {
  Sandbox box({.watch = {Family::kMessages}});
  const std::int64_t mode = RandomMode(), max = RandomInt(1000, 9000);

  Helper mine = box.Start("Gives", {{"mode", mode}, {"max", max}});
  EXPECT_THAT(OutcomeOf(mine), ComesToItsEnd());
  EXPECT_THAT(mine.call(), Returned(0)) << "to the caller itself and its group";
  ExpectAsBefore(mine, {"uid", "gid", "mode", "max", "messages"});

  // The box has no other user. So the kernel is not asked, and we look at what it would have got.
  const std::int64_t uid = RandomInt(2000, 9000), gid = RandomInt(10'000, 60'000);
  msqid_ds set{};
  int calls = 0;
  const auto sets = [&](const Event& event) {
    if (!IsCommand(event, IPC_SET)) return false;
    ++calls;
    return ReadArgument(event, &set);
  };
  box.AddRule({.family = Family::kMessages, .nth = 0, .where = sets, .answer = 0});
  Helper other =
      box.Start("Gives", {{"mode", mode}, {"max", max}, {"to_uid", uid}, {"to_gid", gid}});
  EXPECT_THAT(OutcomeOf(other), ComesToItsEnd());
  EXPECT_THAT(other.call(), Returned(0));
  ASSERT_TRUE(calls > 0) << "the kernel was never asked to change the queue";
  EXPECT_TRUE(set.msg_perm.uid == uid)
      << "the owner would be " << set.msg_perm.uid << ", not " << uid;
  EXPECT_TRUE(set.msg_perm.gid == gid)
      << "the group would be " << set.msg_perm.gid << ", not " << gid;
  EXPECT_TRUE((set.msg_perm.mode & 0777) == mode)
      << "the mode would change with it, to " << std::oct << (set.msg_perm.mode & 0777);
  EXPECT_TRUE(static_cast<std::int64_t>(set.msg_qbytes) == max)
      << "the limit would change with it, to " << set.msg_qbytes;
}

TEST_F(Rights, SaysWhyItCannot) {
  Sandbox box({.watch = {Family::kMessages}});

  Helper caller = box.Start("AsksForTooMuch");
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  for (std::size_t nth = 0; nth < 6; ++nth) {
    EXPECT_THAT(caller.call(nth), FailedWith(EINVAL)) << "there is no such queue";
  }
  for (std::size_t nth = 6; nth < 12; ++nth) {
    EXPECT_THAT(caller.call(nth), FailedWith(EACCES))
        << (nth == 10 ? "a queue with mode 0400" : "a queue with mode 0200");
  }
  EXPECT_TRUE(caller.Reported("closed_touched") == 0) << "*out has changed on failure";
  EXPECT_TRUE(caller.Reported("mode") == 0200) << "the mode has changed all the same";

  Helper stranger = box.Start("ChangesAQueueOfOthers");
  const auto sets = [&](const Event& event) { return IsCommand(event, IPC_SET); };
  box.AddRule({.family = Family::kMessages, .nth = 0, .where = sets, .answer = -EPERM});
  EXPECT_THAT(OutcomeOf(stranger), ComesToItsEnd());
  for (std::size_t nth = 0; nth < 3; ++nth) {
    EXPECT_THAT(stranger.call(nth), FailedWith(EPERM)) << "the queue belongs to somebody else";
  }

  Helper filler = box.Start("Fills", {{"max", 900}, {"used", 5}, {"n", 10}});
  FailCall(box, filler, SYS_msgsnd, ENOMEM, 3);
  EXPECT_THAT(OutcomeOf(filler), ComesToItsEnd());
  EXPECT_THAT(filler.call(), FailedWith(ENOMEM)) << "the third msgsnd() failed with ENOMEM";
  EXPECT_TRUE(filler.Reported("sent") == 2)
      << "*sent is " << filler.Reported("sent") << ", and two messages were sent";
}

}  // namespace
}  // namespace ipclab
