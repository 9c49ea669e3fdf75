// Exercise fifo.3: opening rules.

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include "common/grading/around.h"
#include "graders/fifo/expectations.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::fifo_open_read;
using fifo::fifo_open_server;
using fifo::fifo_open_write;

EXERCISE(OpeningRules);

constexpr int kNoLimit = -1;
constexpr int kLong = 60'000;
constexpr int kUntouched = 4711;

// ---- Helpers ------------------------------------------------------------------------------------

void CloseIfOpen(int fd) {
  if (fd > 2) close(fd);
}

// Opens within `timeout`, reports how it went and what came out of it.
HELPER(OpensToRead) {
  using std::chrono::steady_clock;
  const Action on_signal(SIGUSR1, &DoNothing);
  const auto timeout = static_cast<int>(args.Int("timeout"));
  const auto start = steady_clock::now();
  const int fd = STUDENT(fifo_open_read)(args.Bytes("path").c_str(), timeout);
  const auto took = steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(timeout) ? 1 : 0);
  if (fd == -1) {
    if (args.Int("stays", 0) != 0) Gate();
    return 0;
  }
  Report("came", ReadHere(fd));
  CloseIfOpen(fd);
  return 0;
}

HELPER(OpensToWrite) {
  using std::chrono::steady_clock;
  const Action on_signal(SIGUSR1, &DoNothing);
  const auto timeout = static_cast<int>(args.Int("timeout"));
  const auto start = steady_clock::now();
  const int fd = STUDENT(fifo_open_write)(args.Bytes("path").c_str(), timeout);
  const auto took = steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(timeout) ? 1 : 0);
  if (fd == -1) {
    if (args.Int("stays", 0) != 0) Gate();
    return 0;
  }
  WriteHere(fd, args.Bytes("bytes"));
  CloseIfOpen(fd);
  return 0;
}

// Serves like this: what each client sends is read to its last byte, then the next read waits.
HELPER(OpensToServe) {
  int keeper = kUntouched;
  const int fd = STUDENT(fifo_open_server)(args.Bytes("path").c_str(), &keeper);
  Report("keeper", keeper);
  if (fd == -1) return 0;
  std::string came;
  for (const auto wanted = static_cast<std::size_t>(args.Int("bytes", 0)); came.size() < wanted;) {
    char buffer[100];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got == 0) Report("saw_the_end", 1);
    if (got <= 0) break;
    came.append(buffer, static_cast<std::size_t>(got));
  }
  Report("came", came);
  CloseIfOpen(fd);
  if (keeper != kUntouched) CloseIfOpen(keeper);
  return 0;
}

// A process that knows nothing of the rules: it waits for the other side.
HELPER(ComesToWrite) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_WRONLY), "open"));
  const std::string bytes = args.Bytes("bytes");
  if (!bytes.empty()) WriteHere(fifo.get(), bytes);
  return 0;
}

HELPER(ComesToRead) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDONLY), "open"));
  Report("came", ReadHere(fifo.get()));
  return 0;
}

// Stays on both sides of the FIFO until the gate opens, with some bytes in it if wanted.
HELPER(StaysThere) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDWR), "open"));
  const std::string bytes = args.Bytes("bytes");
  if (!bytes.empty()) WriteHere(fifo.get(), bytes);
  Gate();
  return 0;
}

// Who is on the other side, by what the kernel tells those who do not wait.
HELPER(LooksForOthers) {
  const std::string path = args.Bytes("path");
  const Fd write_end(open(path.c_str(), O_WRONLY | O_NONBLOCK));
  Report("reader_there", write_end ? 1 : 0);
  Report("error", write_end ? 0 : errno);
  if (write_end) return 0;
  const Fd read_end(Check(open(path.c_str(), O_RDONLY | O_NONBLOCK), "open"));
  char byte = 0;
  Report("writer_there", read(read_end.get(), &byte, 1) == 0 ? 0 : 1);
  return 0;
}

// Serves the box until the call has found nobody on the other side and goes on waiting.
testing::AssertionResult HasTriedToOpen(Sandbox& box, const Helper& helper) {
  const auto found_nobody = [&](const Event& event) {
    return event.pid == helper.pid() && !event.function.empty() && event.FailedWith(ENXIO);
  };
  const testing::AssertionResult came =
      Comes(box, [&] { return std::ranges::any_of(box.events(), found_nobody) || AtRest(box); });
  if (!came) return came;
  if (helper.process().alive && !helper.call().returned) return testing::AssertionSuccess();
  return testing::AssertionFailure() << WhatBecameOf(helper);
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(OpeningRules, OpensForReadingWhenAWriterComes) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomWord(20);
  const auto meet = [&](Helper reader, Helper writer, const std::string& want, const char* who) {
    EXPECT_THAT(writer.Wait(), Exited(0)) << who;
    EXPECT_THAT(reader.Wait(), Exited(0)) << who;
    EXPECT_THAT(reader.ReportedBytes("came"), IsText(want)) << who;
    EXPECT_FALSE(reader.call().value == -1) << who << ", and " << DescribeCall(reader.call());
  };

  for (const int timeout : {kNoLimit, kLong}) {
    Bystander bystander(box);
    Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", timeout}});
    EXPECT_TRUE(StillWaits(box, reader)) << "and no writer had come yet";
    Helper late = box.Start("ComesToWrite", {{"path", path}, {"bytes", bytes}});
    bystander.Leave();
    meet(reader, late, bytes, "the reader was first");

    Helper writer = box.Start("ComesToWrite", {{"path", path}, {"bytes", bytes}});
    meet(box.Start("OpensToRead", {{"path", path}, {"timeout", timeout}}), writer, bytes,
         "the writer was first");
  }
  Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", kLong}});
  EXPECT_TRUE(StillWaits(box, reader)) << "and no writer had come yet";
  meet(reader, box.Start("ComesToWrite", {{"path", path}, {"bytes", ""}}), "",
       "a writer came and left again without a word");
}

TEST_F(OpeningRules, OpensForWritingWhenAReaderComes) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomWord(20);
  const auto meet = [&](Helper writer, Helper reader, const char* who) {
    EXPECT_THAT(writer.Wait(), Exited(0)) << who;
    EXPECT_FALSE(writer.call().value == -1) << who << ", and " << DescribeCall(writer.call());
    EXPECT_THAT(reader.Wait(), Exited(0)) << who;
    EXPECT_THAT(reader.ReportedBytes("came"), IsText(bytes)) << who;
  };
  const auto begin = [&](int timeout) {
    return box.Start("OpensToWrite", {{"path", path}, {"timeout", timeout}, {"bytes", bytes}});
  };

  for (const int timeout : {kNoLimit, kLong}) {
    Bystander bystander(box);
    Helper writer = begin(timeout);
    EXPECT_TRUE(HasTriedToOpen(box, writer)) << "and no reader had come yet";
    bystander.Leave();
    meet(writer, box.Start("ComesToRead", {{"path", path}}), "the writer was first");

    Bystander other(box);
    Helper reader = box.Start("ComesToRead", {{"path", path}});
    EXPECT_TRUE(reader.WaitUntilBlockedIn({Family::kOpen})) << box.failure();
    other.Leave();
    meet(begin(timeout), reader, "the reader was first");
  }
}

TEST_F(OpeningRules, GivesUpInTime) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  for (const char* helper : {"OpensToRead", "OpensToWrite"}) {
    for (const int timeout : {0, 25}) {
      Helper opens = box.Start(helper, {{"path", path}, {"timeout", timeout}, {"bytes", ""}});
      EXPECT_THAT(opens.Wait(), Exited(0));
      EXPECT_THAT(opens.call(), FailedWith(ETIMEDOUT)) << "within " << timeout << " ms";
      EXPECT_TRUE(opens.Reported("too_early") == 0)
          << opens.call().function << "() gave up before its " << timeout << " ms were over";
    }
  }

  // One try is enough when somebody is there.
  const int gate = HoldAtGate(box);
  box.Start("StaysThere", {{"path", path}, {"bytes", "hello"}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  Helper writer = box.Start("OpensToWrite", {{"path", path}, {"timeout", 0}, {"bytes", "!"}});
  EXPECT_TRUE(Leaves(box, writer));
  EXPECT_FALSE(writer.call().value == -1)
      << "a reader was there, and " << DescribeCall(writer.call());
  Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", 0}});
  EXPECT_TRUE(ComesToRest(box));
  EXPECT_TRUE(reader.call().returned && reader.call().value != -1)
      << "there were bytes to read, and " << DescribeCall(reader.call());
  box.Release(gate);
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.ReportedBytes("came"), IsText("hello!"));
}

TEST_F(OpeningRules, IsNobodyAfterTheTimeout) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  for (const char* helper : {"OpensToRead", "OpensToWrite"}) {
    const int gate = HoldAtGate(box);
    Helper gives_up =
        box.Start(helper, {{"path", path}, {"timeout", 1}, {"stays", 1}, {"bytes", ""}});
    ASSERT_TRUE(box.WaitUntilHeld(gate)) << "it never gave up: " << box.failure();

    Helper looks = box.Start("LooksForOthers", {{"path", path}});
    EXPECT_THAT(looks.Wait(), Exited(0));

    EXPECT_THAT(gives_up.call(), FailedWith(ETIMEDOUT));
    EXPECT_TRUE(looks.Reported("reader_there") == 0)
        << "After " << gives_up.call().function << "() had given up, another process opened the "
        << "FIFO for writing and was told that a reader was there";
    EXPECT_TRUE(looks.Reported("writer_there", 0) == 0)
        << "After " << gives_up.call().function << "() had given up, another process opened the "
        << "FIFO for reading and was told that a writer was there";
    EXPECT_THAT(LeftBehind(box, gives_up.call()), NothingLeftBehind());
    box.Release(gate);
    EXPECT_THAT(gives_up.Wait(), Exited(0));
  }
}

// The descriptor that a call returned, as it stood right after it.
const Descriptor* Returned(const StudentCall& call) {
  return call.after.Find(static_cast<int>(call.value));
}

void ExpectBlockingEnd(const StudentCall& call, const std::string& path, bool to_read) {
  const Descriptor* const end = Returned(call);
  ASSERT_TRUE(end != nullptr && end->target.ends_with("/" + path))
      << DescribeCall(call) << ", which is no descriptor of the FIFO";
  EXPECT_TRUE(to_read ? end->Readable() : end->Writable())
      << DescribeCall(call) << ", which is not open for " << (to_read ? "reading" : "writing");
  EXPECT_TRUE((end->status_flags & O_NONBLOCK) == 0)
      << "O_NONBLOCK is set on the descriptor that " << call.function << "() returned";
}

// A reader and a writer that find somebody there, so that neither has to wait.
struct Pair {
  Helper reader;
  Helper writer;
};

Pair OpenBothEnds(Sandbox& box, const std::string& path) {
  const int gate = HoldAtGate(box);
  box.Start("StaysThere", {{"path", path}, {"bytes", "hello"}});
  EXPECT_TRUE(SomebodyComesTo(box, gate));
  Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", kNoLimit}});
  Helper writer =
      box.Start("OpensToWrite", {{"path", path}, {"timeout", kNoLimit}, {"bytes", "!"}});
  EXPECT_TRUE(Leaves(box, writer));
  EXPECT_TRUE(ComesToRest(box));
  box.Release(gate);
  EXPECT_THAT(reader.Wait(), Exited(0));
  return {reader, writer};
}

TEST_F(OpeningRules, ReturnsABlockingDescriptor) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);

  const Pair pair = OpenBothEnds(box, path);
  ExpectBlockingEnd(pair.reader.call(), path, true);
  ExpectBlockingEnd(pair.writer.call(), path, false);

  Helper server = box.Start("OpensToServe", {{"path", path}});
  EXPECT_THAT(server.Wait(), Exited(0));
  ExpectBlockingEnd(server.call(), path, true);
}

TEST_F(OpeningRules, ServerOutlivesItsClients) {
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomWord(30);
  Bystander bystander(box);

  Helper server = box.Start("OpensToServe", {{"path", path}, {"bytes", 30}});
  EXPECT_TRUE(ComesToRest(box));
  ASSERT_TRUE(server.call().returned) << "no client had come yet, and the server waited for one";
  ASSERT_FALSE(server.call().value == -1) << DescribeCall(server.call());
  for (const std::size_t from : {0, 10, 20}) {
    ASSERT_TRUE(server.Reported("saw_the_end", 0) == 0)
        << "There was no client, and read() on the server's descriptor reported the end of file.";
    Helper client = box.Start("ComesToWrite", {{"path", path}, {"bytes", bytes.substr(from, 10)}});
    ASSERT_TRUE(Leaves(box, client)) << "though the server was there";
    EXPECT_TRUE(ComesToRest(box));
  }
  bystander.Leave();

  EXPECT_THAT(server.Wait(), Exited(0));
  EXPECT_THAT(server.ReportedBytes("came"), IsText(bytes));
  const auto keeper = static_cast<int>(server.Reported("keeper"));
  const Descriptor* const kept = server.call().after.Find(keeper);
  EXPECT_TRUE(keeper == -1 || (kept != nullptr && kept->Writable() && kept->IsPipe()))
      << "*keeper_fd is " << keeper << ", which is no write end of the FIFO";
}

// For how long a thread that is about to sleep wants to; nothing if it sleeps until a fixed time.
std::optional<std::chrono::nanoseconds> SleepOf(const Event& event) {
  const bool until = event.number == SYS_clock_nanosleep && (event.args[1] & TIMER_ABSTIME) != 0;
  const std::uint64_t address = event.args[event.number == SYS_nanosleep ? 0 : 2];
  timespec time{};
  iovec local{&time, sizeof(time)};
  iovec remote{reinterpret_cast<void*>(address), sizeof(time)};
  const ssize_t got = process_vm_readv(event.tid, &local, 1, &remote, 1, 0);
  if (until || got != static_cast<ssize_t>(sizeof(time))) return std::nullopt;
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST_F(OpeningRules, SleepsBetweenItsTries) {
  constexpr int kTimeout = 25;
  const std::vector<Family> sleeps = {Family::kPoll, Family::kFutex, Family::kSignalWait};
  Sandbox box({.watch = {Family::kOpen, Family::kPoll, Family::kFutex, Family::kSignalWait}});
  const std::string path = PutFifo(box);
  int naps = 0;
  const auto counts_naps = [&](const Event& event) {
    const auto sleep = event.function.empty() ? std::nullopt : SleepOf(event);
    naps += sleep && *sleep < std::chrono::milliseconds(1) ? 1 : 0;
    return false;
  };
  box.AddRule({.family = Family::kSleep, .nth = 0, .where = counts_naps});

  Helper writer = box.Start("OpensToWrite", {{"path", path}, {"timeout", kTimeout}, {"bytes", ""}});

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(writer.call(), FailedWith(ETIMEDOUT));
  const std::size_t tries = box.Calls(Family::kOpen).size();
  std::size_t pauses = box.Calls(Family::kSleep).size();
  for (const Family family : sleeps) pauses += box.Calls(family).size();
  EXPECT_TRUE(pauses + 2 >= tries) << "fifo_open_write() tried to open the FIFO " << tries
                                   << " times, and went to sleep " << pauses << " times";
  EXPECT_TRUE(tries <= kTimeout + 2)
      << "In " << kTimeout << " ms fifo_open_write() tried to open the FIFO " << tries << " times";
  // The last one may be what is left of the time.
  EXPECT_TRUE(naps <= 1) << "fifo_open_write() went to sleep " << naps
                         << " times for less than a millisecond";
}

TEST_F(OpeningRules, GoesOnWhenASignalComes) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const std::string bytes = RandomWord(20);

  std::optional<Bystander> bystander(box);
  Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", kNoLimit}});
  ASSERT_TRUE(StillWaits(box, reader)) << "and no writer had come yet";
  ASSERT_TRUE(Interrupt(box, reader, SIGUSR1));
  ASSERT_TRUE(StillWaits(box, reader)) << "when a signal came and no writer";
  bystander.reset();
  Helper late_writer = box.Start("ComesToWrite", {{"path", path}, {"bytes", bytes}});
  EXPECT_THAT(late_writer.Wait(), Exited(0));
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.ReportedBytes("came"), IsText(bytes));

  bystander.emplace(box);
  // The signal comes when it goes to sleep between two tries, or waits in another way.
  const int pause = box.Hold(Family::kSleep);
  Helper writer =
      box.Start("OpensToWrite", {{"path", path}, {"timeout", kNoLimit}, {"bytes", bytes}});
  ASSERT_TRUE(HasTriedToOpen(box, writer)) << "and no reader had come yet";
  EXPECT_TRUE(SomebodyComesTo(box, pause) || AtRest(box));
  writer.Signal(SIGUSR1);
  box.Release(pause);
  const auto arrives = [&](const Event& event) {
    return event.kind == Event::Kind::kSignal && event.pid == writer.pid();
  };
  EXPECT_TRUE(Comes(
      box, [&] { return std::ranges::any_of(box.events(), arrives) || !writer.process().alive; }));
  bystander.reset();
  Helper late_reader = box.Start("ComesToRead", {{"path", path}});
  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_FALSE(writer.call().value == -1) << DescribeCall(writer.call()) << " when a signal came";
  EXPECT_THAT(late_reader.Wait(), Exited(0));
  EXPECT_THAT(late_reader.ReportedBytes("came"), IsText(bytes));
}

TEST_F(OpeningRules, WaitsOnlyForTheRestOfItsTime) {
  constexpr int kTimeout = 10;
  constexpr int kEnough = 20;
  Sandbox box({.watch = {Family::kPoll}});
  const std::string path = PutFifo(box);
  // Signals without end. select(2) is spared: it counts down the caller's timeout itself, but only
  // when it has really been made.
  Clock::time_point start;
  int late = 0;
  const auto in_storm = [&](const Event& event) {
    const bool counts = !event.function.empty() && event.number != SYS_pselect6 &&
                        event.number != SYS_select && event.args[2] != 0;
    if (!counts) return false;
    if (start == Clock::time_point()) start = event.at;
    if (event.at > start + std::chrono::milliseconds(kTimeout)) ++late;
    return late <= kEnough;
  };
  box.AddRule({.family = Family::kPoll, .nth = 0, .where = in_storm, .answer = -EINTR});

  Helper reader = box.Start("OpensToRead", {{"path", path}, {"timeout", kTimeout}});

  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.call(), FailedWith(ETIMEDOUT)) << "within " << kTimeout << " ms";
  EXPECT_TRUE(reader.Reported("too_early") == 0)
      << "it gave up before its " << kTimeout << " ms were over, when signals came";
  EXPECT_TRUE(late <= kEnough) << "Signals came all the time. Long after the " << kTimeout
                               << " ms were over, fifo_open_read() still began to wait anew.";
}

TEST_F(OpeningRules, ReportsWhatFailed) {
  // Whoever reports at once has time enough; whoever waits all the same does not wait for long.
  constexpr int kTime = 500;
  Sandbox box({.watch = {Family::kOpen}});
  const std::string name = PutOneOfEach(box, 0);
  const auto call = [&](const char* helper, const std::string& kind) {
    const std::string path = kind == "device" ? "/dev/null" : name + "." + kind;
    Helper caller = box.Start(helper, {{"path", path}, {"timeout", kTime}, {"bytes", ""}});
    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    return caller.call();
  };

  for (const char* helper : {"OpensToRead", "OpensToWrite", "OpensToServe"}) {
    EXPECT_THAT(call(helper, "not"), FailedWith(ENOENT)) << "of a path that is not there";
    EXPECT_THAT(call(helper, "device"), FailedWith(EINVAL)) << "of a device";
    if (ModesCount()) {
      EXPECT_THAT(call(helper, "fifo"), FailedWith(EACCES)) << "of a FIFO with mode 0000";
    }
    box.Fail(Family::kOpen, EMFILE);
    EXPECT_THAT(call(helper, "fifo"), FailedWith(EMFILE)) << "when open() failed";
  }
}

TEST_F(OpeningRules, LeavesNothingBehind) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  const std::string path = PutFifo(box);

  const int second = box.AddRule({.family = Family::kOpen, .nth = 2, .answer = -EMFILE});
  Helper halfway = box.Start("OpensToServe", {{"path", path}});
  EXPECT_THAT(halfway.Wait(), Exited(0));
  if (box.observer().Matches(second) >= 2) {
    EXPECT_THAT(halfway.call(), FailedWith(EMFILE)) << "its second open() failed";
    EXPECT_THAT(LeftBehind(box, halfway.call()), NothingLeftBehind());
    EXPECT_TRUE(halfway.Reported("keeper") == kUntouched)
        << "*keeper_fd was set to " << halfway.Reported("keeper") << " by a call that failed";
  }

  Helper server = box.Start("OpensToServe", {{"path", path}});
  EXPECT_THAT(server.Wait(), Exited(0));
  EXPECT_THAT(server.Leftovers(), NothingLeftBehind());
  const Pair pair = OpenBothEnds(box, path);
  EXPECT_THAT(pair.reader.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(pair.writer.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(NamesLeft(box), testing::ElementsAre("FIFO /tmp/" + path));
}

}  // namespace
}  // namespace ipclab
