// Exercise msgqueue.3 too: data of any length, in parts.

#include <signal.h>

#include <cstdlib>
#include <memory>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::kLongestBig;
using msgqueue::q_recv_big;
using msgqueue::q_send_big;

EXERCISE(Big);

constexpr long kType = 3;

// ---- Helpers ------------------------------------------------------------------------------------

int QueueOf(const Args& args) { return static_cast<int>(args.Int("qid")); }

int SendBig(int qid, std::int64_t seed, std::int64_t size) {
  const std::string data = BytesOf(seed, static_cast<std::size_t>(size));
  return STUDENT(q_send_big)(qid, kType, size == 0 ? nullptr : data.data(), data.size());
}

// Reports as KEY which of the data came, given by their seeds and sizes: its number, or what is
// wrong.
ssize_t ReceiveBig(const std::string& key, int qid, int patience,
                   const std::vector<std::pair<std::int64_t, std::int64_t>>& candidates) {
  void* data = nullptr;
  const ssize_t got = STUDENT(q_recv_big)(qid, kType, &data, patience);
  if (got < 0) return got;
  const std::unique_ptr<void, decltype(&free)> memory(data, &free);
  if (data == nullptr || malloc_usable_size(data) < static_cast<std::size_t>(got)) {
    Report(key, "*data is no memory of so many bytes");
    return got;
  }
  const std::string_view bytes(static_cast<char*>(data), static_cast<std::size_t>(got));
  for (std::size_t nth = 0; nth < candidates.size(); ++nth) {
    const auto& [seed, size] = candidates[nth];
    const std::string want = BytesOf(seed, static_cast<std::size_t>(size));
    if (bytes == want) {
      Report(key, std::to_string(nth));
      return got;
    }
    if (got == size) Report(key, DescribeDifference(want, bytes));
  }
  return got;
}

HELPER(SendsBig) { return SendBig(QueueOf(args), args.Int("seed"), args.Int("size")) == 0 ? 0 : 1; }

// As many as there are seeds.
HELPER(ReceivesBig) {
  std::vector<std::pair<std::int64_t, std::int64_t>> candidates;
  for (int nth = 0; args.Int("size" + std::to_string(nth), -1) != -1; ++nth) {
    candidates.emplace_back(args.Int("seed" + std::to_string(nth)),
                            args.Int("size" + std::to_string(nth)));
  }
  const auto patience = static_cast<int>(args.Int("patience", -1));
  for (std::size_t nth = 0; nth < candidates.size(); ++nth) {
    if (ReceiveBig("data" + std::to_string(nth), QueueOf(args), patience, candidates) < 0) return 1;
  }
  return 0;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Big, CarriesAMebibyteThroughASmallQueue) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  const std::int64_t seed = RandomInt(1, INT32_MAX), size = (1 << 20) + RandomInt(1, 1000);

  Helper sender = box.Start("SendsBig", {{"qid", qid}, {"seed", seed}, {"size", size}});
  FailCall(box, sender, SYS_msgsnd, EINTR, 3);
  Helper receiver = box.Start("ReceivesBig", {{"qid", qid}, {"seed0", seed}, {"size0", size}});
  FailCall(box, receiver, SYS_msgrcv, EINTR, 3);

  EXPECT_THAT(OutcomeOf(receiver), Succeeds());
  EXPECT_THAT(OutcomeOf(sender), Succeeds());
  EXPECT_THAT(receiver.call(), Returned(size));
  EXPECT_THAT(receiver.ReportedBytes("data0"), IsText("0")) << "what came is not what was sent";
  std::int64_t carried = 0;
  for (const Event& event : CallsNumbered(box, SYS_msgsnd)) {
    if (event.Succeeded()) carried += static_cast<std::int64_t>(event.args[2]);
  }
  EXPECT_TRUE(carried >= size) << "only " << Count(carried, "byte") << " went through the queue";
}

HELPER(SendsSizes) {
  for (int nth = 0; args.Int("size" + std::to_string(nth), -1) != -1; ++nth) {
    const std::string number = std::to_string(nth);
    if (SendBig(QueueOf(args), args.Int("seed" + number), args.Int("size" + number)) != 0) return 1;
  }
  return 0;
}

TEST_F(Big, CarriesEveryLength) {
  Sandbox box;
  nlohmann::json args = {{"qid", NewQueue(box)}};
  std::vector<std::int64_t> sizes = {0, 1, 8193, RandomInt(10'000, 20'000), RandomInt(2, 100)};
  // With a header of so many bytes, it is one part, filled to the last byte.
  for (std::int64_t header = 0; header <= 32; header += 4) sizes.push_back(8192 - header);
  int nth = 0;
  for (const std::int64_t size : sizes) {
    const std::string number = std::to_string(nth++);
    args["seed" + number] = RandomInt(1, INT32_MAX);
    args["size" + number] = size;
  }

  Helper receiver = box.Start("ReceivesBig", args);
  Helper sender = box.Start("SendsSizes", args);

  EXPECT_THAT(OutcomeOf(receiver), Succeeds());
  EXPECT_THAT(OutcomeOf(sender), Succeeds());
  for (int i = 0; i < nth; ++i) {
    EXPECT_THAT(receiver.ReportedBytes("data" + std::to_string(i)), IsText(std::to_string(i)))
        << "data no. " << i << " of " << Count(sizes[static_cast<std::size_t>(i)], "byte");
  }
}

TEST_F(Big, AsksHowMuchTheQueueHolds) {
  Sandbox box;
  const int qid = NewQueue(box, /*capacity=*/RandomInt(256, 1000));
  const std::int64_t seed = RandomInt(1, INT32_MAX), size = RandomInt(3000, 6000);

  Helper sender = box.Start("SendsBig", {{"qid", qid}, {"seed", seed}, {"size", size}});
  Helper receiver = box.Start("ReceivesBig", {{"qid", qid}, {"seed0", seed}, {"size0", size}});

  EXPECT_THAT(OutcomeOf(receiver), Succeeds()) << "the queue holds fewer bytes than usual";
  EXPECT_THAT(OutcomeOf(sender), Succeeds());
  EXPECT_THAT(receiver.ReportedBytes("data0"), IsText("0")) << "what came is not what was sent";
}

TEST_F(Big, KeepsTwoSendersApart) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  const std::int64_t seeds[] = {RandomInt(1, INT32_MAX), RandomInt(1, INT32_MAX)};
  const std::int64_t sizes[] = {RandomInt(20'000, 25'000), RandomInt(30'000, 35'000)};

  // The first one is held in the middle, and what it has sent is taken; then the second sends as
  // much as the queue takes.
  Helper first = box.Start("SendsBig", {{"qid", qid}, {"seed", seeds[0]}, {"size", sizes[0]}});
  const int gate = HoldCall(box, first, SYS_msgsnd, 2);
  Helper receiver = box.Start("ReceivesBig", {{"qid", qid},
                                              {"seed0", seeds[0]},
                                              {"size0", sizes[0]},
                                              {"seed1", seeds[1]},
                                              {"size1", sizes[1]}});
  EXPECT_TRUE(ComesToRest(box));
  Helper second = box.Start("SendsBig", {{"qid", qid}, {"seed", seeds[1]}, {"size", sizes[1]}});
  EXPECT_TRUE(ComesToRest(box));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(receiver), Succeeds()) << "two processes sent at the same time";
  EXPECT_THAT(OutcomeOf(first), Succeeds());
  EXPECT_THAT(OutcomeOf(second), Succeeds());
  const std::string one = receiver.ReportedBytes("data0"), other = receiver.ReportedBytes("data1");
  EXPECT_TRUE((one == "0" && other == "1") || (one == "1" && other == "0"))
      << "two processes sent " << sizes[0] << " and " << sizes[1]
      << " bytes at the same time, and these came: " << DescribeCall(receiver.call(0)) << ", "
      << DescribeCall(receiver.call(1)) << ", and not the bytes of the one and of the other";
}

HELPER(ReceivesAfterADeath) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> candidates = {
      {args.Int("seed"), args.Int("size")}};
  ReceiveBig("gone", QueueOf(args), 20, candidates);
  return ReceiveBig("data", QueueOf(args), -1, candidates) >= 0 ? 0 : 1;
}

TEST_F(Big, GivesUpDataWhoseEndDoesNotCome) {
  Sandbox box({.watch = kLooks});
  for (const bool dies : {true, false}) {
    const int qid = NewQueue(box);
    const std::int64_t seed = RandomInt(1, INT32_MAX), size = RandomInt(10'000, 15'000);
    const std::string what =
        dies ? "the sender died in the middle" : "the sender stopped in the middle for some time";

    Helper lame = box.Start("SendsBig", {{"qid", qid}, {"seed", 1}, {"size", 30'000}});
    const int gate = HoldCall(box, lame, SYS_msgsnd, 2);
    Helper receiver =
        box.Start("ReceivesAfterADeath", {{"qid", qid}, {"seed", seed}, {"size", size}});
    EXPECT_TRUE(IsHeldBeforeItEnds(box, lame, gate)) << "30000 bytes were sent in one part";
    if (dies) lame.Signal(SIGKILL);
    const std::size_t before = box.events().size();
    const auto waits_too_long = [&] { return box.events().size() - before > 3000; };
    ASSERT_TRUE(Comes(box, [&] { return receiver.call(0).returned || waits_too_long(); })) << what;
    ASSERT_THAT(receiver.call(0), FailedWith(ETIMEDOUT)) << what;
    EXPECT_TRUE(VainLooksInARow(box, receiver) < 5)
        << "while it waits it looks into the queue again and again without a sleep in between";

    // Parts come that nobody waits for any more; then another one sends.
    box.Release(gate);
    EXPECT_TRUE(Comes(box, [&] { return !lame.process().alive || AtRest(box); }));
    box.Start("SendsBig", {{"qid", qid}, {"seed", seed}, {"size", size}});
    EXPECT_THAT(OutcomeOf(receiver), Succeeds()) << what << ", then another one sends";
    EXPECT_THAT(receiver.ReportedBytes("data"), IsText("0"))
        << what << ", then another one sent " << Count(size, "byte") << ": "
        << DescribeCall(receiver.call(1)) << ", and these are other bytes";
  }
}

HELPER(SendsBigWrongly) {
  const OwnQueue queue;
  OwnQueue gone;
  gone.Remove();
  void* data = nullptr;
  STUDENT(q_send_big)(queue.id(), 0, "x", 1);
  STUDENT(q_send_big)(queue.id(), std::int64_t{1} << 31, "x", 1);
  STUDENT(q_send_big)(queue.id(), 1, "x", kLongestBig + 1);
  STUDENT(q_send_big)(queue.id(), 1, "x", SIZE_MAX);
  STUDENT(q_send_big)(gone.id(), 1, "x", 1);
  STUDENT(q_recv_big)(queue.id(), -1, &data, 0);
  STUDENT(q_recv_big)(gone.id(), 1, &data, 0);
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  Report("data", data == nullptr ? 0 : 1);
  return 0;
}

TEST_F(Big, SaysWhatCannotBeSent) {
  Sandbox box({.watch = {Family::kMessages}});

  Helper caller = box.Start("SendsBigWrongly");
  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "type 0";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "type 2^31";
  EXPECT_THAT(caller.call(2), FailedWith(EMSGSIZE)) << "one byte more than kLongestBig";
  EXPECT_THAT(caller.call(3), FailedWith(EMSGSIZE)) << "n is the largest number there is";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "the queue has been removed";
  EXPECT_THAT(caller.call(5), FailedWith(EINVAL)) << "type -1";
  EXPECT_THAT(caller.call(6), FailedWith(EINVAL)) << "the queue has been removed";
  EXPECT_TRUE(caller.Reported("messages") == 0) << "something was sent all the same";
  EXPECT_TRUE(caller.Reported("data") == 0) << "*data has changed on failure";

  const int qid = NewQueue(box);
  Helper sender = box.Start("SendsBig", {{"qid", qid}, {"seed", 1}, {"size", 50'000}});
  ASSERT_TRUE(SleepsInQueueCall(box, sender, "for a receiver"));
  RemoveQueue(box, qid);
  EXPECT_THAT(OutcomeOf(sender), ComesToItsEnd());
  EXPECT_THAT(sender.call(), FailedWith(EIDRM)) << "the queue was removed meanwhile";

  // It may look again from time to time, and then finds that there is no queue any more.
  const int empty = NewQueue(box);
  Helper receiver = box.Start("ReceivesBig", {{"qid", empty}, {"seed0", 1}, {"size0", 1}});
  ASSERT_TRUE(WaitsForAMessage(box, receiver));
  RemoveQueue(box, empty);
  EXPECT_THAT(OutcomeOf(receiver), ComesToItsEnd());
  EXPECT_THAT(receiver.call(), FailedWith(EIDRM)) << "the queue was removed meanwhile";

  const int half = NewQueue(box);
  Helper lame = box.Start("SendsBig", {{"qid", half}, {"seed", 1}, {"size", 30'000}});
  const int gate = HoldCall(box, lame, SYS_msgsnd, 2);
  Helper patient = box.Start("ReceivesBig",
                             {{"qid", half}, {"seed0", 1}, {"size0", 30'000}, {"patience", 5000}});
  EXPECT_TRUE(IsHeldBeforeItEnds(box, lame, gate)) << "30000 bytes were sent in one part";
  ASSERT_TRUE(WaitsForAMessage(box, patient));
  RemoveQueue(box, half);
  EXPECT_THAT(OutcomeOf(patient), ComesToItsEnd());
  EXPECT_THAT(patient.call(), FailedWith(EIDRM))
      << "the queue was removed while the call waited for the rest of the data";
}

HELPER(CarriesOften) {
  const OwnQueue queue;
  const auto send = reinterpret_cast<decltype(&q_send_big)>(SubmissionSymbol("q_send_big"));
  const auto receive = reinterpret_cast<decltype(&q_recv_big)>(SubmissionSymbol("q_recv_big"));
  const std::string bytes(10'000, 'x');
  std::int64_t before = 0;
  bool good = true;
  for (int round = 0; round < 25; ++round) {
    if (round == 10) before = MemoryInUse();  // By now, all that is kept for good is there.
    const Beside sender([&] { send(queue.id(), kType, bytes.data(), bytes.size()); });
    void* data = nullptr;
    good &= receive(queue.id(), kType, &data, -1) == 10'000;
    free(data);
  }
  Report("grown", MemoryInUse() - before);
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  Beside last([&] { send(queue.id(), kType, bytes.data(), bytes.size()); });
  void* data = nullptr;
  good &= STUDENT(q_recv_big)(queue.id(), kType, &data, -1) == 10'000;
  free(data);
  last.Join();
  return good ? 0 : 1;
}

TEST_F(Big, KeepsNothing) {
  Sandbox box;

  Helper caller = box.Start("CarriesOften");

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_TRUE(caller.Reported("grown") < 50'000)
      << "10000 bytes were received 15 times and freed. Now "
      << Count(caller.Reported("grown"), "byte") << " more are allocated than before";
  EXPECT_TRUE(caller.Reported("messages") == 0)
      << "all is received, and " << Count(caller.Reported("messages"), "message")
      << " are still in the queue";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
