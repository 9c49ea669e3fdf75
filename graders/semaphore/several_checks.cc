// Exercise semaphore.5: several at once. Its philosophers stand in philosophers_checks.cc.

#include <signal.h>

#include <numeric>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::give_all;
using semaphore::move_units;
using semaphore::take_all;

EXERCISE(AllAtOnce);

// What is taken or given in one call: amounts[i] of semaphore nums[i].
struct Share {
  std::vector<int> nums;
  std::vector<int> amounts;
};

std::vector<int> WithoutShare(std::vector<int> values, const Share& share) {
  for (std::size_t i = 0; i < share.nums.size(); ++i) {
    values[static_cast<std::size_t>(share.nums[i])] -= share.amounts[i];
  }
  return values;
}

std::string ShareText(const Share& share) {
  std::string text = "take_all() of";
  for (std::size_t i = 0; i < share.nums.size(); ++i) {
    text += (i == 0 ? " " : ", ") + std::to_string(share.amounts[i]) + " from semaphore " +
            std::to_string(share.nums[i]);
  }
  return text;
}

std::vector<int> Ints(const std::string& packed) {
  const std::vector<unsigned short> members = Unpacked(packed);
  return {members.begin(), members.end()};
}

// Takes the share, stands still until it is let on, and gives it back; `times` times.
HELPER(TakesShare) {
  const Action on_signal(SIGUSR1, DoNothing);
  const int id = IdOf(args);
  const std::vector<int> nums = Ints(args.Bytes("nums"));
  const std::vector<int> amounts = Ints(args.Bytes("amounts"));
  const std::size_t n = nums.size();
  for (std::int64_t i = 0; i < args.Int("times", 1); ++i) {
    if (STUDENT(take_all)(id, nums.data(), amounts.data(), n) == -1) return 1;
    Gate();
    if (STUDENT(give_all)(id, nums.data(), amounts.data(), n) == -1) return 2;
  }
  return 0;
}

HELPER(GivesShare) {
  const std::vector<int> nums = Ints(args.Bytes("nums"));
  const std::vector<int> amounts = Ints(args.Bytes("amounts"));
  if (STUDENT(give_all)(IdOf(args), nums.data(), amounts.data(), nums.size()) == -1) return 1;
  Gate();
  return 0;
}

Helper Start(Sandbox& box, const std::string& name, int id, const Share& share, int times = 1) {
  return box.Start(name, {{"id", id},
                          {"nums", Binary(Packed(share.nums))},
                          {"amounts", Binary(Packed(share.amounts))},
                          {"times", times}});
}

int Some() { return static_cast<int>(RandomInt(2, 9)); }

// ---- Taking and giving --------------------------------------------------------------------------

TEST_F(AllAtOnce, TakesEachAmountAndGivesItBack) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::vector<int> values = {20 + Some(), 20 + Some(), 20 + Some(), 20 + Some()};
  const int id = NewSet(box, values);
  // One number twice: its amounts add up.
  const Share share = {{3, 0, 1, 0}, {Some(), Some(), Some(), Some()}};
  const int gate = HoldAtAnyGate(box);

  Helper caller = Start(box, "TakesShare", id, share);

  ASSERT_TRUE(ComesTo(box, caller, gate)) << "all of it was there";
  EXPECT_THAT(ValuesOf(box, id), HasValues(WithoutShare(values, share))) << ShareText(share);
  box.Release(gate);
  ASSERT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(ValuesOf(box, id), HasValues(values)) << "after give_all() of the same";
}

struct Shortage {
  std::vector<int> values;
  Share share;
  int missing;  // The number that has too few; one more is enough.
};

TEST_F(AllAtOnce, TakesNothingWhileItWaits) {
  Sandbox box({.skip_sleeps = true});
  const int spare = Some();
  const Shortage shortages[] = {
      {{5, 0, spare}, {{0, 1}, {2, 1}}, 1},
      {{0, 5, spare}, {{0, 1}, {1, 2}}, 0},
      {{3, 5, spare}, {{1, 0, 0}, {2, 2, 2}}, 0},
  };
  for (const auto& [values, share, missing] : shortages) {
    const int id = NewSet(box, values);
    Helper taker = Start(box, "TakesShare", id, share);
    ASSERT_TRUE(SleepsInSemop(box, taker))
        << ShareText(share) << "; semaphore " << missing << " has too few";
    EXPECT_THAT(ValuesOf(box, id), HasValues(values)) << "It waits in " << ShareText(share) << ".";

    ASSERT_TRUE(Interrupt(box, taker, SIGUSR1));
    EXPECT_TRUE(SleepsInSemop(box, taker)) << "A signal came while it waited.";
    EXPECT_THAT(ValuesOf(box, id), HasValues(values)) << "after the signal";

    ChangeFromOutside(box, id, missing, 1);
    ASSERT_THAT(OutcomeOf(taker), Succeeds()) << "all of it is there now";
  }
}

TEST_F(AllAtOnce, IsUndoneAtTheEnd) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::vector<int> values = {20 + Some(), 20 + Some()};
  const int id = NewSet(box, values);
  const Share share = {{0, 1}, {Some(), Some()}};

  for (const std::string does : {"TakesShare", "GivesShare"}) {
    const int gate = HoldAtAnyGate(box);
    Helper doomed = Start(box, does, id, share);
    ASSERT_TRUE(ComesTo(box, doomed, gate));
    doomed.Signal(SIGKILL);
    EXPECT_THAT(doomed.Wait(), KilledBy(SIGKILL));
    EXPECT_THAT(ValuesOf(box, id), HasValues(values))
        << "A process was killed after " << (does == "TakesShare" ? "take_all()" : "give_all()")
        << ", and the kernel undid what it had noted of it.";
  }

  Helper honest = Start(box, "TakesShare", id, share, Some());
  ASSERT_THAT(OutcomeOf(honest), Succeeds());
  EXPECT_THAT(ValuesOf(box, id), HasValues(values))
      << "at the end of a process that gave back all that it had taken";
}

// ---- Moving -------------------------------------------------------------------------------------

HELPER(MovesUnits) {
  const Action on_signal(SIGUSR1, DoNothing);
  const int result = STUDENT(move_units)(
      IdOf(args), static_cast<int>(args.Int("from")), static_cast<int>(args.Int("to")),
      static_cast<int>(args.Int("amount")), static_cast<int>(args.Int("wait")));
  return result == -1 ? 1 : 0;
}

Helper StartMove(Sandbox& box, int id, int from, int to, int amount, int wait) {
  return box.Start("MovesUnits",
                   {{"id", id}, {"from", from}, {"to", to}, {"amount", amount}, {"wait", wait}});
}

TEST_F(AllAtOnce, MovesUnitsAtOneMoment) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const int amount = Some();
  for (int nth = 1; nth <= 5; ++nth) {
    const int id = NewSet(box, {7, 30, 40});
    const int wait = nth % 2;
    Helper mover = StartMove(box, id, 2, 1, amount, wait);
    const int rule = HoldCallOf(box, mover, nth);
    const bool held = StopsAt(box, mover, rule);
    const std::vector<int> seen = ValuesOf(box, id);
    box.Release(rule);

    ASSERT_THAT(OutcomeOf(mover), Succeeds());
    ASSERT_THAT(std::accumulate(seen.begin(), seen.end(), 0), Is(77))
        << "The sum of all values. The mover was held at its call " << nth
        << " of semctl() or semop(), and another process looked.";
    ASSERT_THAT(ValuesOf(box, id), HasValues(std::vector<int>{7, 30 + amount, 40 - amount}))
        << "after a process has moved " << amount << " from semaphore 2 to 1, and has ended";
    if (!held) break;
  }
}

TEST_F(AllAtOnce, MovesNoMoreThanThereIs) {
  Sandbox box({.skip_sleeps = true});
  const int amount = Some();
  const std::vector<int> too_few = {amount - 1, 5};
  const int id = NewSet(box, too_few);

  Helper impatient = StartMove(box, id, 0, 1, amount, 0);
  EXPECT_THAT(OutcomeOf(impatient), ComesToItsEnd()) << "move_units() may not wait";
  EXPECT_THAT(impatient.call(), FailedWith(EAGAIN)) << "there was one too few";
  EXPECT_THAT(ValuesOf(box, id), HasValues(too_few));

  Helper patient = StartMove(box, id, 0, 1, amount, 1);
  ASSERT_TRUE(SleepsInSemop(box, patient)) << "there was one too few, and move_units() may wait";
  ASSERT_TRUE(Interrupt(box, patient, SIGUSR1));
  EXPECT_TRUE(SleepsInSemop(box, patient)) << "A signal came while it waited.";
  EXPECT_THAT(ValuesOf(box, id), HasValues(too_few)) << "while it waits";
  ChangeFromOutside(box, id, 0, 1);
  ASSERT_THAT(OutcomeOf(patient), Succeeds());
  EXPECT_THAT(ValuesOf(box, id), HasValues(std::vector<int>{0, 5 + amount}));

  const std::vector<int> full = {amount, kLargestValue - amount + 1};
  const int other = NewSet(box, full);
  Helper mover = StartMove(box, other, 0, 1, amount, 1);
  EXPECT_THAT(OutcomeOf(mover), ComesToItsEnd());
  EXPECT_THAT(mover.call(), FailedWith(ERANGE)) << "semaphore 1 would have 32768";
  EXPECT_THAT(ValuesOf(box, other), HasValues(full)) << "nothing was moved";
}

// ---- Errors -------------------------------------------------------------------------------------

struct BadShare {
  Share share;
  int error;
  const char* why;
};

// Of a set of three.
const BadShare kBadShares[] = {
    {{{}, {}}, EINVAL, "n is 0"},
    {{{0, 1}, {1, 0}}, EINVAL, "an amount is 0"},
    {{{1, 0}, {-1, 1}}, EINVAL, "an amount is -1"},
    {{{0}, {32768}}, ERANGE, "an amount is 32768"},
    {{{0, 1}, {1, 65537}}, ERANGE, "an amount is 65537"},
    {{{0, 3}, {1, 1}}, EFBIG, "a set of three has no semaphore 3"},
    {{{-1, 1}, {1, 1}}, EFBIG, "there is no semaphore -1"},
    {{{1, 65536}, {1, 1}}, EFBIG, "there is no semaphore 65536"},
    {{std::vector<int>(501, 0), std::vector<int>(501, 1)}, E2BIG, "n is 501"},
};

HELPER(AsksForBadShares) {
  const int id = IdOf(args);
  const auto call = [id](const Share& share) {
    const std::size_t n = share.nums.size();
    STUDENT(take_all)(id, share.nums.data(), share.amounts.data(), n);
    STUDENT(give_all)(id, share.nums.data(), share.amounts.data(), n);
  };
  for (const BadShare& bad : kBadShares) call(bad.share);
  const std::vector<int> zeros(500, 0);
  const std::vector<int> ones(500, 1);
  STUDENT(take_all)(id, zeros.data(), ones.data(), 500);
  STUDENT(give_all)(id, zeros.data(), ones.data(), 500);
  const int full[] = {0, 2};
  STUDENT(give_all)(id, full, ones.data(), 2);
  for (const auto& [from, to, amount] : {std::tuple(0, 1, 0),
                                         {0, 1, -1},
                                         {0, 1, 32768},
                                         {3, 1, 1},
                                         {0, 3, 1},
                                         {-1, 1, 1},
                                         {0, 65536, 1}}) {
    STUDENT(move_units)(id, from, to, amount, 1);
  }
  Report("value", ValueHere(id, 0));
  Check(semctl(id, 0, IPC_RMID), "semctl(IPC_RMID)");
  call({{0}, {1}});
  STUDENT(move_units)(id, 0, 1, 1, 1);
  return 0;
}

TEST_F(AllAtOnce, RefusesWhatMakesNoSense) {
  Sandbox box;
  const int id = NewSet(box, {600, 600, kLargestValue});

  Helper caller = box.Start("AsksForBadShares", {{"id", id}});

  ASSERT_THAT(OutcomeOf(caller), ComesToItsEnd());
  std::size_t next = 0;
  for (const BadShare& bad : kBadShares) {
    EXPECT_THAT(caller.call(next++), FailedWith(bad.error)) << bad.why;
    EXPECT_THAT(caller.call(next++), FailedWith(bad.error)) << bad.why;
  }
  EXPECT_THAT(caller.call(next++), Returned(0)) << "n is 500";
  EXPECT_THAT(caller.call(next++), Returned(0)) << "n is 500";
  EXPECT_THAT(caller.call(next++), FailedWith(ERANGE)) << "a value is 32767 already";
  for (const int error : {EINVAL, EINVAL, ERANGE, EFBIG, EFBIG, EFBIG, EFBIG}) {
    EXPECT_THAT(caller.call(next++), FailedWith(error));
  }
  EXPECT_THAT(caller.Reported("value"), Is(600)) << "the value of semaphore 0 after all that";
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "the set has been removed";
  }
}

TEST_F(AllAtOnce, ReportsThatTheSetIsRemovedMeanwhile) {
  Sandbox box({.skip_sleeps = true});
  for (const bool moves : {false, true}) {
    const int id = NewSet(box, {0, 5});
    Helper waiter =
        moves ? StartMove(box, id, 0, 1, 1, 1) : Start(box, "TakesShare", id, {{1, 0}, {1, 1}});
    ASSERT_TRUE(SleepsInSemop(box, waiter));

    RemoveFromOutside(box, id);

    EXPECT_THAT(OutcomeOf(waiter), ComesToItsEnd());
    EXPECT_THAT(waiter.call(), FailedWith(EIDRM)) << "the set was removed while it waited";
  }
}

}  // namespace
}  // namespace ipclab
