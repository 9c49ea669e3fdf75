// Exercise msgqueue.3: messages that are too long.

#include <cstdlib>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::q_recv_big;
using msgqueue::q_recv_cut;
using msgqueue::q_recv_grow;
using msgqueue::q_send_big;

EXERCISE(TooLong);

// ---- q_recv_grow --------------------------------------------------------------------------------

// Memory of malloc that a student's function may make larger, and that the caller frees.
struct Buffer {
  explicit Buffer(std::size_t size) : memory(size == 0 ? nullptr : malloc(size)), cap(size) {}
  ~Buffer() { free(memory); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* memory;
  std::size_t cap;
};

// Receives and reports what came as KEY: its bytes, and what is wrong with the buffer.
ssize_t Grow(const std::string& key, int qid, long want, Buffer* buffer, long* type) {
  const ssize_t got = STUDENT(q_recv_grow)(qid, want, &buffer->memory, &buffer->cap, type);
  const std::size_t size = got < 0 ? 0 : static_cast<std::size_t>(got);
  const std::size_t room = malloc_usable_size(buffer->memory);
  const char* fault = "";
  if (size > buffer->cap) fault = "*cap is less than the length of the message";
  if (buffer->cap > room) fault = "*cap is more than the memory at *buf has";
  if (buffer->memory == nullptr && buffer->cap != 0) fault = "*buf is null and *cap is not 0";
  Report(key + "_fault", fault);
  if (*fault == '\0') Report(key, std::string(static_cast<char*>(buffer->memory), size));
  return got;
}

HELPER(ReceivesAndGrows) {
  const OwnQueue queue;
  const std::string data = args.Bytes("data");
  for (const char* const name : {"short", "long", "empty", "longest"}) {
    PutRaw(queue.id(), args.Int("type"), data.substr(0, static_cast<std::size_t>(args.Int(name))));
  }
  Buffer none(0), small(16);
  long type = 0;
  Grow("short", queue.id(), 0, &none, &type);
  Report("type", type);
  Grow("long", queue.id(), 0, &none, nullptr);
  Grow("empty", queue.id(), 0, &small, nullptr);
  Grow("longest", queue.id(), 0, &small, nullptr);
  Report("left", static_cast<std::int64_t>(MessagesIn(queue.id())));
  return 0;
}

TEST_F(TooLong, GrowsUntilTheMessageFits) {
  Sandbox box({.watch = {Family::kMessages}});
  const std::string data = RandomBytes(8192);
  const std::pair<const char*, std::int64_t> rows[] = {{"short", RandomInt(1, 15)},
                                                       {"long", RandomInt(3000, 5000)},
                                                       {"empty", 0},
                                                       {"longest", 8192}};
  const std::int64_t type = RandomInt(1, INT32_MAX);
  nlohmann::json args = {{"data", Binary(data)}, {"type", type}};
  for (const auto& [name, size] : rows) args[name] = size;

  Helper caller = box.Start("ReceivesAndGrows", args);
  FailCall(box, caller, SYS_msgrcv, EINTR, 2);

  ASSERT_TRUE(EndsWithoutRepeating(box, caller, 200)) << "a message is longer than the buffer";
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  std::size_t nth = 0;
  for (const auto& [name, size] : rows) {
    EXPECT_THAT(caller.call(nth++), Returned(size)) << "the " << name << " message";
    EXPECT_THAT(caller.ReportedBytes(std::string(name) + "_fault"), IsText(""));
    EXPECT_THAT(caller.ReportedBytes(name),
                SameBytesAs(data.substr(0, static_cast<std::size_t>(size))));
  }
  EXPECT_TRUE(caller.Reported("type") == type)
      << "the message has type " << type << ", and *type is " << caller.Reported("type");
  EXPECT_TRUE(caller.Reported("left") == 0) << "four messages, four calls, and the queue holds "
                                            << Count(caller.Reported("left"), "message");
}

HELPER(ReceivesAndGrowsOnce) {
  Buffer buffer(static_cast<std::size_t>(args.Int("cap")));
  return Grow("data", static_cast<int>(args.Int("qid")), 3, &buffer, nullptr) >= 0 ? 0 : 1;
}

TEST_F(TooLong, WaitsAgainWhenTheLongMessageIsGone) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  const std::string next = RandomBytes(300);
  Put(box, qid, 3, RandomBytes(200));

  Helper caller = box.Start("ReceivesAndGrowsOnce", {{"qid", qid}, {"cap", 20}});
  const int gate = HoldCall(box, caller, SYS_msgrcv, 2);
  if (!IsHeldBeforeItEnds(box, caller, gate)) {
    EXPECT_THAT(OutcomeOf(caller), Succeeds());  // It had room from the first.
    return;
  }
  // It has seen that there is a long message. Before it comes again, somebody else takes it.
  EXPECT_THAT(box.Start("TakesAMessage", {{"qid", qid}, {"type", 3}}).Wait(), Exited(0));
  box.Release(gate);
  ASSERT_TRUE(SleepsInQueueCall(box, caller, "when somebody else had taken the message"));
  Put(box, qid, 3, next);

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.ReportedBytes("data"), SameBytesAs(next));
}

// ---- q_recv_cut ---------------------------------------------------------------------------------

HELPER(ReceivesAndCuts) {
  const OwnQueue queue;
  const std::string data = args.Bytes("data");
  for (const char* const cap : {"cap0", "cap1", "cap2", "cap3", "cap4"}) {
    PutRaw(queue.id(), 2, cap == std::string("cap4") ? "" : data);
    const auto size = static_cast<std::size_t>(args.Int(cap));
    std::string buffer(size + 16, '#');
    int cut = 7;
    const ssize_t got = STUDENT(q_recv_cut)(queue.id(), -2, buffer.data(), size, &cut);
    Report(cap, buffer.substr(0, got < 0 ? 0 : std::min(static_cast<std::size_t>(got), size)));
    Report(std::string(cap) + "_cut", cut);
    Report(std::string(cap) + "_behind", buffer.substr(size) == std::string(16, '#') ? 0 : 1);
  }
  Report("left", static_cast<std::int64_t>(MessagesIn(queue.id())));
  return 0;
}

TEST_F(TooLong, SaysWhetherTheMessageWasCut) {
  Sandbox box;
  const std::string data = RandomBytes(static_cast<std::size_t>(RandomInt(100, 3000)));
  const auto size = static_cast<std::int64_t>(data.size());
  struct Row {
    const char* name;
    std::int64_t cap;
    std::int64_t length;
    const char* what;
  };
  const Row rows[] = {{"cap0", size - 1, size, "the message is one byte longer than `cap`"},
                      {"cap1", size, size, "the message just fits"},
                      {"cap2", size + 1, size, "there is one byte more room than is needed"},
                      {"cap3", 0, size, "`cap` is 0 and the message is not empty"},
                      {"cap4", 0, 0, "`cap` is 0 and the message is empty"}};
  nlohmann::json args = {{"data", Binary(data)}};
  for (const Row& row : rows) args[row.name] = row.cap;

  Helper caller = box.Start("ReceivesAndCuts", args);

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  std::size_t nth = 0;
  for (const Row& row : rows) {
    const std::string name = row.name;
    const std::int64_t kept = std::min(row.cap, row.length);
    EXPECT_THAT(caller.call(nth++), Returned(kept)) << row.what;
    EXPECT_THAT(caller.ReportedBytes(name),
                SameBytesAs(data.substr(0, static_cast<std::size_t>(kept))));
    EXPECT_TRUE(caller.Reported(name + "_cut") == (row.length > row.cap ? 1 : 0))
        << row.what << ", and *was_cut is " << caller.Reported(name + "_cut");
    EXPECT_TRUE(caller.Reported(name + "_behind") == 0)
        << row.what << ", and something was written behind the `cap` bytes of `buf`";
  }
  EXPECT_TRUE(caller.Reported("left") == 0) << "a message that was cut is still in the queue";
}

// ---- Clean-up -----------------------------------------------------------------------------------

HELPER(ReceivesOften) {
  const OwnQueue queue;
  OwnQueue gone;
  gone.Remove();
  const auto grow = reinterpret_cast<decltype(&q_recv_grow)>(SubmissionSymbol("q_recv_grow"));
  const auto cut = reinterpret_cast<decltype(&q_recv_cut)>(SubmissionSymbol("q_recv_cut"));
  const auto send = reinterpret_cast<decltype(&q_send_big)>(SubmissionSymbol("q_send_big"));
  std::string space(5000, '#');
  std::int64_t before = 0;
  bool good = true;
  for (int round = 0; round < 60; ++round) {
    if (round == 10) before = MemoryInUse();  // By now, all that is kept for good is there.
    Buffer buffer(10), other(4000);
    int was_cut = 0;
    PutRaw(queue.id(), 1, space);
    good &= grow(queue.id(), 1, &buffer.memory, &buffer.cap, nullptr) == 5000;
    good &= grow(gone.id(), 1, &other.memory, &other.cap, nullptr) == -1;
    PutRaw(queue.id(), 1, space);
    good &= cut(queue.id(), 1, space.data(), 3000, &was_cut) == 3000;
    good &= cut(gone.id(), 1, space.data(), 3000, &was_cut) == -1;
    good &= send(gone.id(), 1, space.data(), 3000) == -1;
  }
  Report("grown", MemoryInUse() - before);
  PutRaw(queue.id(), 1, space);
  Buffer buffer(0);
  return Grow("data", queue.id(), 1, &buffer, nullptr) == 5000 && good ? 0 : 1;
}

TEST_F(TooLong, KeepsNoMemory) {
  Sandbox box;

  Helper caller = box.Start("ReceivesOften");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("grown") < 50'000)
      << "50 times each, with and without success: received with q_recv_grow() and q_recv_cut(). "
         "Now "
      << Count(caller.Reported("grown"), "byte") << " more are allocated than before";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
