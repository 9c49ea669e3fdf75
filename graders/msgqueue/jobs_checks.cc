// Exercise msgqueue.4: priorities.

#include <signal.h>

#include <map>
#include <sstream>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::jobs_put;
using msgqueue::jobs_take;
using msgqueue::jobs_take_only;

EXERCISE(Jobs);

int QueueOf(const Args& args) { return static_cast<int>(args.Int("qid")); }

int PutJob(int qid, int prio, const std::string& job) {
  return STUDENT(jobs_put)(qid, prio, job.data(), job.size());
}

// Takes a job and reports as KEY "priority:job", or "none".
ssize_t TakeJob(const std::string& key, int qid, int worst, std::size_t cap, int wait) {
  std::string buffer(cap + 16, '#');
  int prio = 77;
  const ssize_t got = STUDENT(jobs_take)(qid, worst, buffer.data(), cap, &prio, wait);
  const std::size_t size = got < 0 ? 0 : std::min(static_cast<std::size_t>(got), cap);
  Report(key, got < 0 ? "none" : std::to_string(prio) + ":" + buffer.substr(0, size));
  Report(key + "_prio", prio);
  return got;
}

ssize_t TakeOnly(const std::string& key, int qid, int prio, std::size_t cap, int wait) {
  std::string buffer(cap, '#');
  const ssize_t got = STUDENT(jobs_take_only)(qid, prio, buffer.data(), cap, wait);
  const std::size_t size = got < 0 ? 0 : std::min(static_cast<std::size_t>(got), cap);
  Report(key, got < 0 ? "none" : buffer.substr(0, size));
  return got;
}

// ---- Which job ----------------------------------------------------------------------------------

HELPER(TakesAllJobs) {
  const OwnQueue queue;
  const int low = static_cast<int>(args.Int("low")), high = static_cast<int>(args.Int("high"));
  for (const auto& [prio, job] : {std::pair(high, "a"),
                                  {low, "b"},
                                  {99, "c"},
                                  {low, "d"},
                                  {1, "e"},
                                  {high, "f"},
                                  {low, ""}}) {
    if (PutJob(queue.id(), prio, job) != 0) return 1;
  }
  for (const char* const key : {"1", "2", "3", "4", "5", "6", "7"}) {
    if (TakeJob(key, queue.id(), 99, 100, 1) < 0) return 2;
  }
  return 0;
}

TEST_F(Jobs, TakesTheBestFirst) {
  Sandbox box;
  const std::int64_t low = RandomInt(2, 40), high = RandomInt(41, 98);

  Helper worker = box.Start("TakesAllJobs", {{"low", low}, {"high", high}});

  EXPECT_THAT(OutcomeOf(worker), Succeeds());
  std::string order;
  for (const char* const key : {"1", "2", "3", "4", "5", "6", "7"}) {
    order += worker.ReportedBytes(key) + " ";
  }
  const std::string l = std::to_string(low), h = std::to_string(high);
  EXPECT_THAT(order, IsText("1:e " + l + ":b " + l + ":d " + l + ": " + h + ":a " + h + ":f 99:c "))
      << "put in this order: " << h << ":a " << l << ":b 99:c " << l << ":d 1:e " << h << ":f " << l
      << ":";
}

HELPER(TakesUpToABorder) {
  const OwnQueue queue;
  const int border = static_cast<int>(args.Int("border"));
  PutRaw(queue.id(), border + 1, "worse");
  TakeJob("worse", queue.id(), border, 100, 0);
  PutRaw(queue.id(), border, "just");
  TakeJob("nearly", queue.id(), border - 1, 100, 0);
  TakeJob("just", queue.id(), border, 100, 0);
  Report("left", TakeRaw(queue.id(), 0).value_or("(no message)"));
  return 0;
}

TEST_F(Jobs, TakesUpToTheWorstThatIsAccepted) {
  Sandbox box;
  const std::int64_t border = RandomInt(2, 98);

  Helper worker = box.Start("TakesUpToABorder", {{"border", border}});

  EXPECT_THAT(OutcomeOf(worker), ComesToItsEnd());
  EXPECT_THAT(worker.call(0), FailedWith(ENOMSG)) << "there is only a job one worse than accepted";
  EXPECT_THAT(worker.call(1), FailedWith(ENOMSG)) << "there are only jobs one worse and two worse";
  EXPECT_THAT(worker.call(2), Returned(4)) << "there is a job of just this priority";
  EXPECT_THAT(worker.ReportedBytes("just"), IsText(std::to_string(border) + ":just"));
  EXPECT_TRUE(worker.Reported("nearly_prio") == 77) << "*prio has changed on failure";
  EXPECT_THAT(worker.ReportedBytes("left"), IsText("worse")) << "what is left in the queue";
}

HELPER(TakesExactly) {
  const OwnQueue queue;
  const int prio = static_cast<int>(args.Int("prio"));
  for (const auto& [type, job] :
       {std::pair(prio - 1, "better"), {prio, "first"}, {prio + 1, "worse"}, {prio, "second"}}) {
    PutRaw(queue.id(), type, job);
  }
  for (const char* const key : {"1", "2", "3"}) TakeOnly(key, queue.id(), prio, 100, 0);
  std::string left;
  while (const auto message = TakeRaw(queue.id(), 0)) left += *message + " ";
  Report("left", left);
  return 0;
}

TEST_F(Jobs, TakesJobsOfOnePriorityOnly) {
  Sandbox box;

  Helper worker = box.Start("TakesExactly", {{"prio", RandomInt(2, 98)}});

  EXPECT_THAT(OutcomeOf(worker), ComesToItsEnd());
  EXPECT_THAT(worker.ReportedBytes("1"), IsText("first"));
  EXPECT_THAT(worker.ReportedBytes("2"), IsText("second"));
  EXPECT_THAT(worker.call(2), FailedWith(ENOMSG)) << "there are only better and worse jobs";
  EXPECT_THAT(worker.ReportedBytes("left"), IsText("better worse ")) << "what is left in the queue";
}

HELPER(WorksBesideOthers) {
  const OwnQueue queue;
  PutRaw(queue.id(), 100, "hundred");
  PutRaw(queue.id(), 5000, "more");
  TakeJob("nothing", queue.id(), 99, 100, 0);
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  const int prio = static_cast<int>(args.Int("prio"));
  PutJob(queue.id(), prio, "job");
  Report("raw", TakeRaw(queue.id(), prio).value_or("(no message)"));
  return 0;
}

TEST_F(Jobs, LeavesMessagesThatAreNoJobs) {
  Sandbox box;

  Helper worker = box.Start("WorksBesideOthers", {{"prio", RandomInt(1, 99)}});

  EXPECT_THAT(OutcomeOf(worker), ComesToItsEnd());
  EXPECT_THAT(worker.call(0), FailedWith(ENOMSG)) << "there are only messages of types above 99";
  EXPECT_TRUE(worker.Reported("messages") == 2)
      << "two messages of types above 99 were there, now the queue holds "
      << Count(worker.Reported("messages"), "message");
  EXPECT_THAT(worker.ReportedBytes("raw"), IsText("job"))
      << "a job was put, and this is the message whose type is its priority";
}

// ---- Several workers ----------------------------------------------------------------------------

constexpr int kJobs = 300;

HELPER(PutsManyJobs) {
  std::mt19937_64 random(static_cast<std::uint64_t>(args.Int("seed")));
  for (int nth = 0; nth < kJobs; ++nth) {
    PutRaw(QueueOf(args), static_cast<long>(random() % 99 + 1), std::to_string(nth));
  }
  return 0;
}

// Reports "priority:job " of all jobs that this worker got.
HELPER(WorksUntilNothingIsLeft) {
  // Not all through STUDENT: a census before and after each of so many calls would take long.
  const auto take = reinterpret_cast<decltype(&jobs_take)>(SubmissionSymbol("jobs_take"));
  char job[16];
  int prio = 0;
  ssize_t got = STUDENT(jobs_take)(QueueOf(args), 99, job, sizeof job, &prio, 0);
  std::string done;
  while (got >= 0) {
    done += std::to_string(prio) + ":" + std::string(job, static_cast<std::size_t>(got)) + " ";
    got = take(QueueOf(args), 99, job, sizeof job, &prio, 0);
  }
  const int error = errno;
  Report("done", done);
  return error == ENOMSG ? 0 : 1;
}

// The jobs in the order in which a worker did them, as pairs of priority and number.
std::vector<std::pair<int, int>> JobsDoneBy(const Helper& worker) {
  std::vector<std::pair<int, int>> jobs;
  std::istringstream text(worker.ReportedBytes("done"));
  int prio = 0, number = 0;
  char colon = 0;
  while (text >> prio >> colon >> number) jobs.emplace_back(prio, number);
  return jobs;
}

TEST_F(Jobs, GivesEachJobToOneWorker) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  Helper putter = box.Start("PutsManyJobs", {{"qid", qid}, {"seed", RandomInt(1, INT32_MAX)}});
  ASSERT_THAT(putter.Wait(), Exited(0));

  // One is held in the middle of its work until the others have done all of theirs; if it needs
  // two calls for a job, between the two.
  std::vector<Helper> workers = {box.Start("WorksUntilNothingIsLeft", {{"qid", qid}})};
  // Most of its calls are made without STUDENT: they count as well.
  const auto receives = [pid = workers[0].pid()](const Event& event) {
    return event.pid == pid && event.number == SYS_msgrcv;
  };
  const int gate = box.AddRule({.family = Family::kMessages,
                                .nth = 2 * static_cast<int>(RandomInt(1, 10)),
                                .where = receives,
                                .hold = true});
  EXPECT_TRUE(IsHeldBeforeItEnds(box, workers[0], gate)) << "a worker ended with few jobs done";
  for (int other = 0; other < 2; ++other) {
    workers.push_back(box.Start("WorksUntilNothingIsLeft", {{"qid", qid}}));
  }
  const auto others_ended = [&] {
    return !workers[1].process().alive && !workers[2].process().alive;
  };
  EXPECT_TRUE(Comes(box, [&] { return others_ended() || AtRest(box); }));
  box.Release(gate);
  for (Helper& worker : workers) EXPECT_THAT(OutcomeOf(worker), Succeeds());

  std::map<int, int> times;
  for (const Helper& worker : workers) {
    const auto jobs = JobsDoneBy(worker);
    for (const auto& [prio, number] : jobs) ++times[number];
    EXPECT_TRUE(std::ranges::is_sorted(jobs))
        << "nothing was put meanwhile, and a worker got a worse job before a better one, or a "
           "younger one before an older one";
  }
  int missing = 0, twice = 0;
  for (int number = 0; number < kJobs; ++number) {
    missing += times[number] == 0 ? 1 : 0;
    twice += times[number] > 1 ? 1 : 0;
  }
  EXPECT_TRUE(missing == 0 && twice == 0)
      << "of " << kJobs << " jobs that three workers shared, " << missing << " were not done and "
      << twice << " were done more than once";
}

// ---- Waiting ------------------------------------------------------------------------------------

HELPER(TakesOneJob) {
  const Action handler(SIGUSR1, DoNothing);
  const int prio = static_cast<int>(args.Int("prio"));
  const ssize_t got = args.Int("only") != 0 ? TakeOnly("job", QueueOf(args), prio, 100, 1)
                                            : TakeJob("job", QueueOf(args), prio, 100, 1);
  return got >= 0 ? 0 : 1;
}

HELPER(PutsOneJob) {
  const Action handler(SIGUSR1, DoNothing);
  return PutJob(QueueOf(args), static_cast<int>(args.Int("prio")), args.Bytes("job")) == 0 ? 0 : 1;
}

TEST_F(Jobs, SleepsUntilThereIsAGoodEnoughJob) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box);
  const int prio = static_cast<int>(RandomInt(2, 98));
  for (const int only : {0, 1}) {
    Helper worker = box.Start("TakesOneJob", {{"qid", qid}, {"prio", prio}, {"only", only}});
    ASSERT_TRUE(SleepsInQueueCall(box, worker, "for a job"));
    Put(box, qid, prio + 1, "worse");
    ASSERT_TRUE(SleepsInQueueCall(box, worker, "when a worse job came"));
    ASSERT_TRUE(IsDisturbed(box, worker, SIGUSR1));
    ASSERT_TRUE(SleepsInQueueCall(box, worker, "any more after a signal"));
    Put(box, qid, prio, "good");
    EXPECT_THAT(OutcomeOf(worker), Succeeds());
    EXPECT_THAT(worker.ReportedBytes("job"),
                IsText(only != 0 ? "good" : std::to_string(prio) + ":good"));
  }
}

TEST_F(Jobs, SleepsUntilThereIsRoomForTheJob) {
  Sandbox box({.watch = {Family::kMessages}});
  const int qid = NewQueue(box, /*capacity=*/100);
  Put(box, qid, 100, std::string(80, 'f'));

  Helper putter = box.Start("PutsOneJob", {{"qid", qid}, {"prio", 7}, {"job", RandomWord(60)}});
  ASSERT_TRUE(SleepsInQueueCall(box, putter, "for room"));
  ASSERT_TRUE(IsDisturbed(box, putter, SIGUSR1));
  ASSERT_TRUE(SleepsInQueueCall(box, putter, "any more after a signal"));
  EXPECT_THAT(box.Start("TakesAMessage", {{"qid", qid}, {"type", 100}}).Wait(), Exited(0));

  EXPECT_THAT(OutcomeOf(putter), Succeeds());
  EXPECT_THAT(box.Start("TakesAMessage", {{"qid", qid}, {"type", 7}}).Wait(), Exited(0));
}

// ---- Errors -------------------------------------------------------------------------------------

HELPER(NamesWrongPriorities) {
  const OwnQueue queue;
  for (const int prio : {0, 100, -5}) PutJob(queue.id(), prio, "x");
  PutJob(queue.id(), 1, std::string(8193, 'x'));
  Report("messages", static_cast<std::int64_t>(MessagesIn(queue.id())));
  PutRaw(queue.id(), 5, "x");
  PutRaw(queue.id(), 100, "x");
  for (const int prio : {0, 100, -5}) TakeJob("all", queue.id(), prio, 100, 0);
  for (const int prio : {0, 100, -5}) TakeOnly("only", queue.id(), prio, 100, 0);
  return 0;
}

TEST_F(Jobs, RefusesWhatIsNoPriority) {
  Sandbox box;

  Helper caller = box.Start("NamesWrongPriorities");

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  const char* const kWrong[] = {"priority 0", "priority 100", "priority -5"};
  for (std::size_t nth = 0; nth < 3; ++nth) {
    EXPECT_THAT(caller.call(nth), FailedWith(EINVAL)) << kWrong[nth];
    EXPECT_THAT(caller.call(4 + nth), FailedWith(EINVAL)) << kWrong[nth];
    EXPECT_THAT(caller.call(7 + nth), FailedWith(EINVAL)) << kWrong[nth];
  }
  EXPECT_THAT(caller.call(3), FailedWith(EMSGSIZE)) << "a job of 8193 bytes";
  EXPECT_TRUE(caller.Reported("messages") == 0) << "something was put all the same";
}

HELPER(TakesTooLittle) {
  const OwnQueue queue;
  const std::string job = args.Bytes("job");
  PutRaw(queue.id(), 3, job);
  PutRaw(queue.id(), 4, "next");
  TakeJob("short", queue.id(), 9, job.size() - 1, 1);
  TakeOnly("short", queue.id(), 3, job.size() - 1, 1);
  TakeJob("whole", queue.id(), 9, job.size(), 1);
  TakeOnly("next", queue.id(), 4, 4, 1);
  return 0;
}

TEST_F(Jobs, LeavesAJobThatDoesNotFit) {
  Sandbox box({.watch = {Family::kMessages}});
  const std::string job = RandomWord(static_cast<std::size_t>(RandomInt(5, 60)));

  Helper worker = box.Start("TakesTooLittle", {{"job", job}});

  ASSERT_TRUE(EndsWithoutRepeating(box, worker, 300)) << "the job is one byte longer than `cap`";
  EXPECT_THAT(OutcomeOf(worker), ComesToItsEnd());
  EXPECT_THAT(worker.call(0), FailedWith(E2BIG)) << "the job is one byte longer than `cap`";
  EXPECT_THAT(worker.call(1), FailedWith(E2BIG)) << "the job is one byte longer than `cap`";
  EXPECT_TRUE(worker.Reported("short_prio") == 77) << "*prio has changed on failure";
  EXPECT_THAT(worker.ReportedBytes("whole"), IsText("3:" + job)) << "`cap` is large enough now";
  EXPECT_THAT(worker.ReportedBytes("next"), IsText("next"));
  EXPECT_THAT(worker.Leftovers(), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
