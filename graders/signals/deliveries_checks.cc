// Exercise signals.3, second part: deliveries, rt_order.

#include "common/grading/exercise.h"
#include "graders/signals/actions.h"
#include "graders/signals/sends.h"
#include "labs/signals/signals.h"

namespace ipclab {
namespace {

using signals::deliveries;
using signals::rt_order;

EXERCISE(Deliveries);

// ---- deliveries ---------------------------------------------------------------------------------

HELPER(CountsDeliveries) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const auto times = static_cast<int>(args.Int("times"));
  STUDENT(deliveries)(signal, times);
  return 0;
}

void ExpectDeliveries(Sandbox& box, int signal, int times, int want) {
  const std::size_t from = box.events().size();

  Helper caller = box.Start("CountsDeliveries", {{"signal", signal}, {"times", times}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(want))
      << SignalName(signal) << " is sent " << times << " times while it is blocked.";
  EXPECT_THAT(Sent(box, from), AreSent(Repeated(signal, times)));
}

TEST_F(Deliveries, DeliversAStandardSignalOnce) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> drawn = DrawSignals(2);

  ExpectDeliveries(box, drawn[0], static_cast<int>(RandomInt(2, 9)), 1);
  ExpectDeliveries(box, drawn[1], 0, 0);
}

TEST_F(Deliveries, DeliversEachRealTimeSignal) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const auto times = static_cast<int>(RandomInt(3, 9));

  ExpectDeliveries(box, SIGRTMIN, times, times);
  ExpectDeliveries(box, SIGRTMAX, 1, 1);
}

HELPER(CountsBlockedDeliveries) {
  const std::vector<int> signals = SignalsIn(args, "signals");
  const Masked own(signals);
  for (const int signal : signals) STUDENT(deliveries)(signal, 3);
  return 0;
}

TEST_F(Deliveries, CountsForACallerThatBlocksTheSignal) {
  Sandbox box;
  const std::vector<int> signals = {DrawSignals(1)[0], DrawRealTime(1)[0]};

  Helper caller = box.Start("CountsBlockedDeliveries", {{"signals", AsArgument(signals)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < signals.size(); ++i) {
    EXPECT_THAT(caller.call(i), Returned(i == 0 ? 1 : 3))
        << SignalName(signals[i]) << " is sent 3 times; the caller itself blocks it.";
    EXPECT_THAT(LeftBehind(box, caller.call(i)), NothingLeftBehind());
  }
}

// ---- rt_order -----------------------------------------------------------------------------------

struct Queued {
  int signal;
  int value;
};

std::string ValuesOf(const std::vector<Queued>& queued) {
  std::vector<std::string> values;
  for (const Queued& one : queued) values.push_back(std::to_string(one.value));
  return Join(values, ", ");
}

HELPER(QueuesInOrder) {
  const std::vector<int> signals = SignalsIn(args, "signals");
  std::vector<int> values(signals.size());
  for (std::size_t i = 0; i < signals.size(); ++i) {
    values[i] = static_cast<int>(args.Int("value " + std::to_string(i)));
  }
  std::vector<int> out(signals.size(), -1);
  if (signals.empty()) {
    STUDENT(rt_order)(nullptr, nullptr, 0, nullptr);
    return 0;
  }
  STUDENT(rt_order)(signals.data(), values.data(), signals.size(), out.data());
  std::vector<std::string> texts;
  for (const int value : out) texts.push_back(std::to_string(value));
  Report("values", Join(texts, ", "));
  return 0;
}

Helper StartQueueing(Sandbox& box, const std::vector<Queued>& queued) {
  std::vector<int> signals;
  nlohmann::json args;
  for (std::size_t i = 0; i < queued.size(); ++i) {
    signals.push_back(queued[i].signal);
    args["value " + std::to_string(i)] = queued[i].value;
  }
  args["signals"] = AsArgument(signals);
  return box.Start("QueuesInOrder", args);
}

// Each of `signals` several times, in an order that is neither sorted nor sorted backwards.
std::vector<Queued> DrawQueue(std::vector<int> signals) {
  std::ranges::sort(signals);
  std::vector<Queued> queued;
  for (const std::size_t i : {1, 2, 0, 1, 0, 2, 1}) {
    queued.push_back({signals[i], static_cast<int>(RandomInt(-1'000'000, 1'000'000))});
  }
  return queued;
}

TEST_F(Deliveries, HandsOverTheLowestNumberFirst) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<Queued> queued = DrawQueue(DrawRealTime(3));
  std::vector<Queued> want = queued;
  std::ranges::stable_sort(want, {}, &Queued::signal);
  std::vector<int> signals;
  for (const Queued& one : queued) signals.push_back(one.signal);

  Helper caller = StartQueueing(box, queued);

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(queued.size()));
  EXPECT_THAT(Sent(box, 0), AreSent(signals));
  EXPECT_THAT(caller.ReportedBytes("values"), IsText(ValuesOf(want)))
      << "The values " << ValuesOf(queued) << " were sent with " << NamesOf(signals) << ".";

  Helper idle = StartQueueing(box, {});
  EXPECT_THAT(idle.Wait(), Exited(0));
  EXPECT_THAT(idle.call(), Returned(0)) << "of no signal at all";
}

// ---- A full queue -------------------------------------------------------------------------------

// The fourth signal finds the queue full.
HELPER(FillsTheQueue) {
  const auto signal = static_cast<int>(args.Int("signal"));
  const Action mine(signal, &Hears);
  const std::vector<int> signals = Repeated(signal, 6);
  const int values[6] = {1, 2, 3, 4, 5, 6};
  int out[6];
  if (args.Int("order") != 0) {
    STUDENT(rt_order)(signals.data(), values, signals.size(), out);
  } else {
    STUDENT(deliveries)(signal, 6);
  }
  Report("heard", g_heard[signal]);
  return 0;
}

TEST_F(Deliveries, TakesBackWhatWasQueued) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> signals = DrawRealTime(2);
  for (const int order : {0, 1}) {
    const int signal = signals[static_cast<std::size_t>(order)];
    box.AddRule({.family = Family::kSignalSend,
                 .nth = 4,
                 .where = [signal](const Event& event) { return SignalOf(event) == signal; },
                 .answer = -EAGAIN});

    Helper caller = box.Start("FillsTheQueue", {{"signal", signal}, {"order", order}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call(), FailedWith(EAGAIN)) << "the queue was full at the fourth signal";
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    EXPECT_THAT(Times{caller.Reported("heard")}, Happens(0))
        << "runs of the caller's own handler of " << SignalName(signal);
  }
}

}  // namespace
}  // namespace ipclab
