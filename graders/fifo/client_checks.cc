// Exercise fifo.6, second half: request, with a server that speaks the protocol by hand; and both
// together.

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "graders/fifo/client_server.h"

namespace ipclab {
namespace {

using fifo::request;
using fifo::serve;

constexpr int kNoLimit = -1;

// ---- Clients ------------------------------------------------------------------------------------

// Asks, with a buffer of `cap` bytes inside a larger one.
int AskHere(const std::string& text, std::size_t cap, int timeout_ms) {
  std::string buffer(cap + 16, '#');
  const int result =
      STUDENT(request)(kWellKnown, ".", text.c_str(), buffer.data(), cap, timeout_ms);
  Report("answer", buffer.substr(0, std::min(buffer.find('\0'), cap)));
  Report("behind", buffer.substr(cap));
  return result == 0 ? 0 : 1;
}

HELPER(Asks) {
  if (args.Int("stale", 0) != 0) MakeFifoHere(ReplyName(getpid()));
  return AskHere(args.Bytes("text"), static_cast<std::size_t>(args.Int("cap", 200)),
                 static_cast<int>(args.Int("timeout_ms", kNoLimit)));
}

// With something else, or nothing, or nobody where the server should be.
HELPER(AsksAt) {
  const std::string there = args.Bytes("there");
  if (there == "a file") MakeFileHere(kWellKnown, "a file");
  if (there == "a FIFO without a reader") MakeFifoHere(kWellKnown);
  AskHere("anybody?", 200, static_cast<int>(args.Int("timeout_ms", kNoLimit)));
  if (there == "a file") Report("holds", ReadFileHere(kWellKnown));
  return 0;
}

HELPER(AsksInVainHere) {
  using std::chrono::steady_clock;
  const int timeout_ms = static_cast<int>(args.Int("timeout_ms"));
  const auto start = steady_clock::now();
  AskHere("anybody?", 200, timeout_ms);
  const auto took = steady_clock::now() - start;
  Report("too_early", took < std::chrono::milliseconds(timeout_ms) ? 1 : 0);
  return 0;
}

// A signal every 5 ms, for half a second at most: each breaks off the wait.
constexpr int kMostSignals = 100;

void CountAndEnd(int) {
  handled = handled + 1;
  const itimerval never = {};
  if (handled >= kMostSignals) setitimer(ITIMER_REAL, &never, nullptr);
}

HELPER(AsksInVainUnderSignals) {
  const Action handler(SIGALRM, CountAndEnd);
  const itimerval often = {{0, 5000}, {0, 5000}};
  Check(setitimer(ITIMER_REAL, &often, nullptr), "setitimer");
  AskHere("anybody?", 200, static_cast<int>(args.Int("timeout_ms")));
  const itimerval never = {};
  Check(setitimer(ITIMER_REAL, &never, nullptr), "setitimer");
  Report("signals", handled);
  return 0;
}

HELPER(AsksWithHandler) {
  const Action handler(SIGUSR1, DoNothing);
  const Action breaks(SIGPIPE, CountSignal);
  const int result = AskHere(args.Bytes("text"), 200, kNoLimit);
  Report("sigpipes", handled);
  return result;
}

// ---- A server, by hand --------------------------------------------------------------------------

// Answers `requests` requests with `answer`, or goes on in another `way`.
HELPER(ServesByHand) {
  const std::string way = args.Bytes("way");
  MakeFifoHere(kWellKnown);
  const bool leaves = way == "leaves";
  Fd fifo = OpenHere(kWellKnown, leaves ? O_RDONLY | O_NONBLOCK : O_RDWR);
  if (way == "is full") {
    SetFlags(fifo.get(), O_NONBLOCK);
    const std::string page(PIPE_BUF, 'x');
    while (write(fifo.get(), page.data(), page.size()) > 0) {
    }
  }
  const PipeEnds silent = MakePipe();
  if (way == "is full") ReadHere(silent.read.get());  // For ever.
  if (leaves) Gate();
  if (leaves) return 0;
  std::string record(2 * PIPE_BUF, '\0');
  const ssize_t got = Check(read(fifo.get(), record.data(), record.size()), "read");
  record.resize(static_cast<std::size_t>(got));
  Report("record", record);
  fifo::RequestHeader header = {};
  if (record.size() < sizeof(header)) return 1;
  std::memcpy(&header, record.data(), sizeof(header));
  const std::string name = ReplyName(header.pid);
  struct stat info {};
  Report("fifo_there", lstat(name.c_str(), &info) == 0 && S_ISFIFO(info.st_mode) ? 1 : 0);
  const Fd answers(open(name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  Report("opened", answers.get() != -1 ? 1 : 0);
  if (way == "waits at the gate") Gate();
  if (way != "is silent" && answers.get() != -1) {
    WriteHere(answers.get(), args.Bytes("answer") + '\0');
  }
  ReadHere(silent.read.get());  // For ever: the FIFO is to have a reader.
  return 0;
}

Helper StartByHand(Sandbox& box, const std::string& way, const std::string& answer = "answer") {
  Helper server = box.Start("ServesByHand", {{"way", way}, {"answer", answer}});
  EXPECT_TRUE(ComesToRest(box));
  return server;
}

// ---- A server for many --------------------------------------------------------------------------

volatile sig_atomic_t stop = 0;
void Stop(int) { stop = 1; }

int Answer(const char* req, char* reply, std::size_t cap, void*) {
  std::snprintf(reply, cap, "%s", AnswerTo(req).c_str());
  return 0;
}

HELPER(ServesMany) {
  const Action ends(SIGUSR1, Stop);
  return STUDENT(serve)(kWellKnown, ".", &Answer, nullptr, &stop) >= 0 ? 0 : 1;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(ClientServer, AsksInOneRecord) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string text = RandomWord(30), answer = RandomWord(50);
  Helper server = StartByHand(box, "answers", answer);

  Helper client = box.Start("Asks", {{"text", text}});

  EXPECT_THAT(OutcomeOf(client), Succeeds());
  EXPECT_THAT(client.ReportedBytes("answer"), IsText(answer));
  EXPECT_THAT(server.ReportedBytes("record"), SameBytesAs(Record(client.process().inner_pid, text)))
      << "what one read of the server brought";
  const auto writes = box.Calls(Family::kWrite);
  const auto into = [](const Event& event) { return event.target == "/tmp/requests"; };
  EXPECT_TRUE(std::ranges::count_if(writes, into) == 1)
      << "the request went in " << std::ranges::count_if(writes, into) << " writes, not in one";
}

TEST_F(ClientServer, HasItsFifoBeforeItAsks) {
  Sandbox box({.watch = {Family::kWrite}});
  Helper server = StartByHand(box, "answers");
  // Until the server has tried to answer, the client does not get beyond its write.
  const int asked = box.HoldAfter(Family::kWrite);
  box.Start("Asks", {{"text", RandomWord(10)}});
  ASSERT_TRUE(SomebodyComesTo(box, asked)) << "the client never sent a request";
  ASSERT_TRUE(Comes(box, [&] { return server.Reported("opened") >= 0; }));
  EXPECT_TRUE(server.Reported("fifo_there") == 1)
      << "when the request arrived, there was no FIFO for the answer";
  // A client that opens it later is not wrong, but the server may drop the answer.
  EXPECT_TRUE(server.Reported("opened") == 1)
      << "when the request arrived, the client had not opened its FIFO: an open for writing that "
         "does not wait fails, and the answer is dropped";
}

TEST_F(ClientServer, PutsTheAnswerTogether) {
  Sandbox box({.watch = {Family::kRead}});
  box.Shorten(Family::kRead, 7);
  const std::string answer = RandomWord(60);
  StartByHand(box, "answers", answer);

  Helper client = box.Start("Asks", {{"text", RandomWord(10)}});

  EXPECT_THAT(OutcomeOf(client), Succeeds()) << "where each read brings 7 bytes at most";
  EXPECT_THAT(client.ReportedBytes("answer"), IsText(answer));
}

TEST_F(ClientServer, AsksUntilTheTimeIsOver) {
  for (const char* way : {"is silent", "is full"}) {
    Sandbox box;
    StartByHand(box, way);
    Helper client = box.Start("AsksInVainHere", {{"timeout_ms", 30}});
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd()) << "the server " << way;
    EXPECT_THAT(client.call(), FailedWith(ETIMEDOUT)) << "the server " << way;
    EXPECT_TRUE(client.Reported("too_early") == 0)
        << "it gave up before its time was over; the server " << way;
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/requests"}))) << "the server " << way;
    EXPECT_THAT(LeftBehind(box, client.call()), NothingLeftBehind()) << "the server " << way;
  }
  Sandbox box;
  StartByHand(box, "is silent");
  Helper once = box.Start("AsksInVainHere", {{"timeout_ms", 0}});
  EXPECT_THAT(OutcomeOf(once), ComesToItsEnd()) << "with a timeout of 0";
  EXPECT_THAT(once.call(), FailedWith(ETIMEDOUT)) << "with a timeout of 0";
  Helper disturbed = box.Start("AsksInVainUnderSignals", {{"timeout_ms", 30}});
  EXPECT_THAT(OutcomeOf(disturbed), ComesToItsEnd());
  EXPECT_THAT(disturbed.call(), FailedWith(ETIMEDOUT)) << "a signal came every 5 ms";
  EXPECT_TRUE(disturbed.Reported("signals") < kMostSignals)
      << "a signal came every 5 ms, and the time of 30 ms began anew with each of them";
}

TEST_F(ClientServer, GoesOnAskingWhenASignalComes) {
  Sandbox box({.watch = {Family::kSignalSend}});
  const int gate = HoldAtGate(box);
  const std::string answer = RandomWord(30);
  StartByHand(box, "waits at the gate", answer);

  Helper client = box.Start("AsksWithHandler", {{"text", RandomWord(10)}});
  ASSERT_TRUE(SomebodyComesTo(box, gate)) << "the request never arrived";
  ASSERT_TRUE(Waits(box, client, "for the answer"));
  ASSERT_TRUE(Interrupt(box, client, SIGUSR1));
  box.Release(gate);

  EXPECT_THAT(OutcomeOf(client), Succeeds());
  EXPECT_THAT(client.ReportedBytes("answer"), IsText(answer));
}

TEST_F(ClientServer, SurvivesAServerThatLeaves) {
  Sandbox box({.watch = {Family::kWrite, Family::kSignalSend}});
  const int gate = HoldAtGate(box);
  Helper server = box.Start("ServesByHand", {{"way", "leaves"}, {"answer", ""}});
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  const int asks = box.Hold(Family::kWrite);
  Helper client = box.Start("AsksWithHandler", {{"text", RandomWord(10)}});
  ASSERT_TRUE(SomebodyComesTo(box, asks));
  box.Release(gate);
  ASSERT_TRUE(Ends(box, server.pid()));
  box.Release(asks);

  EXPECT_THAT(OutcomeOf(client), ComesToItsEnd()) << "the server left just before the request";
  EXPECT_THAT(client.call(), testing::AnyOf(FailedWith(ENXIO), FailedWith(EPIPE)));
  EXPECT_TRUE(client.Reported("sigpipes") == 0) << "the caller's handler of SIGPIPE ran";
  EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/requests"})));
}

TEST_F(ClientServer, SaysThatThereIsNoServer) {
  const auto ask = [](const std::string& there) {
    Sandbox box;
    const int limit = there == "a file" ? 20 : kNoLimit;  // From a file no answer comes.
    Helper client = box.Start("AsksAt", {{"there", there}, {"timeout_ms", limit}});
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd()) << "there is " << there;
    EXPECT_THAT(LeftBehind(box, client.call()), NothingLeftBehind()) << "there is " << there;
    std::vector<std::string> names = NamesLeft(box);
    std::erase_if(names, [](const std::string& name) { return name.ends_with("/requests"); });
    EXPECT_THAT(names, IsNamed(Names({}))) << "there is " << there;
    if (there == "a file") {
      EXPECT_THAT(client.ReportedBytes("holds"), IsText("a file"));
    }
    return client.call();
  };
  EXPECT_THAT(ask("nothing"), FailedWith(ENOENT)) << "there is no well-known FIFO";
  EXPECT_THAT(ask("a FIFO without a reader"), FailedWith(ENXIO)) << "nobody reads the FIFO";
  EXPECT_THAT(ask("a file"), FailedWith(EINVAL)) << "the well-known FIFO is a regular file";
}

TEST_F(ClientServer, RefusesWhatDoesNotFit) {
  Sandbox box({.watch = {Family::kWrite}});
  StartByHand(box, "answers", "0123456789");
  const auto ask = [&](const nlohmann::json& args) {
    Helper client = box.Start("Asks", args);
    EXPECT_THAT(OutcomeOf(client), ComesToItsEnd());
    EXPECT_THAT(client.ReportedBytes("behind"), IsText(std::string(16, '#')))
        << "bytes behind the `cap` bytes of the buffer were written";
    EXPECT_THAT(LeftBehind(box, client.call()), NothingLeftBehind());
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/requests"})));
    return client.call();
  };
  const std::size_t most = PIPE_BUF - sizeof(fifo::RequestHeader);
  EXPECT_THAT(ask({{"text", RandomWord(most + 1)}}), FailedWith(EMSGSIZE))
      << "a record of PIPE_BUF + 1 bytes";
  EXPECT_THAT(ask({{"text", "hello"}, {"cap", 0}}), FailedWith(EINVAL)) << "cap is 0";
  EXPECT_TRUE(box.Calls(Family::kWrite).empty()) << "and yet something was sent";
  EXPECT_THAT(ask({{"text", RandomWord(most)}, {"cap", 10}}), FailedWith(EMSGSIZE))
      << "10 letters and a NUL into 10 bytes";

  Sandbox another;
  StartByHand(another, "answers", "0123456789");
  Helper client = another.Start("Asks", {{"text", "hello"}, {"cap", 11}});
  EXPECT_THAT(OutcomeOf(client), Succeeds());
  EXPECT_THAT(client.ReportedBytes("answer"), IsText("0123456789"))
      << "10 letters and a NUL into 11 bytes";
}

TEST_F(ClientServer, GivesEachClientItsOwnAnswer) {
  Sandbox box({.watch = {Family::kPoll, Family::kRead}});
  Helper server = box.Start("ServesMany");
  if (!server.WaitUntilBlockedIn(kWaitsOfServers)) FAIL() << box.failure();

  // The server reads when all have asked.
  const auto by_server = [&](const Event& event) { return event.pid == server.pid(); };
  const int reads = box.AddRule({.family = Family::kRead, .where = by_server, .hold = true});
  std::map<std::string, Helper> clients;
  for (int i = 0; i < 8; ++i) {
    const std::string text = RandomWord(20);
    clients.emplace(text, box.Start("Asks", {{"text", text}}));
  }
  ASSERT_TRUE(ComesToRest(box));
  box.Release(reads);
  for (auto& [text, client] : clients) {
    ASSERT_TRUE(IsAnswered(box, client, server)) << "eight clients asked at the same time";
    EXPECT_THAT(OutcomeOf(client), Succeeds());
    EXPECT_THAT(client.ReportedBytes("answer"), IsText(AnswerTo(text)));
  }
  server.Signal(SIGUSR1);
  EXPECT_THAT(OutcomeOf(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(8)) << "there were 8 requests";
}

TEST_F(ClientServer, RemovesTheFifoOfTheClient) {
  for (const int stale : {0, 1}) {
    Sandbox box;
    StartByHand(box, "answers", "yes");
    const char* const what =
        stale != 0 ? "its FIFO was there already, left behind by an earlier process of its pid"
                   : "after an answer";

    Helper client = box.Start("Asks", {{"text", RandomWord(10)}, {"stale", stale}});

    EXPECT_THAT(OutcomeOf(client), Succeeds()) << what;
    EXPECT_THAT(client.ReportedBytes("answer"), IsText("yes")) << what;
    EXPECT_THAT(NamesLeft(box), IsNamed(Names({"FIFO /tmp/requests"}))) << what;
    EXPECT_THAT(client.Leftovers(), NothingLeftBehind()) << what;
  }
}

}  // namespace
}  // namespace ipclab
