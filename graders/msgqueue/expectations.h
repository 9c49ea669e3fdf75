// What only the checks of the msgqueue lab say, and what their helpers do without the submission.
//
//   HELPER(SendsOne) {
//     OwnQueue queue;
//     queue.Put(7, "hello");
//     ...
//   }  // The queue is removed here.
//
//   ASSERT_THAT(QueuesOf(box), testing::SizeIs(1));

#ifndef IPCLAB_GRADERS_MSGQUEUE_EXPECTATIONS_H_
#define IPCLAB_GRADERS_MSGQUEUE_EXPECTATIONS_H_

#include <malloc.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "common/observe/blocked.h"
#include "common/observe/proc.h"

namespace ipclab {

// ---- On both sides ------------------------------------------------------------------------------

// Bytes that whoever knows the seed can make and compare, so that much need not be handed over.
inline std::string BytesOf(std::int64_t seed, std::size_t size) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  std::string bytes(size + sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

// ---- In the box ---------------------------------------------------------------------------------

// A queue of the helper's own, for as long as this lives.
class OwnQueue {
 public:
  explicit OwnQueue(key_t key = IPC_PRIVATE, int mode = 0600)
      : id_(Check(msgget(key, IPC_CREAT | IPC_EXCL | mode), "msgget")) {}
  ~OwnQueue() { Remove(); }
  OwnQueue(const OwnQueue&) = delete;
  OwnQueue& operator=(const OwnQueue&) = delete;

  int id() const { return id_; }
  void Remove() {
    if (!removed_) msgctl(id_, IPC_RMID, nullptr);
    removed_ = true;
  }

 private:
  const int id_;
  bool removed_ = false;
};

// Puts a message into a queue that has room for it.
inline void PutRaw(int qid, long type, std::string_view data) {
  std::string message(sizeof type + data.size(), '\0');
  std::memcpy(message.data(), &type, sizeof type);
  std::memcpy(message.data() + sizeof type, data.data(), data.size());
  Check(msgsnd(qid, message.data(), data.size(), IPC_NOWAIT), "msgsnd");
}

// Takes a message without waiting; nothing if there is none of this type.
inline std::optional<std::string> TakeRaw(int qid, long want, long* type = nullptr) {
  std::string message(sizeof(long) + 8192, '\0');
  const ssize_t got = msgrcv(qid, message.data(), 8192, want, IPC_NOWAIT);
  if (got == -1 && errno == ENOMSG) return std::nullopt;
  Check(static_cast<int>(got), "msgrcv");
  if (type != nullptr) std::memcpy(type, message.data(), sizeof *type);
  return message.substr(sizeof(long), static_cast<std::size_t>(got));
}

inline msqid_ds StatusOf(int qid) {
  msqid_ds status{};
  Check(msgctl(qid, IPC_STAT, &status), "msgctl(IPC_STAT)");
  return status;
}

// What is in the queue, without taking it.
inline unsigned long MessagesIn(int qid) { return StatusOf(qid).msg_qnum; }
inline unsigned long BytesInQueue(int qid) { return StatusOf(qid).__msg_cbytes; }

// What malloc has given out and not got back.
inline std::int64_t MemoryInUse() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

// Lowers what the queue may hold.
inline void SetCapacity(int qid, unsigned long bytes) {
  msqid_ds status = StatusOf(qid);
  status.msg_qbytes = bytes;
  Check(msgctl(qid, IPC_SET, &status), "msgctl(IPC_SET)");
}

// ---- In the grader ------------------------------------------------------------------------------

// A key that nobody can know beforehand: any number but IPC_PRIVATE.
inline std::int64_t RandomKey(bool negative = false) {
  const std::int64_t key = RandomInt(1000, INT32_MAX);
  return negative ? -key : key;
}

inline std::vector<SysvObject> QueuesOf(const Sandbox& box) {
  std::vector<SysvObject> queues;
  for (SysvObject& object : box.SysvObjects()) {
    if (object.kind == SysvKind::kQueue) queues.push_back(std::move(object));
  }
  return queues;
}

inline std::optional<SysvObject> QueueOf(const Sandbox& box, std::int64_t id) {
  for (const SysvObject& queue : QueuesOf(box)) {
    if (queue.id == id) return queue;
  }
  return std::nullopt;
}

// For rules: calls of this number that `helper` makes in a student's function.
inline std::function<bool(const Event&)> CallBy(const Helper& helper, long number) {
  return [pid = helper.pid(), number](const Event& event) {
    return event.pid == pid && event.number == number && !event.function.empty();
  };
}

// The n-th such call is held. The box watches Family::kMessages.
inline int HoldCall(Sandbox& box, const Helper& helper, long number, int nth) {
  return box.AddRule(
      {.family = Family::kMessages, .nth = nth, .where = CallBy(helper, number), .hold = true});
}

// The n-th such call fails; 0: every one.
inline int FailCall(Sandbox& box, const Helper& helper, long number, int error, int nth = 1) {
  return box.AddRule(
      {.family = Family::kMessages, .nth = nth, .where = CallBy(helper, number), .answer = -error});
}

// How often this call was made in students' functions.
inline std::vector<Event> CallsNumbered(const Sandbox& box, long number) {
  std::vector<Event> calls;
  for (Event& event : box.Calls(Family::kMessages)) {
    if (event.number == number) calls.push_back(std::move(event));
  }
  return calls;
}

// A queue in the box, and nobody's in particular. `capacity` 0: as large as usual.
inline int NewQueue(Sandbox& box, std::int64_t capacity = 0, int mode = 0600) {
  Helper maker = box.Start("MakesAQueue", {{"capacity", capacity}, {"mode", mode}});
  EXPECT_THAT(maker.Wait(), Exited(0));
  return static_cast<int>(maker.Reported("qid"));
}

// A message of somebody who is none of the student's functions.
inline void Put(Sandbox& box, int qid, long type, std::string_view data) {
  EXPECT_THAT(
      box.Start("PutsAMessage", {{"qid", qid}, {"type", type}, {"data", Binary(data)}}).Wait(),
      Exited(0));
}

inline void RemoveQueue(Sandbox& box, int qid) {
  EXPECT_THAT(box.Start("RemovesAQueue", {{"qid", qid}}).Wait(), Exited(0));
}

// Where a process may sleep that looks again from time to time, or that others wake.
inline const std::vector<Family> kAnyWait = {Family::kMessages,   Family::kSleep,  Family::kPoll,
                                             Family::kSignalWait, Family::kRead,   Family::kWait,
                                             Family::kFutex,      Family::kRestart};

// Serves the box until the helper sleeps in a call of msgsnd(2)'s family, which the box watches.
// Says no if it returns, or looks again and again instead.
[[nodiscard]] inline testing::AssertionResult SleepsInQueueCall(Sandbox& box, const Helper& helper,
                                                                const std::string& for_what) {
  constexpr std::ptrdiff_t kManyLooks = 50;
  const std::size_t from = box.events().size();
  const auto looks = [&] {
    return std::count_if(
        box.events().begin() + static_cast<std::ptrdiff_t>(from), box.events().end(),
        [&](const Event& event) { return event.pid == helper.pid() && !event.function.empty(); });
  };
  bool sleeps = false;
  const auto settled = [&] {
    for (const TaskSample& task : SampleTasks({helper.pid()})) {
      sleeps |= task.blocked && task.status.state == 'S' &&
                FamilyOf(task.blocked->call) == Family::kMessages;
    }
    return sleeps || !helper.process().alive || looks() > kManyLooks;
  };
  const testing::AssertionResult result = Comes(box, settled);
  if (!result || sleeps) return result;
  if (helper.process().alive) {
    return testing::AssertionFailure()
           << "it looks again and again instead of sleeping in the kernel " << for_what;
  }
  return testing::AssertionFailure()
         << "it did not sleep " << for_what << ": " << DescribeCall(helper.call());
}

// Serves the box until the helper, which the contract lets look again and again, waits for a
// message: it sleeps in msgrcv(2), or has looked in vain. The box watches Family::kMessages.
[[nodiscard]] inline testing::AssertionResult WaitsForAMessage(Sandbox& box, const Helper& helper) {
  std::size_t next = box.events().size();
  const auto has_looked = [&] {
    for (; next < box.events().size(); ++next) {
      const Event& event = box.events()[next];
      if (event.pid == helper.pid() && event.number == SYS_msgrcv && event.FailedWith(ENOMSG)) {
        return true;
      }
    }
    return std::ranges::any_of(SampleTasks({helper.pid()}), [](const TaskSample& task) {
      return task.blocked && task.status.state == 'S' && task.blocked->call == SYS_msgrcv;
    });
  };
  const testing::AssertionResult result =
      Comes(box, [&] { return has_looked() || !helper.process().alive; });
  if (!result || helper.process().alive) return result;
  return testing::AssertionFailure() << "it did not wait: " << DescribeCall(helper.call());
}

// Serves the box until the helper has ended; says no if from now on it makes the same call of
// msgsnd's family, which the box watches, more than `most` times. Who gets on asks for something
// else each time.
[[nodiscard]] inline testing::AssertionResult EndsWithoutRepeating(Sandbox& box,
                                                                   const Helper& helper, int most) {
  // Where the message lies does not matter, so the second argument of msgsnd and msgrcv is left
  // out.
  std::map<std::array<std::uint64_t, 4>, int> times;
  std::size_t next = box.events().size();
  int worst = 0;
  const auto settled = [&] {
    for (; next < box.events().size(); ++next) {
      const Event& event = box.events()[next];
      if (event.pid != helper.pid() || event.family != Family::kMessages) continue;
      if (event.function.empty()) continue;
      const bool moves = event.number == SYS_msgsnd || event.number == SYS_msgrcv;
      worst = std::max(worst, ++times[{static_cast<std::uint64_t>(event.number), event.args[0],
                                       event.args[moves ? 2 : 1], moves ? event.args[3] : 0}]);
    }
    return !helper.process().alive || worst > most;
  };
  const testing::AssertionResult result = Comes(box, settled);
  if (!result || worst <= most) return result;
  return testing::AssertionFailure()
         << "it makes the same call more than " << most << " times, and gets no further";
}

// Sends a signal to the helper, and serves the box until it has broken off the call that the helper
// sleeps in, or waits because the helper blocks it for as long as the call lasts.
[[nodiscard]] inline testing::AssertionResult IsDisturbed(Sandbox& box, Helper helper, int signal) {
  const auto arrived = [&] {
    return std::ranges::count_if(box.events(), [&](const Event& event) {
      return event.kind == Event::Kind::kSignal && event.pid == helper.pid() &&
             event.status == signal;
    });
  };
  const auto is_blocked = [&] {
    const auto status = ReadStatus(helper.pid());
    return status && status->signals.pending.Has(signal) && status->signals.blocked.Has(signal);
  };
  const auto before = arrived();
  helper.Signal(signal);
  return Comes(box, [&] { return arrived() > before || is_blocked(); });
}

// Whoever calls so often has not seen that it gets no further.
constexpr int kManyRepeats = 200;

// What VainLooksInARow() wants to see: looks, and the sleeps between them.
inline const std::vector<Family> kLooks = {Family::kMessages, Family::kPoll, Family::kSignalWait,
                                           Family::kFutex, Family::kRead};

// The longest row of vain looks into a queue (ENOMSG, EAGAIN) with no sleep between them. The box
// watches kLooks.
inline int VainLooksInARow(const Sandbox& box, const Helper& helper) {
  int row = 0, longest = 0;
  for (const Event& event : box.events()) {
    if (event.pid != helper.pid() || event.kind != Event::Kind::kCall) continue;
    const bool vain = event.FailedWith(ENOMSG) || event.FailedWith(EAGAIN);
    row = event.family == Family::kMessages && vain ? row + 1 : 0;
    longest = std::max(longest, row);
  }
  return longest;
}

// Serves the box until the rule holds somebody or `helper` has ended; says which.
inline bool IsHeldBeforeItEnds(Sandbox& box, const Helper& helper, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  EXPECT_TRUE(Comes(box, [&] { return held() || !helper.process().alive; }));
  return held();
}

MATCHER(Fails, "it returns -1") { return arg.returned && arg.value == -1; }

MATCHER_P2(HasMode, mode, what, std::string(what) + " has exactly the mode that was asked for") {
  *result_listener << "mode 0" << std::oct << (arg.mode & 0777u) << " instead of 0" << mode;
  return (arg.mode & 0777u) == static_cast<unsigned>(mode);
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MSGQUEUE_EXPECTATIONS_H_
