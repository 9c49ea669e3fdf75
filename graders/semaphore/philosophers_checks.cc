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
// hold it there.

constexpr int kNoProcess = 5'000'000;  // Above the largest process id of Linux.

struct Dinner {
  int first;   // Is added to the seat.
  int leaver;  // The seat of one who leaves after its first meal, or -1.
};

int Eat(int seat, void* arg) {
  const auto* const dinner = static_cast<Dinner*>(arg);
  static_cast<void>(kill(kNoProcess + dinner->first + seat, 0));
  return seat == dinner->leaver ? 1 : 0;
}

// Has a child of its own, which has ended before.
HELPER(Dines) {
  const pid_t own = Check(fork(), "fork");
  if (own == 0) _exit(0);
  AwaitEnd(own);
  Dinner dinner = {static_cast<int>(args.Int("first")), static_cast<int>(args.Int("leaver", -1))};
  const int result = STUDENT(philosophers)(static_cast<int>(args.Int("n")),
                                           static_cast<int>(args.Int("meals")), Eat, &dinner);
  while (waitpid(own, nullptr, 0) == -1 && errno == EINTR) {
  }
  return result == 0 ? 0 : 1;
}

class Evening {
 public:
  Evening(int n, int meals) : n_(n), meals_(meals), first_(NextFirst()) {}

  Helper Begin(Sandbox& box, int leaver = -1) const {
    return box.Start("Dines",
                     {{"n", n_}, {"meals", meals_}, {"first", first_}, {"leaver", leaver}});
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

TEST_F(Philosophers, SeatsAllOfThem) {
  Sandbox box({.watch = {Family::kSignalSend}});
  for (const int n : {2, static_cast<int>(RandomInt(3, 5))}) {
    const Evening evening(n, static_cast<int>(RandomInt(1, 3)));

    Helper caller = evening.Begin(box);

    ASSERT_THAT(OutcomeOf(caller), Succeeds());
    EXPECT_THAT(evening.Meals(box), AreMeals(evening.Everybodys()));
    std::set<pid_t> all;
    for (const auto& [seat, eaters] : evening.Eaters(box)) {
      EXPECT_EQ(eaters.size(), 1U) << "processes that ate at seat " << seat;
      for (const pid_t eater : eaters) {
        EXPECT_EQ(box.observer().process(eater).parent, caller.pid())
            << "the parent of the one at seat " << seat;
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
    box.Release(
        held[static_cast<std::size_t>(RandomInt(0, static_cast<std::int64_t>(held.size()) - 1))]);
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

TEST_F(Philosophers, GoesOnWithoutOneThatLeaves) {
  constexpr int kSeats = 4;
  constexpr int kMeals = 2;
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const int leaver = static_cast<int>(RandomInt(0, kSeats - 1));
  for (const bool is_killed : {false, true}) {
    const Evening evening(kSeats, kMeals);
    const int meal = evening.HoldMeal(box, leaver);

    Helper caller = evening.Begin(box, is_killed ? -1 : leaver);
    ASSERT_TRUE(SomebodyComesTo(box, meal));
    ASSERT_TRUE(ComesToRest(box));  // The others have done what they can without it.
    const pid_t eater = *box.observer().Held(meal).begin();
    if (is_killed) kill(eater, SIGKILL);
    box.Release(meal);

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
  Dinner dinner = {0, -1};
  STUDENT(philosophers)(1, 1, Eat, &dinner);
  STUDENT(philosophers)(51, 1, Eat, &dinner);
  STUDENT(philosophers)(3, -1, Eat, &dinner);
  STUDENT(philosophers)(3, 1, nullptr, &dinner);
  STUDENT(philosophers)(3, 1, Eat, &dinner);
  return 0;
}

TEST_F(Philosophers, RefusesATableThatCannotBe) {
  Sandbox box({.watch = {Family::kSemaphores}});
  box.Fail(Family::kSemaphores, ENOSPC);

  Helper caller = box.Start("DinesBadly");

  ASSERT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "1 seat";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "51 seats";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "-1 meals";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "eat is null";
  EXPECT_THAT(caller.call(4), FailedWith(ENOSPC)) << "semget() failed";
  EXPECT_EQ(box.Children().size(), 0U) << "children were started";
  EXPECT_THAT(SysvLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
