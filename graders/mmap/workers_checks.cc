// Exercise mmap.3: anonymous memory for workers.

#include <limits.h>

#include <cstring>
#include <numeric>

#include "graders/mmap/files.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::parallel_sum;
using mmap::shared_alloc;
using mmap::shared_free;

EXERCISE(Workers);

// ---- The memory --------------------------------------------------------------------------------

// Caller and child each store at one end of the memory and look at the other.
HELPER(SharesMemory) {
  const auto n = static_cast<std::size_t>(args.Int("n"));
  const auto mine = static_cast<char>(args.Int("mine"));
  const auto childs = static_cast<char>(args.Int("childs"));
  char* const memory =
      static_cast<char*>(STUDENT(shared_alloc)(n, static_cast<int>(args.Int("zero"))));
  if (memory == nullptr) return 0;
  Report("addr", Number(memory));
  Report("zeros", static_cast<std::int64_t>(std::count(memory, memory + n, '\0')));
  {
    Beside child([&] {
      Gate();
      Report("child saw", memory[0]);
      memory[n - 1] = childs;
    });
    memory[0] = mine;  // The child is there already, and looks later.
    Gate();
  }
  Report("caller saw", memory[n - 1]);
  STUDENT(shared_free)(memory, n);
  return 0;
}

// Lets the caller come to its gate before the child looks.
void RunSharing(Sandbox& box, Helper& caller) {
  const int birth = HoldBirth(box, 1);
  const int gate = HoldAtGate(box, 1);
  EXPECT_TRUE(SomebodyComesTo(box, birth));
  EXPECT_TRUE(SomebodyComesTo(box, gate));
  box.Release(birth);
  box.Release(gate);
  EXPECT_THAT(caller.Wait(), Exited(0));
}

void ExpectShared(Helper& caller, std::int64_t n, char mine, char childs) {
  EXPECT_THAT(caller.call("shared_alloc"), Returned(0));
  EXPECT_TRUE(caller.Reported("zeros") == n)
      << caller.Reported("zeros") << " of the " << n << " bytes are 0.";
  EXPECT_TRUE(Address(caller, "addr") % PageSize() == 0) << "The memory is not page-aligned.";
  EXPECT_TRUE(caller.Reported("child saw") == mine)
      << "What the caller stored after the fork, its child does not see.";
  EXPECT_TRUE(caller.Reported("caller saw") == childs)
      << "What the child stored, the caller does not see.";
  const Mapping* const mapping = MappingOf(caller, caller.call("shared_alloc"), "addr");
  ASSERT_NE(mapping, nullptr) << "At the address that shared_alloc() gave nothing is mapped.";
  EXPECT_TRUE(mapping->permissions.starts_with("rw") && mapping->shared())
      << "The mapping has the rights " << mapping->permissions << " instead of rw-s.";
  EXPECT_THAT(caller.call("shared_free"), Returned(0));
}

TEST_F(Workers, ShareMemoryOverFork) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const auto n = RandomInt(4000, 20000);
  const auto mine = static_cast<char>(RandomInt(1, 60));
  const auto childs = static_cast<char>(RandomInt(61, 120));

  Helper caller =
      box.Start("SharesMemory", {{"n", n}, {"zero", 0}, {"mine", mine}, {"childs", childs}});
  RunSharing(box, caller);

  ExpectShared(caller, n, mine, childs);
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
}

TEST_F(Workers, ShareMemoryOfDevZero) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kOpen, Family::kMap}});
  const auto n = RandomInt(4000, 20000);

  Helper caller = box.Start("SharesMemory", {{"n", n}, {"zero", 3}, {"mine", 17}, {"childs", 99}});
  RunSharing(box, caller);

  ExpectShared(caller, n, 17, 99);
  const std::vector<Event> calls = MmapCalls(box);
  EXPECT_TRUE(std::ranges::any_of(calls, [](const Event& event) {
    return event.target == "/dev/zero" && event.Succeeded();
  })) << "With use_dev_zero the memory is to be a mapping of /dev/zero; no mmap() of it was seen.";
}

HELPER(FreesTwice) {
  const std::size_t n = 3 * PageSize() + 1;
  char* const memory =
      static_cast<char*>(STUDENT(shared_alloc)(n, static_cast<int>(args.Int("zero"))));
  if (memory == nullptr) return 0;
  {
    Beside child([&] { Report("child", STUDENT(shared_free)(memory, n)); });
  }
  memory[0] = memory[n - 1];  // It is still there.
  STUDENT(shared_free)(memory, n);
  return 0;
}

TEST_F(Workers, FreeMemoryForThemselvesAlone) {
  Sandbox box;
  for (const int zero : {0, 1}) {
    Helper caller = box.Start("FreesTwice", {{"zero", zero}});

    EXPECT_THAT(caller.Wait(), Exited(0)) << "the child had freed the memory, the caller had not";
    EXPECT_TRUE(caller.Reported("child") == 0) << "shared_free() failed in a child.";
    EXPECT_THAT(caller.call("shared_free"), Returned(0));
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  }
}

// ---- The sum -----------------------------------------------------------------------------------

std::vector<std::int32_t> Numbers(const std::string& bytes) {
  std::vector<std::int32_t> numbers(bytes.size() / sizeof(std::int32_t));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(std::int32_t));
  return numbers;
}

std::int64_t Sum(const std::string& bytes) {
  const std::vector<std::int32_t> numbers = Numbers(bytes);
  return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

constexpr std::int64_t kUntouchedSum = 123456789012345;

// The numbers, and what stands in the way of whoever looks at them.
const Pages* g_numbers;
std::size_t g_numbers_size;

void LetChildLook() {
  Check(mprotect(g_numbers->bytes(), g_numbers_size, PROT_READ), "mprotect");
  Gate();
}

HELPER(AddsUp) {
  const std::string bytes = args.Bytes("numbers");
  const std::size_t size = bytes.size() / PageSize() * PageSize() + PageSize();
  Pages numbers(size, PROT_READ | PROT_WRITE);
  std::memcpy(numbers.bytes(), bytes.data(), bytes.size());
  Check(mprotect(numbers.bytes(), size, PROT_NONE), "mprotect");
  g_numbers = &numbers;
  g_numbers_size = size;
  // Somebody else's child, which has ended.
  const pid_t other = Check(fork(), "fork");
  if (other == 0) _exit(3);
  AwaitEnd(other);
  std::int64_t sum = kUntouchedSum;
  {
    const AtBirth look(&LetChildLook);
    STUDENT(parallel_sum)
    (reinterpret_cast<const std::int32_t*>(numbers.bytes()), bytes.size() / sizeof(std::int32_t),
     static_cast<int>(args.Int("workers")), &sum);
  }
  Report("sum", sum);
  Report("other", waitpid(other, nullptr, 0) == other);
  return 0;
}

Helper StartAdding(Sandbox& box, const std::string& numbers, int workers) {
  return box.Start("AddsUp", {{"numbers", Binary(numbers)}, {"workers", workers}});
}

// Children that parallel_sum() has started, for whichever caller.
std::size_t Started(const Sandbox& box) {
  return static_cast<std::size_t>(std::ranges::count_if(
      box.Children(), [](const Process& child) { return child.function == "parallel_sum"; }));
}

void ExpectSum(const Helper& caller, const std::string& numbers,
               const std::string& circumstance = "") {
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_TRUE(caller.Reported("sum") == Sum(numbers))
      << "The sum is " << Sum(numbers) << ", not " << caller.Reported("sum") << "." << circumstance;
}

// Far from the end of what an int can hold.
std::string SmallNumbers(std::size_t n) {
  std::vector<std::int32_t> numbers(n);
  for (std::int32_t& number : numbers) number = static_cast<std::int32_t>(RandomInt(-9999, 9999));
  return std::string(reinterpret_cast<const char*>(numbers.data()), n * sizeof(numbers[0]));
}

TEST_F(Workers, AddUpInTheCallersPlace) {
  struct Case {
    std::size_t n;
    int workers;
    std::size_t children;
  };
  Sandbox box;
  for (const Case& c : {Case{1000, 3, 3}, Case{5, 5, 5}, Case{2, 5, 2}, Case{0, 3, 0}}) {
    const std::size_t before = Started(box);
    const std::string numbers = SmallNumbers(c.n);

    Helper caller = StartAdding(box, numbers, c.workers);

    EXPECT_THAT(caller.Wait(), Exited(0)) << "only its children could read v";
    ExpectSum(caller, numbers);
    EXPECT_TRUE(Started(box) - before == c.children)
        << "For " << c.workers << " workers and " << c.n << " numbers " << Started(box) - before
        << " children were started instead of " << c.children << ".";
  }
}

TEST_F(Workers, AddUpBeyond32Bits) {
  Sandbox box;
  std::vector<std::int32_t> large(7, INT_MAX - static_cast<int>(RandomInt(0, 1000)));
  const std::string numbers(reinterpret_cast<const char*>(large.data()),
                            large.size() * sizeof(large[0]));

  Helper caller = StartAdding(box, numbers, 2);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectSum(caller, numbers);
}

TEST_F(Workers, WorkAtTheSameTime) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int births = HoldBirth(box, 0);
  const std::string numbers = SmallNumbers(1000);
  constexpr std::size_t kWorkers = 4;

  Helper caller = StartAdding(box, numbers, kWorkers);
  const auto together = [&] { return box.observer().Held(births).size(); };
  EXPECT_TRUE(Comes(box, [&] { return together() == kWorkers || AtRest(box); }));
  EXPECT_TRUE(together() == kWorkers) << "Of " << kWorkers << " workers " << together()
                                      << " had been started when the caller began to wait.";
  box.Release(births);

  EXPECT_THAT(caller.Wait(), Exited(0));
  ExpectSum(caller, numbers);
}

TEST_F(Workers, AreWaitedForBeforeTheSum) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const int last : {1, 2, 3}) {
    const int birth = HoldBirth(box, last);
    const std::string numbers = SmallNumbers(150);

    Helper caller = StartAdding(box, numbers, 3);
    EXPECT_TRUE(WaitsForTheHeld(box, caller, birth));
    box.Release(birth);

    EXPECT_THAT(caller.Wait(), Exited(0));
    ExpectSum(caller, numbers,
              " Worker " + std::to_string(last) +
                  " of 3 came late: was its sum there when it was added?");
  }
}

TEST_F(Workers, AreMissedWhenOneIsKilled) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int birth = HoldBirth(box, 1);

  Helper caller = StartAdding(box, SmallNumbers(150), 3);
  EXPECT_TRUE(SomebodyComesTo(box, birth));
  for (const pid_t worker : box.observer().Held(birth)) {
    Check(kill(worker, SIGKILL), "kill");
    EXPECT_TRUE(Ends(box, worker));
  }

  EXPECT_THAT(caller.Wait(), Exited(0)) << "one of three workers was killed";
  EXPECT_THAT(caller.call(), FailedWith(ECANCELED)) << "one of three workers was killed";
  EXPECT_TRUE(caller.Reported("sum") == kUntouchedSum) << "It failed and yet changed *out.";
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
}

// ---- Errors and clean-up -----------------------------------------------------------------------

HELPER(AsksForWhatIsWrong) {
  std::int64_t sum = 0;
  const std::int32_t v[] = {1, 2, 3};
  STUDENT(shared_alloc)(0, 0);
  STUDENT(shared_alloc)(0, 1);
  STUDENT(parallel_sum)(v, 3, 0, &sum);
  STUDENT(parallel_sum)(v, 3, -1, &sum);
  Pages page(PageSize(), PROT_READ, MAP_SHARED | MAP_ANONYMOUS);
  STUDENT(shared_free)(page.bytes() + 1, PageSize());
  return 0;
}

HELPER(AsksForMemory) {
  std::int64_t sum = kUntouchedSum;
  const std::int32_t v[] = {1, 2, 3};
  STUDENT(shared_alloc)(5000, 0);
  STUDENT(shared_alloc)(5000, 1);
  STUDENT(parallel_sum)(v, 3, 2, &sum);
  Report("sum", sum);
  return 0;
}

TEST_F(Workers, ReportWhatIsWrong) {
  Sandbox box;
  Helper caller = box.Start("AsksForWhatIsWrong");
  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(EINVAL)) << "n is 0";
  EXPECT_THAT(caller.call(1), FailedWith(EINVAL)) << "n is 0";
  EXPECT_THAT(caller.call(2), FailedWith(EINVAL)) << "there are 0 workers";
  EXPECT_THAT(caller.call(3), FailedWith(EINVAL)) << "there are -1 workers";
  EXPECT_THAT(caller.call(4), FailedWith(EINVAL)) << "the address is not page-aligned";

  Sandbox full({.watch = {Family::kMap}});
  FailMmap(full, ENOMEM, 0, /*files=*/false);
  Helper poor = full.Start("AsksForMemory");
  EXPECT_THAT(poor.Wait(), Exited(0)) << "mmap() failed";
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(poor.call(i), FailedWith(ENOMEM)) << "mmap() failed";
    EXPECT_THAT(LeftBehind(full, poor.call(i)), NothingLeftBehind());
  }

  Sandbox crowded;
  crowded.Fail(Family::kFork, EAGAIN, 2);
  Helper lonely = StartAdding(crowded, SmallNumbers(150), 3);
  EXPECT_THAT(lonely.Wait(), Exited(0));
  EXPECT_THAT(lonely.call(), FailedWith(EAGAIN)) << "the second fork() failed";
  EXPECT_TRUE(lonely.Reported("sum") == kUntouchedSum) << "It failed and yet changed *out.";
  EXPECT_THAT(LeftBehind(crowded, lonely.call()), NothingLeftBehind());
}

TEST_F(Workers, LeaveNothingBehind) {
  Sandbox box({.watch = {Family::kMap, Family::kSignalSend}});
  const std::string numbers = SmallNumbers(150);

  Helper caller = StartAdding(box, numbers, 3);

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
  EXPECT_THAT(MapsLeft(box, caller), NothingLeftBehind());
  EXPECT_TRUE(caller.Reported("other") == 1)
      << "parallel_sum() has waited for a child of the caller that is not its own.";
  EXPECT_FALSE(AnyChildStrayed(box)) << "A child came back from parallel_sum() into the caller's "
                                        "code.";
  Helper memory =
      box.Start("SharesMemory", {{"n", 5000}, {"zero", 1}, {"mine", 17}, {"childs", 99}});
  EXPECT_THAT(memory.Wait(), Exited(0));
  for (const std::string& left : LeftBehind(box, memory.call("shared_alloc"))) {
    EXPECT_TRUE(left.starts_with("mapping of ")) << "left behind: " << left;
  }
}

}  // namespace
}  // namespace ipclab
