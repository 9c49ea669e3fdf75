// Exercise pipe.3: measure and probe.

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstring>

#include "common/grading/around.h"
#include "common/grading/exercise.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::pipe_facts;
using pipe::PipeFacts;
using pipe::probe_read_end;
using pipe::probe_write_end;
using pipe::read_available;
using pipe::ReadEnd;
using pipe::set_nonblocking;
using pipe::WriteEnd;

EXERCISE(Probes);

// ---- pipe_facts --------------------------------------------------------------------------------

HELPER(MeasuresAPipe) {
  PipeFacts facts{-7, -7, -7};
  STUDENT(pipe_facts)(&facts);
  Report("pipe_buf", facts.pipe_buf);
  Report("capacity", facts.capacity);
  Report("is_fifo", facts.is_fifo);
  return 0;
}

// Gives every larger pipe of a process this capacity, as if its user were above a limit.
void ShrinkPipes(pid_t pid, int capacity) {
  for (const Descriptor& descriptor : DescriptorsOf(pid)) {
    if (!descriptor.IsPipe() || descriptor.number <= STDERR_FILENO) continue;
    const std::string path =
        "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(descriptor.number);
    const Fd fd(Check(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open " + path));
    if (Check(fcntl(fd.get(), F_GETPIPE_SZ), "fcntl(F_GETPIPE_SZ)") <= capacity) continue;
    // EBUSY: it holds more already.
    if (fcntl(fd.get(), F_SETPIPE_SZ, capacity) == -1 && errno != EBUSY) {
      throw SystemError(errno, "fcntl(F_SETPIPE_SZ)");
    }
  }
}

TEST_F(Probes, MeasuresThePipe) {
  Sandbox box({.watch = {Family::kFcntl, Family::kWrite, Family::kSplice, Family::kPoll}});
  const int capacity = PIPE_BUF << RandomInt(1, 3);
  // The pipe shrinks between its birth and the first look at it, for whoever looks in which way
  // whatsoever. The rule itself does nothing.
  const auto shrink = [&](const Event& event) {
    if (!event.function.empty()) ShrinkPipes(event.pid, capacity);
    return false;
  };
  for (const Family family : {Family::kFcntl, Family::kWrite, Family::kSplice, Family::kPoll}) {
    box.AddRule({.family = family, .where = shrink});
  }

  Helper helper = box.Start("MeasuresAPipe");

  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.call(), Returned(0));
  EXPECT_TRUE(helper.Reported("pipe_buf") == PIPE_BUF)
      << "pipe_facts() says that " << helper.Reported("pipe_buf")
      << " bytes are written in one piece; on this system it is " << PIPE_BUF << ".";
  EXPECT_TRUE(helper.Reported("capacity") == capacity)
      << "The pipe that pipe_facts() made held " << capacity << " bytes, not "
      << helper.Reported("capacity") << ": a new pipe need not be as large as the last one.";
  EXPECT_TRUE(helper.Reported("is_fifo") == 1)
      << "is_fifo is " << helper.Reported("is_fifo") << ", but fstat() calls a pipe a FIFO.";
}

// ---- set_nonblocking ---------------------------------------------------------------------------

HELPER(SwitchesBackAndForth) {
  Fd file(Check(open("log", O_RDWR | O_CREAT | O_APPEND, 0600), "open"));
  int flags = -7;
  STUDENT(set_nonblocking)(file.get(), 1, &flags);
  Report("flags", flags);
  STUDENT(set_nonblocking)(file.get(), 2, &flags);
  Report("flags again", flags);
  STUDENT(set_nonblocking)(file.get(), 0, nullptr);
  file.Reset();
  return unlink("log");
}

// The flags of the first descriptor above 2 that the caller holds.
int StatusFlags(const Census& census) {
  for (const Descriptor& descriptor : census.descriptors) {
    if (descriptor.number > STDERR_FILENO) return descriptor.status_flags & (O_APPEND | O_NONBLOCK);
  }
  return -1;
}

std::string FlagNames(int flags) {
  std::vector<std::string> names;
  if ((flags & O_APPEND) != 0) names.emplace_back("O_APPEND");
  if ((flags & O_NONBLOCK) != 0) names.emplace_back("O_NONBLOCK");
  return names.empty() ? "none" : Join(names, "|");
}

TEST_F(Probes, SwitchesNonBlockingAndNothingElse) {
  Sandbox box;

  Helper helper = box.Start("SwitchesBackAndForth");

  EXPECT_THAT(helper.Wait(), Exited(0));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_THAT(helper.call(i), Returned(0));
  EXPECT_TRUE(StatusFlags(helper.call(0).after) == (O_APPEND | O_NONBLOCK))
      << "A file was opened with O_APPEND and switched to non-blocking. Now its flags are "
      << FlagNames(StatusFlags(helper.call(0).after)) << ".";
  EXPECT_TRUE((helper.Reported("flags") & (O_APPEND | O_NONBLOCK | O_ACCMODE)) ==
              (O_APPEND | O_RDWR))
      << "The former flags were O_RDWR|O_APPEND; *old_flags says otherwise.";
  EXPECT_TRUE(helper.Reported("flags again") & O_NONBLOCK)
      << "O_NONBLOCK was set already; *old_flags says otherwise.";
  EXPECT_TRUE(StatusFlags(helper.call(2).after) == O_APPEND)
      << "Switched back, the flags are " << FlagNames(StatusFlags(helper.call(2).after))
      << " instead of O_APPEND.";
  const auto before = helper.call(0).before.descriptors;
  const auto after = helper.call(0).after.descriptors;
  ASSERT_EQ(before.size(), after.size()) << "Other descriptors are open than before.";
  EXPECT_TRUE(before.back().close_on_exec == after.back().close_on_exec)
      << "FD_CLOEXEC was changed: that is a flag of another kind.";
}

// ---- The probes --------------------------------------------------------------------------------

void ProbeReader(const char* state, int fd) {
  ReadEnd end{-7};
  STUDENT(probe_read_end)(fd, &end);
  Report(state, static_cast<int>(end));
}

HELPER(ProbesAReadEnd) {
  PipeEnds line = MakePipe();
  const int fd = line.read.get();
  ProbeReader("empty", fd);
  WriteHere(line.write.get(), args.Bytes("bytes"));
  ProbeReader("data", fd);
  line.write.Reset();
  ProbeReader("data, then the end", fd);
  Report("kept", ReadHere(fd));
  ProbeReader("end", fd);
  return 0;
}

constexpr std::int64_t Number(ReadEnd end) { return static_cast<std::int64_t>(end); }
constexpr std::int64_t Number(WriteEnd end) { return static_cast<std::int64_t>(end); }

std::string Name(std::int64_t number, std::initializer_list<const char*> names) {
  if (number < 0 || number >= static_cast<std::int64_t>(names.size()))
    return "nothing of the three";
  return names.begin()[number];
}

TEST_F(Probes, TellsDataEmptinessAndEndApart) {
  Sandbox box;
  const std::string bytes = RandomBytes(RandomInt(1, 100));
  const auto expect = [](const Helper& helper, const std::string& state, ReadEnd end) {
    const auto names = {"kData", "kEmpty", "kEof"};
    EXPECT_TRUE(helper.Reported(state) == Number(end))
        << "In state \"" << state << "\" probe_read_end() says "
        << Name(helper.Reported(state), names) << ", not " << Name(Number(end), names) << ".";
  };

  Helper helper = box.Start("ProbesAReadEnd", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(helper.Wait(), Exited(0));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_THAT(helper.call(i), Returned(0));
  expect(helper, "empty", ReadEnd::kEmpty);
  expect(helper, "data", ReadEnd::kData);
  expect(helper, "data, then the end", ReadEnd::kData);
  expect(helper, "end", ReadEnd::kEof);
  EXPECT_THAT(helper.ReportedBytes("kept"), SameBytesAs(bytes));
}

void ProbeWriter(const char* state, int fd) {
  WriteEnd end{-7};
  STUDENT(probe_write_end)(fd, &end);
  Report(state, static_cast<int>(end));
}

HELPER(ProbesAWriteEnd) {
  PipeEnds line = MakeSmallPipe();
  const int fd = line.write.get();
  ProbeWriter("room", fd);
  Report("sent", BytesIn(line.read.get()));
  WriteHere(fd, std::string(static_cast<std::size_t>(CapacityOf(fd)), 'f'));
  ProbeWriter("full", fd);
  line.read.Reset();
  ProbeWriter("full, but nobody reads", fd);
  PipeEnds unread = MakePipe();
  unread.read.Reset();
  ProbeWriter("nobody reads", unread.write.get());
  return 0;
}

TEST_F(Probes, TellsRoomFullAndBrokenApart) {
  Sandbox box;
  const auto expect = [](const Helper& helper, const std::string& state, WriteEnd end) {
    const auto names = {"kRoom", "kFull", "kBroken"};
    EXPECT_TRUE(helper.Reported(state) == Number(end))
        << "In state \"" << state << "\" probe_write_end() says "
        << Name(helper.Reported(state), names) << ", not " << Name(Number(end), names) << ".";
  };

  Helper helper = box.Start("ProbesAWriteEnd");

  EXPECT_THAT(helper.Wait(), Exited(0));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_THAT(helper.call(i), Returned(0));
  expect(helper, "room", WriteEnd::kRoom);
  EXPECT_TRUE(helper.Reported("sent") == 0) << "The probe wrote into the pipe.";
  expect(helper, "full", WriteEnd::kFull);
  expect(helper, "full, but nobody reads", WriteEnd::kBroken);
  expect(helper, "nobody reads", WriteEnd::kBroken);
}

// ---- read_available ----------------------------------------------------------------------------

void Take(const std::string& turn, int fd, std::size_t cap) {
  std::string bytes(cap, '\0');
  int eof = -7;
  const ssize_t got = STUDENT(read_available)(fd, bytes.data(), cap, &eof);
  bytes.resize(got < 0 ? 0 : std::min(cap, static_cast<std::size_t>(got)));
  Report(turn, bytes);
  Report(turn + " eof", eof);
}

HELPER(TakesWhatIsThere) {
  PipeEnds line = MakePipe();
  const int fd = line.read.get();
  Take("nothing now", fd, 100);
  WriteHere(line.write.get(), args.Bytes("bytes"));
  Take("no room", fd, 0);
  Take("part", fd, 20);
  line.write.Reset();
  Take("rest", fd, 100);
  Take("end", fd, 100);
  return 0;
}

TEST_F(Probes, ReadsOnlyWhatIsThere) {
  Sandbox box;
  const std::string bytes = RandomBytes(50);

  Helper helper = box.Start("TakesWhatIsThere", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.call(0), Returned(0)) << "the pipe is empty, and a writer is there";
  EXPECT_TRUE(helper.Reported("nothing now eof") == 0)
      << "A writer was there, but *eof said the end.";
  EXPECT_THAT(helper.call(1), Returned(0)) << "cap is 0";
  EXPECT_TRUE(helper.Reported("no room eof") == 0) << "With cap = 0 *eof said the end.";
  EXPECT_THAT(helper.ReportedBytes("part"), SameBytesAs(bytes.substr(0, 20)));
  EXPECT_TRUE(helper.Reported("part eof") == 0) << "There were bytes, and *eof said the end.";
  EXPECT_THAT(helper.ReportedBytes("rest"), SameBytesAs(bytes.substr(20)));
  EXPECT_TRUE(helper.Reported("rest eof") == 0) << "There were bytes, and *eof said the end.";
  EXPECT_THAT(helper.call(4), Returned(0)) << "the end of file";
  EXPECT_TRUE(helper.Reported("end eof") == 1)
      << "Nobody can write any more, but *eof says otherwise.";
}

// Both read the same pipe. The other one takes everything when the gate opens.
HELPER(TakesBesideAnother) {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), args.Bytes("bytes"));
  const int all = BytesIn(line.read.get());
  Beside other([&] {
    Gate();
    ReadHere(line.read.get(), static_cast<std::size_t>(all));
  });
  Take("taken", line.read.get(), 100);
  return 0;
}

TEST_F(Probes, NeverWaitsEvenIfAnotherReaderIsFaster) {
  Sandbox box({.watch = {Family::kRead, Family::kSplice, Family::kSignalSend}});
  const int gate = HoldAtGate(box);
  const int read = box.Hold(Family::kRead);
  const int splice = box.Hold(Family::kSplice);

  Helper helper = box.Start("TakesBesideAnother", {{"bytes", Binary(RandomBytes(50))}});
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  const auto about_to_read = [&] {
    return !box.observer().Held(read).empty() || !box.observer().Held(splice).empty() ||
           helper.call().returned;
  };
  EXPECT_TRUE(Comes(box, about_to_read));
  box.Release(gate);  // Whatever read_available() has seen up to here, now it is gone.
  for (const Process& other : box.Children()) EXPECT_TRUE(WaitUntilEnded(box, other.pid));
  box.Release(read);
  box.Release(splice);

  EXPECT_THAT(helper.Wait(), Exited(0));
  EXPECT_THAT(helper.call(), Returned(0)) << "another reader was faster";
  EXPECT_TRUE(helper.Reported("taken eof") == 0) << "A writer was there, but *eof said the end.";
}

// ---- Errors and clean-up -----------------------------------------------------------------------

HELPER(ProbesWhatIsWrong) {
  PipeEnds line = MakePipe();
  Fd file(Check(open("file", O_RDWR | O_CREAT, 0600), "open"));
  ReadEnd read_end{};
  WriteEnd write_end{};
  char byte = 0;
  int eof = 0;
  STUDENT(probe_read_end)(kClosedFd, &read_end);
  STUDENT(probe_write_end)(kClosedFd, &write_end);
  STUDENT(set_nonblocking)(kClosedFd, 1, nullptr);
  STUDENT(read_available)(kClosedFd, &byte, 1, &eof);
  STUDENT(probe_read_end)(line.write.get(), &read_end);
  STUDENT(probe_write_end)(line.read.get(), &write_end);
  STUDENT(probe_read_end)(file.get(), &read_end);
  STUDENT(probe_write_end)(file.get(), &write_end);
  file.Reset();
  return unlink("file");
}

TEST_F(Probes, ReportsWhatIsWrong) {
  Sandbox box;

  Helper helper = box.Start("ProbesWhatIsWrong");
  EXPECT_THAT(helper.Wait(), Exited(0));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(helper.call(i), FailedWith(EBADF)) << "the descriptor is closed";
  }
  for (std::size_t i = 4; i < 6; ++i) {
    EXPECT_THAT(helper.call(i), FailedWith(EBADF)) << "it is the other end of the pipe";
  }
  for (std::size_t i = 6; i < 8; ++i) {
    EXPECT_THAT(helper.call(i), FailedWith(EINVAL)) << "it is a regular file";
  }

  Helper poor = box.Start("MeasuresAPipe", nlohmann::json::object(),
                          {.input = "", .limits = {{RLIMIT_NOFILE, 4}}});
  EXPECT_THAT(poor.Wait(), Exited(0));
  EXPECT_THAT(poor.call(), FailedWith(EMFILE)) << "no descriptors are left";
  EXPECT_TRUE(poor.Reported("capacity") == -7) << "pipe_facts() failed and yet changed *out.";
}

TEST_F(Probes, LeavesDescriptorsAndFlagsAlone) {
  Sandbox box({.watch = {Family::kFcntl}});
  const std::string bytes = RandomBytes(50);

  for (const char* const name : {"MeasuresAPipe", "ProbesAReadEnd", "ProbesAWriteEnd",
                                 "TakesWhatIsThere", "ProbesWhatIsWrong"}) {
    Helper helper = box.Start(name, {{"bytes", Binary(bytes)}});
    EXPECT_THAT(helper.Wait(), Exited(0));
    for (const StudentCall& call : helper.process().calls) {
      EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
      const bool probe = call.function.starts_with("probe_");
      if (probe) {
        EXPECT_THAT(FlagChanges(box, call), NoFlagChanges());
      }
    }
  }
  Helper poor = box.Start("MeasuresAPipe", nlohmann::json::object(),
                          {.input = "", .limits = {{RLIMIT_NOFILE, 4}}});
  EXPECT_THAT(poor.Wait(), Exited(0));
  EXPECT_THAT(LeftBehind(box, poor.call()), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
