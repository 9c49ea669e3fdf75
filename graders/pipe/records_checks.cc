// Exercise pipe.2: full reads and atomic records.

#include <limits.h>
#include <signal.h>

#include <cstring>

#include "common/base/text.h"
#include "common/grading/around.h"
#include "common/grading/exercise.h"
#include "graders/pipe/expectations.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using pipe::read_full;
using pipe::recv_record;
using pipe::send_record;
using pipe::write_all;

EXERCISE(Records);

constexpr std::size_t kLargest = PIPE_BUF - sizeof(std::uint32_t);

// A record as it stands in the pipe.
std::string Framed(const std::string& payload) {
  const auto length = static_cast<std::uint32_t>(payload.size());
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + payload;
}

int Send(int fd, const std::string& payload) {
  return STUDENT(send_record)(fd, payload.data(), static_cast<std::uint32_t>(payload.size()));
}

HELPER(WritesIntoAPipe) {
  PipeEnds line = MakePipe();
  const std::string bytes = args.Bytes("bytes");
  STUDENT(write_all)(line.write.get(), bytes.data(), bytes.size());
  line.write.Reset();
  Report("arrived", ReadHere(line.read.get()));
  return 0;
}

TEST_F(Records, WritesEverything) {
  Sandbox box({.watch = {Family::kWrite}});
  box.AddRule({.family = Family::kWrite, .nth = 2, .answer = -EINTR});
  box.Shorten(Family::kWrite, 3001);
  const std::string bytes = RandomBytes(20'000);

  Helper writer = box.Start("WritesIntoAPipe", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(writer.ReportedBytes("arrived"), SameBytesAs(bytes));
  EXPECT_THAT(writer.call(), Returned(bytes.size()));
}

HELPER(ReadsTwiceToTheEnd) {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), args.Bytes("bytes"));
  line.write.Reset();
  for (const char* const turn : {"first", "second"}) {
    std::string bytes(static_cast<std::size_t>(args.Int(turn)), '\0');
    const ssize_t got = STUDENT(read_full)(line.read.get(), bytes.data(), bytes.size());
    if (got >= 0) bytes.resize(std::min(bytes.size(), static_cast<std::size_t>(got)));
    Report(turn, bytes);
  }
  return 0;
}

TEST_F(Records, ReadsUntilItHasEverything) {
  Sandbox box({.watch = {Family::kRead}});
  box.AddRule({.family = Family::kRead, .nth = 2, .answer = -EINTR});
  box.Shorten(Family::kRead, 70);
  const std::string bytes = RandomBytes(600);

  Helper reader =
      box.Start("ReadsTwiceToTheEnd", {{"bytes", Binary(bytes)}, {"first", 500}, {"second", 200}});

  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.call(0), Returned(500)) << "of 600 bytes, 500 were asked for";
  EXPECT_THAT(reader.ReportedBytes("first"), SameBytesAs(bytes.substr(0, 500)));
  EXPECT_THAT(reader.call(1), Returned(100)) << "of the last 100 bytes, 200 were asked for";
  EXPECT_THAT(reader.ReportedBytes("second"), SameBytesAs(bytes.substr(500)));
}

// The pipe is full until the gate opens.
template <typename Write>
void WriteWhenThereIsRoom(const std::string& bytes, Write write) {
  PipeEnds line = MakeSmallPipe();
  const std::string fill(static_cast<std::size_t>(CapacityOf(line.write.get())), 'f');
  WriteHere(line.write.get(), fill);
  SetFlags(line.write.get(), O_NONBLOCK);
  Beside reader([&] {
    line.write.Reset();
    Gate();
    Report("arrived", ReadHere(line.read.get()).substr(fill.size()));
  });
  write(line.write.get(), bytes);
  line.write.Reset();
}

HELPER(WritesAllWhenThereIsRoom) {
  WriteWhenThereIsRoom(args.Bytes("bytes"), [](int fd, const std::string& bytes) {
    STUDENT(write_all)(fd, bytes.data(), bytes.size());
  });
  return 0;
}

HELPER(SendsARecordWhenThereIsRoom) {
  WriteWhenThereIsRoom(args.Bytes("bytes").substr(sizeof(std::uint32_t)), &Send);
  return 0;
}

// The second half of the bytes comes when the gate opens.
template <typename Read>
void ReadWhenThereIsData(const std::string& bytes, Read read) {
  PipeEnds line = MakePipe();
  SetFlags(line.read.get(), O_NONBLOCK);
  const std::size_t half = bytes.size() / 2;
  WriteHere(line.write.get(), bytes.substr(0, half));
  Beside writer([&] {
    Gate();
    WriteHere(line.write.get(), bytes.substr(half));
  });
  std::string got(bytes.size(), '\0');
  read(line.read.get(), got);
  Report("arrived", got);
}

HELPER(ReadsInFullWhenThereIsData) {
  ReadWhenThereIsData(args.Bytes("bytes"), [](int fd, std::string& got) {
    STUDENT(read_full)(fd, got.data(), got.size());
  });
  return 0;
}

HELPER(ReceivesARecordWhenThereIsData) {
  ReadWhenThereIsData(args.Bytes("bytes"), [](int fd, std::string& got) {
    const std::size_t header = sizeof(std::uint32_t);
    STUDENT(recv_record)(fd, got.data() + header, got.size() - header);
    const std::string payload = got.substr(header);
    got = Framed(payload);
  });
  return 0;
}

constexpr const char* kWaitingHelpers[] = {
    "WritesAllWhenThereIsRoom", "SendsARecordWhenThereIsRoom", "ReadsInFullWhenThereIsData",
    "ReceivesARecordWhenThereIsData"};

MATCHER(StillWaits, "it waits for the other side") {
  return !arg.function.empty() && !arg.returned;
}

// Serves the box until the student's call waits, or has given up and the helper waits.
void ServeUntilItWaits(Sandbox& box, Helper& helper, int gate) {
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  EXPECT_TRUE(
      helper.WaitUntilBlockedIn({Family::kPoll, Family::kRead, Family::kWrite, Family::kWait}))
      << box.failure();
}

TEST_F(Records, WaitsOnANonBlockingDescriptor) {
  // A sleep would end at once, so that sleeping in turns is spinning.
  Sandbox box({.watch = {Family::kSignalSend}, .skip_sleeps = true});
  for (const char* const name : kWaitingHelpers) {
    const int gate = HoldAtGate(box);
    const std::string bytes = Framed(RandomBytes(2000));

    Helper helper = box.Start(name, {{"bytes", Binary(bytes)}});
    ServeUntilItWaits(box, helper, gate);
    EXPECT_THAT(helper.call(), StillWaits());
    box.Release(gate);

    EXPECT_THAT(helper.Wait(), Exited(0));
    EXPECT_THAT(helper.ReportedBytes("arrived"), SameBytesAs(bytes));
    if (HasFailure()) return;
  }
}

// The other one sends its record when the gate opens.
HELPER(SendsBesideAnother) {
  PipeEnds line = MakePipe();
  Beside other([&] {
    auto* const send = reinterpret_cast<decltype(&send_record)>(SubmissionSymbol("send_record"));
    const std::string theirs = args.Bytes("theirs");
    Gate();
    send(line.write.get(), theirs.data(), static_cast<std::uint32_t>(theirs.size()));
  });
  Send(line.write.get(), args.Bytes("mine"));
  other.Join();
  line.write.Reset();
  Report("arrived", ReadHere(line.read.get()));
  return 0;
}

TEST_F(Records, KeepsRecordsOfTwoWritersApart) {
  Sandbox box({.watch = {Family::kWrite, Family::kSplice, Family::kSignalSend}});
  const int gate = HoldAtGate(box);
  // Whoever needs a second write for one record is stopped before it, and the other one sends.
  const int second =
      box.AddRule({.family = Family::kWrite, .nth = 2, .where = InCaller(box), .hold = true});
  const std::string mine = RandomBytes(kLargest);
  const std::string theirs = RandomBytes(kLargest);

  Helper sender =
      box.Start("SendsBesideAnother", {{"mine", Binary(mine)}, {"theirs", Binary(theirs)}});
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  const auto sent_or_held = [&] {
    return sender.call().returned || !box.observer().Held(second).empty();
  };
  EXPECT_TRUE(Comes(box, sent_or_held));
  box.Release(gate);
  for (const Process& other : box.Children()) EXPECT_TRUE(WaitUntilEnded(box, other.pid));
  box.Release(second);

  EXPECT_THAT(sender.Wait(), Exited(0));
  const std::string arrived = sender.ReportedBytes("arrived");
  const bool whole =
      arrived == Framed(mine) + Framed(theirs) || arrived == Framed(theirs) + Framed(mine);
  EXPECT_TRUE(whole)
      << "Two processes sent a record each. "
      << (box.observer().Matches(second) > 1
              ? "The first one's needed more than one write, the other one's came in "
                "between, and now the two are mixed."
              : "The pipe holds " + Count(static_cast<long long>(arrived.size()), "byte") +
                    " that are not the two records.");
}

// Three records that are allowed and two that are not.
HELPER(SendsRecords) {
  PipeEnds line = MakePipe();
  const std::string longest = args.Bytes("longest");
  Send(line.write.get(), args.Bytes("short"));
  STUDENT(send_record)(line.write.get(), nullptr, 0);
  Send(line.write.get(), longest);
  Report("allowed", ReadHere(line.read.get(), static_cast<std::size_t>(BytesIn(line.read.get()))));

  Send(line.write.get(), longest + "+");
  STUDENT(send_record)(line.write.get(), longest.data(), UINT32_MAX - 1);
  Report("surplus", BytesIn(line.read.get()));
  return 0;
}

TEST_F(Records, SendsRecordsUpToPipeBuf) {
  Sandbox box({.watch = {Family::kWrite}});
  box.AddRule({.family = Family::kWrite, .answer = -EINTR});
  const std::string word = RandomBytes(10);
  const std::string longest = RandomBytes(kLargest);

  Helper sender =
      box.Start("SendsRecords", {{"short", Binary(word)}, {"longest", Binary(longest)}});

  EXPECT_THAT(sender.Wait(), Exited(0));
  EXPECT_THAT(sender.call(0), Returned(0)) << "10 bytes, and a signal came between";
  EXPECT_THAT(sender.call(1), Returned(0)) << "an empty payload";
  EXPECT_THAT(sender.call(2), Returned(0)) << "header and payload are PIPE_BUF bytes in all";
  EXPECT_THAT(sender.ReportedBytes("allowed"),
              SameBytesAs(Framed(word) + Framed("") + Framed(longest)));
  EXPECT_THAT(sender.call(3), FailedWith(EMSGSIZE)) << "one byte more than PIPE_BUF in all";
  EXPECT_THAT(sender.call(4), FailedWith(EMSGSIZE)) << "a length near 2^32";
  EXPECT_TRUE(sender.Reported("surplus") == 0)
      << "Bytes of a record that was refused are in the pipe.";
}

// Receives until an error that ends the stream, into a buffer of `cap` bytes before others.
HELPER(ReceivesRecords) {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), args.Bytes("stream"));
  line.write.Reset();
  const auto cap = static_cast<std::size_t>(args.Int("cap"));
  const std::string behind(32'000, 'b');
  std::string payloads;
  for (int i = 0; i < 8; ++i) {
    std::string buffer = std::string(cap, '\0') + behind;
    const ssize_t got = STUDENT(recv_record)(line.read.get(), buffer.data(), cap);
    if (buffer.substr(cap) != behind) Report("overrun", 1);
    if (got == -1 && errno != EMSGSIZE) break;
    if (got >= 0) payloads += buffer.substr(0, std::min(cap, static_cast<std::size_t>(got)));
  }
  Report("payloads", payloads);
  return 0;
}

TEST_F(Records, ReceivesRecordByRecord) {
  Sandbox box({.watch = {Family::kRead}});
  box.AddRule({.family = Family::kRead, .answer = -EINTR});
  box.Shorten(Family::kRead, 3);  // Even the length comes in two parts.
  const std::string word = RandomBytes(10);
  const std::string last = RandomBytes(300);

  Helper receiver =
      box.Start("ReceivesRecords",
                {{"stream", Binary(Framed(word) + Framed("") + Framed(last))}, {"cap", 300}});

  EXPECT_THAT(receiver.Wait(), Exited(0));
  EXPECT_THAT(receiver.call(0), Returned(word.size()));
  EXPECT_THAT(receiver.call(1), Returned(0)) << "an empty payload";
  EXPECT_THAT(receiver.call(2), Returned(last.size())) << "as long as the buffer";
  EXPECT_THAT(receiver.ReportedBytes("payloads"), SameBytesAs(word + last));
}

TEST_F(Records, StaysInStepAfterALongRecord) {
  Sandbox box;
  const std::string word = RandomBytes(4);
  const std::string stream = Framed(RandomBytes(5)) + Framed(word) + Framed(RandomBytes(20'000));

  Helper receiver =
      box.Start("ReceivesRecords", {{"stream", Binary(stream + Framed(word))}, {"cap", 4}});

  EXPECT_THAT(receiver.Wait(), Exited(0));
  EXPECT_TRUE(receiver.Reported("overrun", 0) == 0)
      << "recv_record() wrote behind the buffer's end.";
  EXPECT_THAT(receiver.call(0), FailedWith(EMSGSIZE)) << "5 bytes for a buffer of 4";
  EXPECT_THAT(receiver.call(1), Returned(4)) << "the record behind the one that was too long";
  EXPECT_THAT(receiver.call(2), FailedWith(EMSGSIZE)) << "20000 bytes for a buffer of 4";
  EXPECT_THAT(receiver.call(3), Returned(4)) << "the record behind the one that was too long";
  EXPECT_THAT(receiver.ReportedBytes("payloads"), SameBytesAs(word + word));
}

TEST_F(Records, TellsWhereTheStreamEnded) {
  Sandbox box;
  const std::string record = Framed(RandomBytes(10));
  const auto ended_after = [&](std::size_t bytes) {
    Helper receiver = box.Start(
        "ReceivesRecords", {{"stream", Binary(record + record.substr(0, bytes))}, {"cap", 20}});
    EXPECT_THAT(receiver.Wait(), Exited(0));
    EXPECT_THAT(receiver.call(0), Returned(10));
    return receiver.call(1);
  };

  EXPECT_THAT(ended_after(0), FailedWith(ENODATA)) << "the stream ends between two records";
  EXPECT_THAT(ended_after(2), FailedWith(EBADMSG)) << "the stream ends inside the length";
  EXPECT_THAT(ended_after(4), FailedWith(EBADMSG)) << "the stream ends right behind the length";
  EXPECT_THAT(ended_after(9), FailedWith(EBADMSG)) << "the stream ends inside the payload";
}

HELPER(UsesAClosedDescriptor) {
  char byte = 'x';
  STUDENT(write_all)(kClosedFd, &byte, 1);
  STUDENT(read_full)(kClosedFd, &byte, 1);
  STUDENT(send_record)(kClosedFd, &byte, 1);
  STUDENT(recv_record)(kClosedFd, &byte, 1);
  return 0;
}

TEST_F(Records, LeavesDescriptorsAndFlagsAlone) {
  Sandbox box({.watch = {Family::kFcntl, Family::kSignalSend}, .skip_sleeps = true});
  for (const char* const name : kWaitingHelpers) {
    const int gate = HoldAtGate(box);

    Helper helper = box.Start(name, {{"bytes", Binary(Framed(RandomBytes(2000)))}});
    ServeUntilItWaits(box, helper, gate);
    box.Release(gate);

    EXPECT_THAT(helper.Wait(), Exited(0));
    EXPECT_THAT(FlagChanges(box, helper.call()), NoFlagChanges());
    EXPECT_THAT(LeftBehind(box, helper.call()), NothingLeftBehind());
    if (HasFailure()) return;
  }
  Helper helper = box.Start("UsesAClosedDescriptor");
  EXPECT_THAT(helper.Wait(), Exited(0));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_THAT(helper.call(i), FailedWith(EBADF));
}

}  // namespace
}  // namespace ipclab
