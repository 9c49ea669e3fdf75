// Exercise msgqueue.7: looking inside, limits, rights.

#include <sys/uio.h>

#include <climits>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::Limits;
using msgqueue::q_drain;
using msgqueue::q_fill;
using msgqueue::q_give;
using msgqueue::q_info;
using msgqueue::q_limits;
using msgqueue::q_set_max;
using msgqueue::q_set_mode;
using msgqueue::QInfo;

EXERCISE(Inside);

// ---- Helpers ------------------------------------------------------------------------------------

void ReportInfo(int qid, const std::string& key) {
  QInfo info;
  std::memset(&info, 0x5a, sizeof info);
  const QInfo untouched = info;
  if (STUDENT(q_info)(qid, &info) != 0) {
    Report(key + "_touched", std::memcmp(&info, &untouched, sizeof info) != 0 ? 1 : 0);
    return;
  }
  Report(key + "_messages", static_cast<std::int64_t>(info.messages));
  Report(key + "_bytes", static_cast<std::int64_t>(info.bytes));
  Report(key + "_max", static_cast<std::int64_t>(info.max_bytes));
  Report(key + "_sender", info.last_sender);
  Report(key + "_receiver", info.last_receiver);
  Report(key + "_mode", info.mode);
  Report(key + "_uid", info.uid);
  Report(key + "_cuid", info.cuid);
}

// What the kernel says, for the checks.
void ReportStatus(int qid, const std::string& key) {
  const msqid_ds status = StatusOf(qid);
  Report(key + "_mode", status.msg_perm.mode & 0777);
  Report(key + "_uid", status.msg_perm.uid);
  Report(key + "_gid", status.msg_perm.gid);
  Report(key + "_max", static_cast<std::int64_t>(status.msg_qbytes));
  Report(key + "_messages", static_cast<std::int64_t>(status.msg_qnum));
}

HELPER(LooksInside) {
  const OwnQueue queue(IPC_PRIVATE, static_cast<int>(args.Int("mode")));
  SetCapacity(queue.id(), static_cast<unsigned long>(args.Int("max")));
  ReportInfo(queue.id(), "new");
  PutRaw(queue.id(), 3, "taken by another");
  Beside sender([&] {
    Report("sender", getpid());
    PutRaw(queue.id(), 5, std::string(static_cast<std::size_t>(args.Int("bytes")), 'x'));
    PutRaw(queue.id(), 6, "");
  });
  sender.Join();
  Beside receiver([&] {
    Report("receiver", getpid());
    TakeRaw(queue.id(), 3);
  });
  receiver.Join();
  ReportInfo(queue.id(), "used");
  Report("uid", geteuid());
  return 0;
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

HELPER(Fills) {
  const OwnQueue queue;
  SetCapacity(queue.id(), static_cast<unsigned long>(args.Int("max")));
  PutRaw(queue.id(), 9, std::string(static_cast<std::size_t>(args.Int("used")), 'x'));
  int sent = 99;
  STUDENT(q_fill)(queue.id(), static_cast<std::size_t>(args.Int("n")), &sent);
  Report("sent", sent);
  long type = 0;
  std::int64_t good = 0, others = 0;
  while (const auto message = TakeRaw(queue.id(), 0, &type)) {
    const bool zero = *message == std::string(static_cast<std::size_t>(args.Int("n")), '\0');
    (type == 1 && zero ? good : others) += 1;
  }
  Report("good", good);
  Report("others", others);
  return 0;
}

HELPER(FillsTooLong) {
  const OwnQueue queue;
  int sent = 0;
  STUDENT(q_fill)(queue.id(), 9000, &sent);
  Report("messages", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qnum));
  return 0;
}

HELPER(ReadsLimits) {
  for (const char* key : {"real", "other"}) {
    Limits limits{};
    STUDENT(q_limits)(&limits);
    Report(std::string(key) + "_msgmax", limits.msgmax);
    Report(std::string(key) + "_msgmnb", limits.msgmnb);
    Report(std::string(key) + "_msgmni", limits.msgmni);
  }
  msginfo limits{};
  Check(msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits)), "msgctl(IPC_INFO)");
  Report("msgmax", limits.msgmax);
  Report("msgmnb", limits.msgmnb);
  Report("msgmni", limits.msgmni);
  return 0;
}

HELPER(Drains) {
  const OwnQueue queue;
  PutRaw(queue.id(), LONG_MAX, std::string(8192, 'x'));
  PutRaw(queue.id(), 1, "");
  for (std::int64_t n = 0; n < args.Int("count"); ++n) PutRaw(queue.id(), 2 + n, "some");
  STUDENT(q_drain)(queue.id());
  Report("left", static_cast<std::int64_t>(StatusOf(queue.id()).msg_qnum));
  STUDENT(q_drain)(queue.id());
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

// ---- What passes between the box and the kernel -------------------------------------------------

int CommandOf(const Event& event) { return static_cast<int>(event.args[1] & 0xff); }

bool IsCommand(const Event& event, int command) {
  return event.number == SYS_msgctl && !event.function.empty() && CommandOf(event) == command;
}

// What a task that stands at the entry of msgctl passes as its third argument.
template <typename Data>
bool ReadArgument(const Event& event, Data* data) {
  const iovec here{data, sizeof *data};
  const iovec there{reinterpret_cast<void*>(event.args[2]), sizeof *data};
  return process_vm_readv(event.tid, &here, 1, &there, 1, 0) == sizeof *data;
}

template <typename Data>
bool WriteArgument(const Event& event, Data data) {
  const iovec here{&data, sizeof data};
  const iovec there{reinterpret_cast<void*>(event.args[2]), sizeof data};
  return process_vm_writev(event.tid, &here, 1, &there, 1, 0) == sizeof data;
}

// ---- Checks -------------------------------------------------------------------------------------

struct Field {
  const char* name;
  std::int64_t value;
};

// Compares what the helper reported as `key` and the field's name.
void ExpectFields(const Helper& helper, const std::string& key, const std::vector<Field>& fields,
                  const std::string& what) {
  for (const Field& field : fields) {
    const std::int64_t got = helper.Reported(key + "_" + field.name);
    EXPECT_TRUE(got == field.value)
        << what << ": " << field.name << " is " << got << " instead of " << field.value;
  }
}

std::int64_t RandomMode() { return 0600 | RandomInt(1, 077); }

// What a function that was to change one field has changed beside it.
void ExpectAsBefore(const Helper& helper, const std::vector<const char*>& fields) {
  for (const char* field : fields) {
    const std::int64_t before = helper.Reported(std::string("before_") + field);
    const std::int64_t after = helper.Reported(std::string("after_") + field);
    EXPECT_TRUE(after == before) << field << " has changed with it, from " << before << " to "
                                 << after;
  }
}

TEST_F(Inside, InfoSaysWhatIsInTheQueue) {
  Sandbox box;
  const std::int64_t mode = RandomMode(), max = RandomInt(2000, 9000), bytes = RandomInt(10, 900);

  Helper caller = box.Start("LooksInside", {{"mode", mode}, {"max", max}, {"bytes", bytes}});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::int64_t uid = caller.Reported("uid");
  EXPECT_THAT(caller.call(0), Returned(0));
  ExpectFields(caller, "new",
               {{"messages", 0}, {"bytes", 0}, {"sender", 0}, {"receiver", 0}, {"max", max}},
               "a new queue");
  ExpectFields(caller, "used",
               {{"messages", 2},
                {"bytes", bytes},
                {"max", max},
                {"sender", caller.Reported("sender")},
                {"receiver", caller.Reported("receiver")},
                {"mode", mode},
                {"uid", uid},
                {"cuid", uid}},
               "three messages came from one process, one was taken by another");
}

TEST_F(Inside, SetsTheModeAndNothingElse) {
  Sandbox box;
  const std::int64_t mode = RandomMode();

  Helper caller = box.Start("SetsMode", {{"new_mode", mode}, {"max", RandomInt(1000, 9000)}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "01644 has more than permission bits";
  EXPECT_THAT(caller.call(1), Returned(0));
  ExpectFields(caller, "after", {{"mode", mode}}, "after q_set_mode()");
  ExpectAsBefore(caller, {"uid", "gid", "max", "messages"});
}

TEST_F(Inside, SetsTheLimitAndNothingElse) {
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

TEST_F(Inside, GivesTheQueueAndNothingElse) {
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

TEST_F(Inside, FillsUntilFull) {
  struct Row {
    const char* what;
    std::int64_t max, used, n;
  };
  const Row rows[] = {{"some messages", RandomInt(500, 900), RandomInt(1, 60), RandomInt(20, 50)},
                      {"empty messages: there are never more messages than the limit has bytes",
                       RandomInt(200, 300), 1, 0},
                      {"a message longer than the queue's room", 300, 5, 296}};
  Sandbox box;
  for (const Row& row : rows) {
    Helper caller = box.Start("Fills", {{"max", row.max}, {"used", row.used}, {"n", row.n}});
    const std::int64_t fit = row.n == 0 ? row.max - 1 : (row.max - row.used) / row.n;
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    EXPECT_THAT(caller.call(), Returned(0)) << row.what;
    EXPECT_TRUE(caller.Reported("sent") == fit)
        << row.what << ": *sent is " << caller.Reported("sent") << ", and " << fit << " fit";
    EXPECT_TRUE(caller.Reported("good") == fit)
        << row.what << ": " << caller.Reported("good") << " messages of type 1 with " << row.n
        << " zero bytes are in the queue, and " << fit << " fit";
    EXPECT_TRUE(caller.Reported("others") == 1) << row.what << ": others came or went";
  }
  Helper caller = box.Start("FillsTooLong");
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(), FailedWith(EMSGSIZE)) << "9000 bytes";
  EXPECT_TRUE(caller.Reported("messages") == 0);
}

TEST_F(Inside, ReadsTheLimitsAsTheyAre) {
  Sandbox box({.watch = {Family::kMessages}});
  msginfo other{};
  other.msgmax = static_cast<int>(RandomInt(1000, 100'000));
  other.msgmnb = static_cast<int>(RandomInt(1000, 100'000));
  other.msgmni = static_cast<int>(RandomInt(1000, 100'000));

  Helper caller = box.Start("ReadsLimits");
  // The second call meets a system with other limits: we answer for the kernel.
  const auto asks = [&](const Event& event) {
    const bool info = IsCommand(event, IPC_INFO) || IsCommand(event, MSG_INFO);
    return info && box.observer().process(event.pid).calls.size() == 2 &&
           WriteArgument(event, other);
  };
  box.AddRule({.family = Family::kMessages, .nth = 0, .where = asks, .answer = 0});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(0));
  ExpectFields(caller, "real",
               {{"msgmax", caller.Reported("msgmax")},
                {"msgmnb", caller.Reported("msgmnb")},
                {"msgmni", caller.Reported("msgmni")}},
               "on this system");
  EXPECT_THAT(caller.call(1), Returned(0));
  ExpectFields(caller, "other",
               {{"msgmax", other.msgmax}, {"msgmnb", other.msgmnb}, {"msgmni", other.msgmni}},
               "on a system with other limits");
}

TEST_F(Inside, DrainsWhateverIsThere) {
  Sandbox box;
  const std::int64_t count = RandomInt(3, 40);

  Helper caller = box.Start("Drains", {{"count", count}});

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), Returned(count + 2))
      << "messages of many types, one empty, one of 8192 bytes";
  EXPECT_TRUE(caller.Reported("left") == 0)
      << Count(caller.Reported("left"), "message") << " still in the queue";
  EXPECT_THAT(caller.call(1), Returned(0)) << "an empty queue";
}

TEST_F(Inside, SaysWhyItCannot) {
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
