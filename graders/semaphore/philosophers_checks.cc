// Exercise semaphore.5: the philosophers.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>

#include "graders/semaphore/expectations.h"
#include "labs/semaphore/semaphore.h"

namespace ipclab {
namespace {

using semaphore::philosophers;

EXERCISE(Philosophers);

// ---- Meals --------------------------------------------------------------------------------------
// Who eats asks for a process that cannot exist. The trace shows which, and so who eats; a rule can
// hold it there. Before it leaves off, it asks for another one: whoever is told that this one is
// there leaves the table.

constexpr int kNoProcess = 5'000'000;  // Above the largest process id of Linux.
constexpr int kMostSeats = 50;

int Eat(int seat, void* arg) {
  const int first = kNoProcess + *static_cast<int*>(arg);
  static_cast<void>(kill(first + seat, 0));
  return kill(first + kMostSeats + seat, 0) == 0 ? 1 : 0;
}

// Has a child of its own, which has ended before.
HELPER(Dines) {
  const pid_t own = Check(fork(), "fork");
  if (own == 0) _exit(0);
  AwaitEnd(own);
  int first = static_cast<int>(args.Int("first"));
  const int result = STUDENT(philosophers)(static_cast<int>(args.Int("n")),
                                           static_cast<int>(args.Int("meals")), Eat, &first);
  while (waitpid(own, nullptr, 0) == -1 && errno == EINTR) {
  }
  return result == 0 ? 0 : 1;
}

class Evening {
 public:
  Evening(int n, int meals) : n_(n), meals_(meals), first_(NextFirst()) {}

  Helper Begin(Sandbox& box) const {
    return box.Start("Dines", {{"n", n_}, {"meals", meals_}, {"first", first_}});
  }

  // The seat of one who begins a meal by this event, or -1.
  int SeatOf(const Event& event) const {
    if (event.family != Family::kSignalSend) return -1;
    const auto seat = static_cast<std::int64_t>(event.args[0]) - kNoProcess - first_;
    return seat >= 0 && seat < n_ ? static_cast<int>(seat) : -1;
  }

  // Holds who sits there in the middle of the next meal that no rule made before holds.
  int HoldMeal(Sandbox& box, int seat) const {
    const auto where = [*this, seat](const Event& event) { return SeatOf(event) == seat; };
    return box.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
  }

  // Who sits there leaves the table after the meal that it eats now.
  void LetLeave(Sandbox& box, int seat) const {
    const auto where = [first = first_, seat](const Event& event) {
      return static_cast<std::int64_t>(event.args[0]) == kNoProcess + first + kMostSeats + seat;
    };
    box.AddRule({.family = Family::kSignalSend, .where = where, .answer = 0});
  }

  // How often each of them has eaten, by seat.
  std::vector<int> Meals(const Sandbox& box) const {
    std::vector<int> meals(static_cast<std::size_t>(n_));
    for (const Event& event : box.Calls(Family::kSignalSend)) {
      if (SeatOf(event) != -1) ++meals[static_cast<std::size_t>(SeatOf(event))];
    }
    return meals;
  }

  // The processes that ate at each seat.
  std::map<int, std::set<pid_t>> Eaters(const Sandbox& box) const {
    std::map<int, std::set<pid_t>> eaters;
    for (const Event& event : box.Calls(Family::kSignalSend)) {
      if (SeatOf(event) != -1) eaters[SeatOf(event)].insert(event.pid);
    }
    return eaters;
  }

  std::vector<int> Everybodys() const {
    return std::vector<int>(static_cast<std::size_t>(n_), meals_);
  }
  bool AreNeighbours(int one, int other) const {
    return (one + 1) % n_ == other || (other + 1) % n_ == one;
  }

 private:
  // No two evenings share a number.
  static int NextFirst() {
    static int next = 0;
    return next += static_cast<int>(RandomInt(100, 1000));
  }

  int n_;
  int meals_;
  int first_;
};

MATCHER_P(AreMeals, meals, "meals by seat: " + testing::PrintToString(std::vector<int>(meals))) {
  return arg == std::vector<int>(meals);
}

int OneOf(const std::vector<int>& some) {
  return some[static_cast<std::size_t>(RandomInt(0, static_cast<std::int64_t>(some.size()) - 1))];
}

// Who is held by the rule for this seat.
std::set<pid_t> HeldBy(const Sandbox& box, const std::vector<int>& rules, int seat) {
  return box.observer().Held(rules[static_cast<std::size_t>(seat)]);
}

testing::AssertionResult IsChildOf(const Sandbox& box, pid_t pid, const Helper& caller) {
  if (box.observer().process(pid).parent == caller.pid()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "not a child of the process that called philosophers()";
}

TEST_F(Philosophers, SeatsAllOfThem) {
  Sandbox box({.watch = {Family::kSignalSend}});
  for (const int n : {2, static_cast<int>(RandomInt(3, 5))}) {
    const Evening evening(n, static_cast<int>(RandomInt(2, 4)));

    Helper caller = evening.Begin(box);

    ASSERT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(evening.Meals(box), AreMeals(evening.Everybodys()));
    std::set<pid_t> all;
    for (const auto& [seat, eaters] : evening.Eaters(box)) {
      EXPECT_THAT(eaters.size(), Is(1)) << "processes that ate at seat " << seat;
      for (const pid_t eater : eaters) {
        EXPECT_TRUE(IsChildOf(box, eater, caller)) << "the one at seat " << seat;
        EXPECT_TRUE(all.insert(eater).second) << "One process ate at two seats.";
      }
    }
  }
  const Evening hungry(3, 0);
  Helper caller = hungry.Begin(box);
  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "no meals";
  EXPECT_THAT(hungry.Meals(box), AreMeals(std::vector<int>{0, 0, 0}));
}

// All that happens between two meals happens at once, and then one meal ends.
TEST_F(Philosophers, KeepsNeighboursFromEatingTogether) {
  constexpr int kSeats = 5;
  constexpr int kMeals = 2;
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const Evening evening(kSeats, kMeals);
  std::map<int, int> rules;  // By rule, the seat.
  for (int seat = 0; seat < kSeats; ++seat) {
    for (int meal = 0; meal < kMeals; ++meal) rules[evening.HoldMeal(box, seat)] = seat;
  }
  Helper caller = evening.Begin(box);
  for (int ended = 0; ended < kSeats * kMeals; ++ended) {
    ASSERT_TRUE(ComesToRest(box)) << "after " << ended << " meals";
    std::vector<int> held;
    for (const auto& [rule, seat] : rules) {
      if (!box.observer().Held(rule).empty()) held.push_back(rule);
    }
    ASSERT_FALSE(held.empty()) << "Nobody eats, and everybody sleeps, after " << ended << " meals.";
    for (const int one : held) {
      for (const int other : held) {
        ASSERT_FALSE(evening.AreNeighbours(rules[one], rules[other]))
            << "Those at seats " << rules[one] << " and " << rules[other]
            << " eat at the same time.";
      }
    }
    box.Release(OneOf(held));
  }
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
}

// Holds every child at its nth call of semctl() or semop().
int HoldEverybody(Sandbox& box, int nth) {
  const auto calls = std::make_shared<std::map<pid_t, int>>();
  const auto where = [&box, calls, nth](const Event& event) {
    return !box.observer().process(event.pid).helper && ++(*calls)[event.pid] == nth;
  };
  return box.AddRule({.family = Family::kSemaphores, .nth = 0, .where = where, .hold = true});
}

TEST_F(Philosophers, LetsNobodyWaitForEver) {
  Sandbox box({.watch = {Family::kSemaphores}, .skip_sleeps = true});
  for (int nth = 1; nth <= 3; ++nth) {
    const Evening evening(static_cast<int>(RandomInt(3, 4)), 1);
    const int rule = HoldEverybody(box, nth);
    Helper caller = evening.Begin(box);
    ASSERT_TRUE(Comes(box, [&] { return !caller.process().alive || AtRest(box); }));
    box.Release(rule);
    ASSERT_THAT(OutcomeOf(caller), Succeeds())
        << "Everybody came to its call " << nth
        << " of semctl() or semop() before anybody went on, if it could.";
  }
}

// One of those who can eat first. All others have meals before them then: those who eat are in
// their first one, and those who wait have had none.
TEST_F(Philosophers, GoesOnWithoutOneThatLeaves) {
  constexpr int kSeats = 4;
  constexpr int kMeals = 2;
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const bool is_killed : {false, true}) {
    const Evening evening(kSeats, kMeals);
    std::vector<int> rules;
    for (int seat = 0; seat < kSeats; ++seat) rules.push_back(evening.HoldMeal(box, seat));
    Helper caller = evening.Begin(box);
    ASSERT_TRUE(ComesToRest(box));

    std::vector<int> eating;
    for (int seat = 0; seat < kSeats; ++seat) {
      if (!HeldBy(box, rules, seat).empty()) eating.push_back(seat);
    }
    ASSERT_FALSE(eating.empty()) << "Nobody eats, and everybody sleeps.";
    const int leaver = OneOf(eating);
    if (is_killed) {
      kill(*HeldBy(box, rules, leaver).begin(), SIGKILL);
    } else {
      evening.LetLeave(box, leaver);
    }
    box.Release(rules[static_cast<std::size_t>(leaver)]);
    // The others do what they can without it, and then end their first meals.
    ASSERT_TRUE(Comes(box, [&] { return !caller.process().alive || AtRest(box); }));
    for (const int rule : rules) box.Release(rule);

    const char* const what = is_killed ? "one was killed while it ate" : "eat returned 1 to one";
    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << what;
    EXPECT_THAT(caller.call(), FailedWith(ECANCELED)) << what;
    std::vector<int> meals = evening.Everybodys();
    meals[static_cast<std::size_t>(leaver)] = 1;
    EXPECT_THAT(evening.Meals(box), AreMeals(meals)) << what;
  }
}

// ---- Clean-up -----------------------------------------------------------------------------------

TEST_F(Philosophers, LeavesNoChildAndNoSet) {
  Sandbox box({.watch = {Family::kSemaphores}});
  const Evening evening(3, 1);
  Helper caller = evening.Begin(box);
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
  EXPECT_FALSE(AnyChildStrayed(box)) << "A child must not return into the caller's code.";

  box.Fail(Family::kFork, EAGAIN, 2);
  Helper unlucky = evening.Begin(box);
  EXPECT_THAT(OutcomeOf(unlucky), ComesToItsEnd());
  EXPECT_THAT(unlucky.call(), FailedWith(EAGAIN)) << "the second fork failed";
  EXPECT_THAT(LeftBehind(box, unlucky.call()), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

HELPER(DinesBadly) {
  int first = 0;
  STUDENT(philosophers)(1, 1, Eat, &first);
  STUDENT(philosophers)(51, 1, Eat, &first);
  STUDENT(philosophers)(3, -1, Eat, &first);
  STUDENT(philosophers)(3, 1, nullptr, &first);
  STUDENT(philosophers)(3, 1, Eat, &first);
  return 0;
}

TEST_F(Philosophers, RefusesATableThatCannotBe) {
  Sandbox box({.watch = {Family::kSemaphores}});
  Helper caller = box.Start("DinesBadly");
  const auto in_the_fifth = [&caller](const Event& event) {
    return !event.function.empty() && caller.process().calls.size() == 5;
  };
  box.AddRule({.family = Family::kSemaphores, .where = in_the_fifth, .answer = -ENOSPC});

  ASSERT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "1 seat";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "51 seats";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "-1 meals";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "eat is null";
  EXPECT_THAT(caller.call(4), FailedWith(ENOSPC)) << "semget() failed";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
