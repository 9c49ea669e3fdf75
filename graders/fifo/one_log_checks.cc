// Exercise fifo.4: many writers, one log.

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <sstream>

#include "common/base/text.h"
#include "common/grading/around.h"
#include "graders/fifo/expectations.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using fifo::log_collect;
using fifo::log_line;
using fifo::log_open;

EXERCISE(OneLog);

// ---- Helpers ------------------------------------------------------------------------------------

volatile std::sig_atomic_t sigpipes = 0;
void CountSigpipe(int) { sigpipes = sigpipes + 1; }

void CloseIfOpen(int fd) {
  if (fd > 2) close(fd);
}

// One call of log_line for each of the texts: `text0`, `text1` ... up to `count`, each with the tag
// `tag0`, `tag1` ..., or `tag` for all.
void LogAll(int fd, const Args& args) {
  for (int i = 0; i < args.Int("count"); ++i) {
    const std::string number = std::to_string(i);
    const std::string tag = args.Bytes(args.Int("one_tag", 1) != 0 ? "tag" : "tag" + number);
    STUDENT(log_line)(fd, tag.c_str(), args.Bytes("text" + number).c_str());
  }
}

HELPER(LogsLines) {
  const int fd = STUDENT(log_open)(args.Bytes("path").c_str());
  if (fd == -1) return 0;
  LogAll(fd, args);
  STUDENT(log_line)(fd, args.Bytes("tag").c_str(), "bye");
  CloseIfOpen(fd);
  return 0;
}

// Reads what it has logged itself.
HELPER(LogsToItself) {
  const Fd both(Check(open(args.Bytes("path").c_str(), O_RDWR), "open"));
  const int fd = STUDENT(log_open)(args.Bytes("path").c_str());
  if (fd == -1) return 0;
  LogAll(fd, args);
  const int bytes = BytesIn(both.get());
  Report("came", ReadHere(both.get(), static_cast<std::size_t>(bytes)));
  CloseIfOpen(fd);
  return 0;
}

// Makes the FIFO as small as it can be and full, and then logs a line.
HELPER(LogsIntoAFullFifo) {
  const Action on_signal(SIGUSR1, &DoNothing);
  const Action on_sigpipe(SIGPIPE, args.Int("handler", 0) != 0 ? &CountSigpipe : SIG_DFL);
  const int fd = STUDENT(log_open)(args.Bytes("path").c_str());
  if (fd == -1) return 0;
  Check(fcntl(fd, F_SETPIPE_SZ, 1), "fcntl(F_SETPIPE_SZ)");
  WriteHere(fd, std::string(static_cast<std::size_t>(CapacityOf(fd)), '.'));
  STUDENT(log_line)(fd, args.Bytes("tag").c_str(), args.Bytes("text").c_str());
  Report("sigpipes", sigpipes);
  CloseIfOpen(fd);
  return 0;
}

// Logs a line when the gate opens.
HELPER(LogsLater) {
  const Action on_sigpipe(SIGPIPE, args.Int("handler", 0) != 0 ? &CountSigpipe : SIG_DFL);
  const int fd = STUDENT(log_open)(args.Bytes("path").c_str());
  if (fd == -1) return 0;
  Gate();
  STUDENT(log_line)(fd, "a", "hello");
  Report("sigpipes", sigpipes);
  CloseIfOpen(fd);
  return 0;
}

HELPER(LogsNowhere) {
  STUDENT(log_line)(kClosedFd, "a", "hello");
  return 0;
}

HELPER(OpensLog) {
  CloseIfOpen(STUDENT(log_open)(args.Bytes("path").c_str()));
  return 0;
}

// Opens the FIFO, and reads to the end when the gate opens; or leaves without having read anything.
HELPER(ReadsLater) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDONLY), "open"));
  Gate();
  if (args.Int("leaves", 0) == 0) Report("came", ReadHere(fifo.get()));
  return 0;
}

HELPER(ReadsNothing) {
  const Fd fifo(Check(open(args.Bytes("path").c_str(), O_RDONLY), "open"));
  return 0;
}

HELPER(Collects) {
  const Action on_sigpipe(SIGPIPE, &CountSigpipe);
  const std::string out = args.Int("to_device", 0) != 0 ? "/dev/full" : "/dev/null";
  const Fd device(Check(open(out.c_str(), O_WRONLY), "open"));
  std::optional<PipeEnds> broken;
  int to = STDOUT_FILENO;
  if (args.Int("to_nobody", 0) != 0) {
    broken = MakePipe();
    broken->read.Reset();
    to = broken->write.get();
  }
  if (args.Int("to_device", 0) != 0) to = device.get();
  if (args.Int("to_closed", 0) != 0) to = kClosedFd;
  STUDENT(log_collect)(args.Bytes("path").c_str(), to, static_cast<int>(args.Int("writers", 1)));
  Report("sigpipes", sigpipes);
  return 0;
}

// A writer that knows nothing of lines: some bytes in one write, some more when the gate opens. It
// may hold both ends, and then does not wait to come in.
HELPER(WritesRaw) {
  const int flags = args.Int("both", 0) != 0 ? O_RDWR : O_WRONLY;
  const Fd fifo(Check(open(args.Bytes("path").c_str(), flags), "open"));
  const std::string bytes = args.Bytes("bytes");
  if (!bytes.empty()) WriteHere(fifo.get(), bytes);
  if (args.Int("more", 0) != 0) {
    Gate();
    WriteHere(fifo.get(), args.Bytes("rest"));
  }
  return 0;
}

// ---- What is expected ---------------------------------------------------------------------------

std::string Line(const std::string& tag, const std::string& text) {
  return tag + ": " + text + "\n";
}

// The lines of one writer among all that were collected.
std::string LinesOf(const std::string& tag, const std::string& all) {
  std::istringstream lines(all);
  std::string mine;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(tag + ":")) mine += line + "\n";
  }
  return mine;
}

// The writes that each call of log_line made into the FIFO: "5", "3+5".
std::vector<std::string> WritesPerLine(const Sandbox& box, const std::string& path) {
  std::vector<std::string> writes;
  for (const Event& event : box.events()) {
    if (event.function != "log_line") continue;
    if (event.kind == Event::Kind::kEnter) writes.emplace_back();
    const bool moves = event.family == Family::kWrite || event.family == Family::kSplice;
    if (event.kind != Event::Kind::kCall || !moves || !IsAt(event, path)) continue;
    if (!event.Succeeded() || writes.empty()) continue;
    if (!writes.back().empty()) writes.back() += "+";
    writes.back() += std::to_string(*event.result);
  }
  return writes;
}

// How many bytes log_collect has written to a descriptor so far.
std::size_t WrittenTo(const Sandbox& box, int descriptor) {
  std::size_t bytes = 0;
  for (const Event& event : box.Calls(Family::kWrite)) {
    const bool counts = event.function == "log_collect" && event.descriptor == descriptor;
    if (counts && event.Succeeded()) bytes += static_cast<std::size_t>(*event.result);
  }
  return bytes;
}

// Starts a writer that is there before anybody else, and stays until the rule that is returned is
// released. Then it writes the rest. The box must watch Family::kSignalSend.
int StartsWriting(Sandbox& box, const std::string& path, const std::string& bytes,
                  const std::string& rest = "") {
  const int gate = HoldAtGate(box);
  box.Start("WritesRaw",
            {{"path", path}, {"bytes", bytes}, {"both", 1}, {"more", 1}, {"rest", rest}});
  EXPECT_TRUE(box.WaitUntilHeld(gate)) << box.failure();
  return gate;
}

// ---- Writers ------------------------------------------------------------------------------------

TEST_F(OneLog, KeepsLinesWhole) {
  constexpr int kWriters = 3;
  constexpr int kLines = 12;
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  // All the time there is a writer.
  StartsWriting(box, path, "");
  Helper collector = box.Start("Collects", {{"path", path}, {"writers", kWriters}});
  std::vector<std::string> tags;
  std::vector<std::string> texts;
  std::vector<Helper> writers;
  for (int i = 0; i < kWriters; ++i) {
    tags.push_back(RandomWord(6) + std::to_string(i));
    texts.emplace_back();
    nlohmann::json args = {{"path", path}, {"tag", tags.back()}, {"count", kLines}};
    for (int n = 0; n < kLines; ++n) {
      const auto size = static_cast<std::size_t>(RandomInt(0, 2000));
      const std::string text = std::to_string(n) + " " + RandomWord(size);
      args["text" + std::to_string(n)] = text;
      texts.back() += Line(tags.back(), text);
    }
    writers.push_back(box.Start("LogsLines", args));
  }

  for (Helper& writer : writers) {
    EXPECT_TRUE(Leaves(box, writer));
    EXPECT_THAT(writer.call("log_line"), Returned(0));
  }
  EXPECT_TRUE(Leaves(box, collector));
  EXPECT_THAT(collector.call(), Returned(kWriters * kLines));
  std::size_t all = 0;
  for (int i = 0; i < kWriters; ++i) {
    const auto n = static_cast<std::size_t>(i);
    EXPECT_THAT(LinesOf(tags[n], collector.output()), SameBytesAs(texts[n]))
        << "the lines with the tag " << tags[n];
    all += texts[n].size();
  }
  EXPECT_TRUE(collector.output().size() == all)
      << all << " bytes of lines were sent, and " << collector.output().size() << " copied";
}

TEST_F(OneLog, SendsALineInOneWrite) {
  Sandbox box({.watch = {Family::kWrite, Family::kSplice}});
  const std::string path = PutFifo(box);
  const std::pair<std::string, std::string> rows[] = {{RandomWord(5), RandomWord(30)},
                                                      {RandomWord(5), ""},
                                                      {"", RandomWord(7)},
                                                      {RandomWord(3), "a: b: c"},
                                                      {RandomWord(9), RandomWord(PIPE_BUF - 12)}};
  nlohmann::json args = {{"path", path}, {"one_tag", 0}, {"count", std::size(rows)}};
  std::string all;
  std::vector<std::string> sizes;
  for (const auto& [tag, text] : rows) {
    const std::string number = std::to_string(sizes.size());
    args["tag" + number] = tag;
    args["text" + number] = text;
    all += Line(tag, text);
    sizes.push_back(std::to_string(Line(tag, text).size()));
  }

  Helper writer = box.Start("LogsToItself", args);

  EXPECT_THAT(writer.Wait(), Exited(0));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    EXPECT_THAT(writer.call(i + 1), Returned(0)) << "of a line of " << sizes[i] << " bytes";
  }
  EXPECT_THAT(writer.ReportedBytes("came"), SameBytesAs(all));
  EXPECT_THAT(WritesPerLine(box, path), testing::ElementsAreArray(sizes))
      << "the sizes of the writes for each line";
}

TEST_F(OneLog, RefusesWhatIsNoLine) {
  Sandbox box;
  const std::string path = PutFifo(box);
  struct Row {
    std::string tag;
    std::string text;
    int error;
    const char* what;
  };
  const Row rows[] = {{"a:b", "hello", EINVAL, "a colon in the tag"},
                      {"a\nb", "hello", EINVAL, "a newline in the tag"},
                      {"a", "hel\nlo", EINVAL, "a newline in the text"},
                      {"a", "hello\n", EINVAL, "a newline at the end of the text"},
                      {"a", RandomWord(PIPE_BUF - 3), EMSGSIZE, "a line of PIPE_BUF + 1 bytes"},
                      {RandomWord(PIPE_BUF), "", EMSGSIZE, "a tag of PIPE_BUF bytes"},
                      {"a", RandomWord(50'000), EMSGSIZE, "a text of 50000 bytes"}};
  nlohmann::json args = {{"path", path}, {"one_tag", 0}, {"count", std::size(rows)}};
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    args["tag" + std::to_string(i)] = rows[i].tag;
    args["text" + std::to_string(i)] = rows[i].text;
  }

  Helper writer = box.Start("LogsToItself", args);

  EXPECT_THAT(writer.Wait(), Exited(0));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    EXPECT_THAT(writer.call(i + 1), FailedWith(rows[i].error)) << "with " << rows[i].what;
  }
  EXPECT_TRUE(writer.ReportedBytes("came").empty())
      << writer.ReportedBytes("came").size() << " bytes were written, and no line was in order";
}

TEST_F(OneLog, WaitsWhileTheFifoIsFull) {
  Sandbox box({.watch = {Family::kWrite, Family::kSignalSend}, .skip_sleeps = true});
  const std::string path = PutFifo(box);
  const std::string tag = RandomWord(5);
  const std::string text = RandomWord(200);
  const int gate = HoldAtGate(box);

  Helper reader = box.Start("ReadsLater", {{"path", path}});
  Helper writer = box.Start("LogsIntoAFullFifo", {{"path", path}, {"tag", tag}, {"text", text}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  ASSERT_TRUE(StillWaits(box, writer)) << "while the FIFO was full";
  ASSERT_TRUE(Interrupt(box, writer, SIGUSR1));
  EXPECT_TRUE(StillWaits(box, writer)) << "when a signal came, and the FIFO was full";
  box.Release(gate);

  EXPECT_THAT(writer.Wait(), Exited(0));
  EXPECT_THAT(writer.call("log_line"), Returned(0));
  EXPECT_THAT(reader.Wait(), Exited(0));
  const std::string came = reader.ReportedBytes("came");
  EXPECT_THAT(came.substr(std::min(came.find_first_not_of('.'), came.size())),
              SameBytesAs(Line(tag, text)));
}

TEST_F(OneLog, SurvivesACollectorThatLeaves) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const auto ends = [&](Helper& writer, const char* when) {
    EXPECT_THAT(writer.Wait(), Exited(0)) << when;
    EXPECT_THAT(writer.call("log_line"), FailedWith(EPIPE)) << when;
    EXPECT_TRUE(writer.Reported("sigpipes", 0) == 0) << "the caller's handler of SIGPIPE ran";
    EXPECT_THAT(LeftBehind(box, writer.call("log_line")), NothingLeftBehind()) << when;
  };
  for (const int handler : {0, 1}) {
    const int reading = HoldAtGate(box);
    box.Start("ReadsLater", {{"path", path}, {"leaves", 1}});
    Helper writer =
        box.Start("LogsIntoAFullFifo",
                  {{"path", path}, {"tag", "a"}, {"text", "hello"}, {"handler", handler}});
    ASSERT_TRUE(SomebodyComesTo(box, reading));
    EXPECT_TRUE(StillWaits(box, writer)) << "while the FIFO was full";
    box.Release(reading);
    ends(writer, "the collector left while the writer waited for room");
  }
  for (const int handler : {0, 1}) {
    Helper reader = box.Start("ReadsNothing", {{"path", path}});
    const int writing = HoldAtGate(box);
    Helper writer = box.Start("LogsLater", {{"path", path}, {"handler", handler}});
    ASSERT_TRUE(SomebodyComesTo(box, writing));
    EXPECT_THAT(reader.Wait(), Exited(0));
    box.Release(writing);
    ends(writer, "the collector had left before");
  }
}

// ---- The collector ------------------------------------------------------------------------------

TEST_F(OneLog, CollectsUntilAllSaidGoodbye) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const std::string first = Line("a", RandomWord(10));
  const std::string word = RandomWord(10);
  const std::string kept = Line("b", "goodbye") + Line("b", "bye " + word) + Line("b", " bye") +
                           Line("b", "a: bye") + Line("bye", word) + Line("b", "");
  const std::string goodbye = Line("a", "bye");
  const std::string bytes =
      first + goodbye + kept + Line("b", "bye") + Line("c", word) + Line("c", "bye");

  const std::pair<int, std::string> rows[] = {
      {1, first}, {2, first + kept}, {3, first + kept + Line("c", word)}};
  for (const auto& [writers, want] : rows) {
    const std::string path = PutFifo(box);
    StartsWriting(box, path, bytes);
    Helper collector = box.Start("Collects", {{"path", path}, {"writers", writers}});

    EXPECT_TRUE(Leaves(box, collector)) << "with " << writers << " expected";
    EXPECT_THAT(collector.output(), IsText(want)) << "with " << writers << " expected";
    EXPECT_THAT(collector.call(), Returned(std::ranges::count(want, '\n')));
  }
}

TEST_F(OneLog, WaitsWithoutWriters) {
  Sandbox box({.watch = {Family::kSignalSend, Family::kPoll}, .skip_sleeps = true});
  LetTimePass(box);
  const std::string path = PutFifo(box);
  const std::string one = Line("a", RandomWord(10));
  const std::string two = Line("b", RandomWord(10));
  Bystander bystander(box);

  Helper collector = box.Start("Collects", {{"path", path}, {"writers", 1}});
  ASSERT_TRUE(StillWaits(box, collector)) << "before the first writer came";
  Helper first = box.Start("WritesRaw", {{"path", path}, {"bytes", one}});
  ASSERT_TRUE(Leaves(box, first)) << "though a collector was there";
  ASSERT_TRUE(StillWaits(box, collector)) << "when a writer had left without a goodbye";
  const int gate = HoldAtGate(box);
  Helper second = box.Start(
      "WritesRaw", {{"path", path}, {"bytes", two}, {"more", 1}, {"rest", Line("b", "bye")}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  EXPECT_TRUE(StillWaits(box, collector)) << "while a writer made a pause";
  box.Release(gate);
  bystander.Leave();

  EXPECT_THAT(second.Wait(), Exited(0));
  EXPECT_THAT(collector.Wait(), Exited(0));
  EXPECT_THAT(collector.output(), IsText(one + two));
  EXPECT_THAT(collector.call(), Returned(2));
}

TEST_F(OneLog, JoinsLinesThatComeInParts) {
  Sandbox box({.watch = {Family::kRead, Family::kWrite, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const std::string bytes =
      Line("a", RandomWord(50)) + Line("a", RandomWord(1000)) + Line("b", RandomWord(40));
  for (const Family family : {Family::kRead, Family::kWrite}) {
    box.AddRule({.family = family, .answer = -EINTR});
  }
  box.Shorten(Family::kRead, 11);
  box.Shorten(Family::kWrite, 7);
  const int gate = StartsWriting(box, path, bytes.substr(0, bytes.size() - 20),
                                 bytes.substr(bytes.size() - 20) + Line("a", "bye"));

  Helper collector = box.Start("Collects", {{"path", path}, {"writers", 1}});
  EXPECT_TRUE(StillWaits(box, collector)) << "while a writer made a pause";
  const std::string copied = bytes.substr(0, WrittenTo(box, STDOUT_FILENO));
  EXPECT_TRUE(copied.empty() || copied.back() == '\n') << "half a line had come, and was copied";
  box.Release(gate);

  EXPECT_THAT(collector.Wait(), Exited(0));
  EXPECT_THAT(collector.output(), SameBytesAs(bytes));
  EXPECT_THAT(collector.call(), Returned(3));
}

// ---- Errors and clean-up ------------------------------------------------------------------------

TEST_F(OneLog, ReportsWhatFailed) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  std::string path = PutFifo(box);
  const std::string name = PutOneOfEach(box, 0);
  const auto call = [&](const char* helper, const std::string& at, int writers = 1) {
    Helper caller = box.Start(helper, {{"path", at}, {"writers", writers}});
    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    return caller.call();
  };
  for (const char* helper : {"OpensLog", "Collects"}) {
    EXPECT_THAT(call(helper, name + ".not"), FailedWith(ENOENT)) << "of a path that is not there";
    EXPECT_THAT(call(helper, "/dev/null"), FailedWith(EINVAL)) << "of a device";
    if (ModesCount()) {
      EXPECT_THAT(call(helper, name + ".fifo"), FailedWith(EACCES)) << "of a FIFO with mode 0000";
    }
  }
  EXPECT_THAT(call("Collects", path, 0), FailedWith(EINVAL)) << "with 0 writers expected";
  EXPECT_THAT(call("Collects", path, -1), FailedWith(EINVAL)) << "with -1 writers expected";
  EXPECT_THAT(call("LogsNowhere", path), FailedWith(EBADF)) << "with a descriptor that is not open";

  const std::pair<const char*, int> outputs[] = {
      {"to_nobody", EPIPE}, {"to_device", ENOSPC}, {"to_closed", EBADF}};
  for (const auto& [to, error] : outputs) {
    path = PutFifo(box);
    StartsWriting(box, path, "a: hello\na: bye\n");
    Helper collector = box.Start("Collects", {{"path", path}, {to, 1}});
    EXPECT_TRUE(Leaves(box, collector)) << "with out_fd " << to;
    EXPECT_THAT(collector.call(), FailedWith(error)) << "with out_fd " << to;
    EXPECT_TRUE(collector.Reported("sigpipes", 0) == 0) << "the caller's handler of SIGPIPE ran";
    EXPECT_THAT(LeftBehind(box, collector.call()), NothingLeftBehind()) << "with out_fd " << to;
  }
}

TEST_F(OneLog, LeavesNothingBehind) {
  Sandbox box({.watch = {Family::kOpen, Family::kSignalSend}});
  const std::string path = PutFifo(box);
  const ino_t before = EntryAt(box, path).inode;

  for (const int nth : {1, 2, 99}) {  // The last of them stands for none.
    const auto collects = [](const Event& event) { return event.function == "log_collect"; };
    const int rule =
        box.AddRule({.family = Family::kOpen, .nth = nth, .where = collects, .answer = -EMFILE});
    StartsWriting(box, path, "a: bye\n");
    Helper collector = box.Start("Collects", {{"path", path}});
    EXPECT_TRUE(Leaves(box, collector));
    if (box.observer().Matches(rule) >= nth) {
      EXPECT_THAT(collector.call(), FailedWith(EMFILE)) << "open() failed";
    }
    EXPECT_THAT(LeftBehind(box, collector.call()), NothingLeftBehind());
  }
  EXPECT_TRUE(EntryAt(box, path).inode == before)
      << "The FIFO that was there before is gone: " << WhatIsAt(box, path);
  EXPECT_THAT(NamesLeft(box), testing::ElementsAre("FIFO /tmp/" + path));
}

}  // namespace
}  // namespace ipclab
