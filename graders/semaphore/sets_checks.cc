// Exercise semaphore.1: set up, read, remove.

#include <sys/stat.h>
#include <sys/syscall.h>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::sems_create;
using semaphore::sems_get;
using semaphore::sems_get_all;
using semaphore::sems_open;
using semaphore::sems_remove;
using semaphore::sems_set;

EXERCISE(Sets);

constexpr int kTooMany = 70000;  // Above SEMMSL.

// Some values, 0 and the largest among them.
std::vector<int> RandomValues() {
  std::vector<int> values(static_cast<std::size_t>(RandomInt(1, 4)));
  for (int& value : values) value = static_cast<int>(RandomInt(1, kLargestValue - 1));
  values.push_back(0);
  values.push_back(kLargestValue);
  std::ranges::shuffle(values, Session::Get().random);
  return values;
}

// ---- Making -------------------------------------------------------------------------------------

int Create(const Args& args, key_t key) {
  const std::vector<unsigned short> init = Unpacked(args.Bytes("values"));
  const int n = static_cast<int>(args.Int("n", static_cast<std::int64_t>(init.size())));
  return STUDENT(sems_create)(key, init.data(), n, static_cast<mode_t>(args.Int("mode", 0600)));
}

key_t KeyOf(const Args& args) { return static_cast<key_t>(args.Int("key")); }

HELPER(CreatesSet) {
  umask(077);
  return Create(args, KeyOf(args)) == -1 ? 1 : 0;
}

TEST_F(Sets, MakesASetWithItsValues) {
  Sandbox box;
  constexpr int kModes[] = {0600, 0640, 0660, 0666, 0622};
  std::int64_t next = RandomInt(0, std::size(kModes) - 1);  // Another one in each round.
  for (const key_t key : {RandomKey(), IPC_PRIVATE}) {
    const std::vector<int> values = RandomValues();
    const int mode = kModes[next++ % std::ssize(kModes)];

    Helper maker =
        box.Start("CreatesSet", {{"key", key}, {"values", Binary(Packed(values))}, {"mode", mode}});

    ASSERT_THAT(OutcomeOf(maker), Succeeds());
    const SysvObject set = FindSet(box, static_cast<int>(maker.call().value));
    EXPECT_THAT(set, HasKey(key)) << "of the set whose id sems_create() returned";
    EXPECT_THAT(ValuesOf(box, set.id), HasValues(values));
    EXPECT_THAT(set, HasMode(mode)) << "the caller's umask is 077";
  }
}

TEST_F(Sets, RefusesWhatItCannotMake) {
  Sandbox box;
  const key_t key = RandomKey();
  const std::vector<int> theirs = RandomValues();
  const int id = NewSet(box, theirs, key);
  const std::string ours = Packed({1, 2, 3});

  Helper second = box.Start("CreatesSet", {{"key", key}, {"values", Binary(ours)}, {"n", 3}});
  EXPECT_THAT(OutcomeOf(second), ComesToItsEnd());
  EXPECT_THAT(second.call(), FailedWith(EEXIST)) << "a set has this key already";
  EXPECT_THAT(ValuesOf(box, id), HasValues(theirs)) << "of the set that was there";

  const std::string many(kTooMany * sizeof(unsigned short), '\0');
  for (const int n : {0, -1, kTooMany}) {
    Helper maker =
        box.Start("CreatesSet", {{"key", RandomKey()}, {"values", Binary(many)}, {"n", n}});
    EXPECT_THAT(OutcomeOf(maker), ComesToItsEnd());
    EXPECT_THAT(maker.call(), FailedWith(EINVAL)) << "n is " << n;
  }
  EXPECT_THAT(box, HoldsSets(1)) << "no set but the first";
}

TEST_F(Sets, LeavesNoSetThatIsNotFinished) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const key_t key = RandomKey();

  std::vector<int> values = RandomValues();
  values.push_back(static_cast<int>(RandomInt(kLargestValue + 1, 65535)));
  Helper maker = box.Start("CreatesSet", {{"key", key}, {"values", Binary(Packed(values))}});
  EXPECT_THAT(OutcomeOf(maker), ComesToItsEnd());
  EXPECT_THAT(maker.call(), FailedWith(ERANGE)) << "one of the values is above 32767";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());

  // Whichever call comes after semget.
  box.Fail(Family::kSemaphores, ENOMEM, 2);
  Helper unlucky = box.Start("CreatesSet", {{"key", key}, {"values", Binary(Packed({3}))}});
  EXPECT_THAT(OutcomeOf(unlucky), ComesToItsEnd());
  if (unlucky.call().value == -1) {
    EXPECT_THAT(unlucky.call(), FailedWith(ENOMEM)) << "the values could not be set";
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
  } else {
    EXPECT_THAT(ValuesOf(box, static_cast<int>(unlucky.call().value)), HasValue(3));
  }
}

// ---- Opening ------------------------------------------------------------------------------------

HELPER(OpensSets) {
  const auto key = static_cast<key_t>(args.Int("key"));
  STUDENT(sems_open)(key, 0);
  STUDENT(sems_open)(key, 2);
  STUDENT(sems_open)(key, 4);
  STUDENT(sems_open)(key ^ 1, 1);
  STUDENT(sems_open)(IPC_PRIVATE, 1);
  return 0;
}

TEST_F(Sets, OpensOnlyWhatIsThere) {
  Sandbox box;
  const key_t key = RandomKey();
  NewSet(box, {7});
  const int id = NewSet(box, {1, 2, 3}, key);

  Helper opener = box.Start("OpensSets", {{"key", key}});

  EXPECT_THAT(opener.Wait(), Exited(0));
  EXPECT_THAT(opener.call(0), Returned(id)) << "n is 0: a set of any size";
  EXPECT_THAT(opener.call(1), Returned(id)) << "it has 3 semaphores, 2 are asked for";
  EXPECT_THAT(opener.call(2), FailedWith(EINVAL)) << "it has 3 semaphores, 4 are asked for";
  EXPECT_THAT(opener.call(3), FailedWith(ENOENT)) << "no set has this key";
  EXPECT_THAT(opener.call(4), FailedWith(ENOENT)) << "the key is IPC_PRIVATE";
  EXPECT_THAT(box, HoldsSets(2)) << "sems_open() makes no set";
}

constexpr int kTooFewRights[] = {0400, 0200, 0066};

HELPER(OpensWithoutRights) {
  auto key = static_cast<key_t>(args.Int("key"));
  for (const int mode : kTooFewRights) {
    MakeSetHere(++key, {1}, mode);
    STUDENT(sems_open)(key, 1);
  }
  return 0;
}

TEST_F(Sets, AsksForTheRightsItNeeds) {
  Sandbox box;

  Helper opener = box.Start("OpensWithoutRights", {{"key", RandomInt(1, 1 << 30)}});

  EXPECT_THAT(opener.Wait(), Exited(0));
  for (std::size_t i = 0; i < std::size(kTooFewRights); ++i) {
    EXPECT_THAT(opener.call(i), FailedWith(EACCES))
        << "its owner calls, and the mode of the set is 0" << std::oct << kTooFewRights[i];
  }
}

// ---- Values -------------------------------------------------------------------------------------

HELPER(ReadsAndSets) {
  const int id = IdOf(args);
  const int n = static_cast<int>(args.Int("n"));
  for (int num = 0; num < n; ++num) STUDENT(sems_get)(id, num);
  STUDENT(sems_set)(id, n - 1, static_cast<int>(args.Int("value")));
  STUDENT(sems_set)(id, 0, kLargestValue + 1);
  STUDENT(sems_set)(id, 0, -1);
  for (const int num : {n, -1}) {
    STUDENT(sems_get)(id, num);
    STUDENT(sems_set)(id, num, 1);
  }
  return 0;
}

TEST_F(Sets, ReadsAndChangesOneValue) {
  Sandbox box;
  std::vector<int> values = RandomValues();
  const int n = static_cast<int>(values.size());
  const int id = NewSet(box, values);
  const int value = static_cast<int>(RandomInt(1, kLargestValue - 1));

  Helper caller = box.Start("ReadsAndSets", {{"id", id}, {"n", n}, {"value", value}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_THAT(caller.call(i), Returned(values[i])) << "of semaphore " << i;
  }
  std::size_t next = values.size();
  EXPECT_THAT(caller.call(next++), Returned(0));
  EXPECT_THAT(caller.call(next++), FailedWith(ERANGE)) << "to set 32768";
  EXPECT_THAT(caller.call(next++), FailedWith(ERANGE)) << "to set -1";
  for (const int num : {n, -1}) {
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "there is no semaphore " << num;
    EXPECT_THAT(caller.call(next++), FailedWith(EINVAL)) << "there is no semaphore " << num;
  }
  values.back() = value;
  EXPECT_THAT(ValuesOf(box, id), HasValues(values));
}

// Reports all that is in `out` afterwards, and what stands behind the values.
HELPER(ReadsAll) {
  constexpr unsigned short kUntouched = 0xabcd;
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  std::vector<unsigned short> out(cap + 8, kUntouched);
  const int n = STUDENT(sems_get_all)(IdOf(args), out.data(), static_cast<int>(cap));
  const std::size_t stored = n < 0 ? 0 : static_cast<std::size_t>(n);
  Report("untouched", std::count(out.begin() + static_cast<std::ptrdiff_t>(std::min(stored, cap)),
                                 out.end(), kUntouched));
  out.resize(std::min(stored, cap));
  Report("values", Packed({out.begin(), out.end()}));
  return 0;
}

TEST_F(Sets, ReadsAllValuesThatFit) {
  Sandbox box;
  const std::vector<int> values = RandomValues();
  const int n = static_cast<int>(values.size());
  const int id = NewSet(box, values);

  for (const int cap : {n, n + 3}) {
    Helper reader = box.Start("ReadsAll", {{"id", id}, {"cap", cap}});
    EXPECT_THAT(reader.Wait(), Exited(0));
    EXPECT_THAT(reader.call(), Returned(n));
    EXPECT_THAT(reader.ReportedBytes("values"), SameBytesAs(Packed(values)));
    EXPECT_THAT(reader.Reported("untouched"), Is(cap + 8 - n))
        << "members of `out` behind the values";
  }
  Helper reader = box.Start("ReadsAll", {{"id", id}, {"cap", n - 1}});
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.call(), FailedWith(ENOBUFS))
      << "the set has " << n << " semaphores, cap is " << n - 1;
  EXPECT_THAT(reader.Reported("untouched"), Is(n - 1 + 8)) << "members of `out`; all are unchanged";
}

HELPER(MovesOne) {
  sembuf operations[] = {{0, -1, 0}, {2, 1, 0}};
  Check(semop(IdOf(args), operations, 2), "semop");
  return 0;
}

TEST_F(Sets, ReadsAllValuesAsOfOneMoment) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const int id = NewSet(box, {10, 10, 10});
  // Between two calls of the reader, whichever they are, another process moves a unit.
  for (int nth = 2; nth <= 5; ++nth) {
    Helper reader = box.Start("ReadsAll", {{"id", id}, {"cap", 3}});
    const int rule = HoldCallOf(box, reader, nth);
    const bool held = StopsAt(box, reader, rule);
    if (held) {
      EXPECT_THAT(box.Start("MovesOne", {{"id", id}}).Wait(), Exited(0));
    }
    box.Release(rule);
    EXPECT_THAT(reader.Wait(), Exited(0));
    int sum = 0;
    for (const int value : Unpacked(reader.ReportedBytes("values"))) sum += value;
    EXPECT_THAT(sum, Is(30))
        << "the sum of the values. Another process moved a unit from the first to "
           "the third, in one semop(), so there never was another sum.";
    if (!held) break;
  }
}

// ---- Removing -----------------------------------------------------------------------------------

HELPER(RemovesTwice) {
  const int id = IdOf(args);
  unsigned short out[8];
  STUDENT(sems_remove)(id);
  STUDENT(sems_remove)(id);
  STUDENT(sems_get)(id, 0);
  STUDENT(sems_set)(id, 0, 1);
  STUDENT(sems_get_all)(id, out, 8);
  return 0;
}

TEST_F(Sets, RemovesTheSetAndNoOther) {
  Sandbox box;
  const int other = NewSet(box, {4});
  const int id = NewSet(box, {1, 2});

  Helper caller = box.Start("RemovesTwice", {{"id", id}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), Returned(0));
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << "the set has been removed";
  }
  EXPECT_THAT(ValuesOf(box, id), HasValues(std::vector<int>())) << "the set is gone";
  EXPECT_THAT(ValuesOf(box, other), HasValue(4)) << "another set";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
