// Exercise fifo.6, first half: serve, with clients that speak the protocol by hand.

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "common/observe/blocked.h"
#include "common/observe/trace.h"
#include "graders/fifo/client_server.h"

namespace ipclab {
namespace {

using fifo::serve;

// ---- The server ---------------------------------------------------------------------------------

volatile sig_atomic_t stop = 0;
void Stop(int) { stop = 1; }

int Answer(const char* req, char* reply, std::size_t cap, void* arg) {
  const std::string text = req;
  ++*static_cast<int*>(arg);
  if (text == "keep silent") return 1;
  if (text == "say much") {
    Report("cap", static_cast<std::int64_t>(cap));
    std::fill(reply, reply + cap - 1, 'y');
    reply[cap - 1] = '\0';
    return 0;
  }
  std::snprintf(reply, cap, "%s", AnswerTo(text).c_str());
  return 0;
}

int ServeHere() {
  const Action ends(SIGUSR1, Stop);
  const Action disturbs(SIGUSR2, DoNothing);
  const Action breaks(SIGPIPE, CountSignal);
  int handled_requests = 0;
  const int result = STUDENT(serve)(kWellKnown, ".", &Answer, &handled_requests, &stop);
  Report("handler_runs", handled_requests);
  Report("sigpipes", handled);
  return result >= 0 ? 0 : 1;
}

HELPER(Serves) {
  const std::string there = args.Bytes("there");
  if (there == "a FIFO") MakeFifoHere(kWellKnown);
  if (there == "a file") MakeFileHere(kWellKnown, "a file");
  return ServeHere();
}

HELPER(ServesWhenStopped) {
  stop = 1;
  return ServeHere();
}

// ---- Clients, by hand ---------------------------------------------------------------------------

void Send(std::string_view bytes) { WriteHere(OpenHere(kWellKnown, O_WRONLY).get(), bytes); }

// One that waits for its answer.
HELPER(AsksByHand) {
  const std::string name = ReplyName(getpid());
  MakeFifoHere(name);
  const Fd answers = OpenHere(name, O_RDONLY | O_NONBLOCK);
  // Two at once cannot be told from two that came one after the other.
  const std::string before =
      args.Int("after_silence", 0) != 0 ? Record(getpid(), "keep silent") : "";
  Send(before + Record(getpid(), args.Bytes("text")));
  pollfd end = {answers.get(), POLLIN, 0};
  std::string answer(2 * PIPE_BUF, '\0');
  Check(poll(&end, 1, -1), "poll");
  const ssize_t got = read(answers.get(), answer.data(), answer.size());
  answer.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  Report("answer", answer);
  Check(unlink(name.c_str()), "unlink");
  return 0;
}

// One that sends something and leaves, with something or other where its FIFO should be.
HELPER(SendsAndLeaves) {
  const std::string name = ReplyName(getpid());
  const std::string at_name = args.Bytes("at_name");
  if (at_name == "a FIFO") MakeFifoHere(name);
  if (at_name == "a file") MakeFileHere(name, args.Bytes("holds"));
  Send(Record(getpid(), args.Bytes("text")));
  return 0;
}

// One that has filled its FIFO and does not read it.
HELPER(SendsAndDoesNotRead) {
  const std::string name = ReplyName(getpid());
  MakeFifoHere(name);
  const Fd answers = OpenHere(name, O_RDWR | O_NONBLOCK);
  const std::string page(PIPE_BUF, 'x');
  while (write(answers.get(), page.data(), page.size()) > 0) {
  }
  Send(Record(getpid(), args.Bytes("text")));
  const PipeEnds silent = MakePipe();
  ReadHere(silent.read.get());  // For ever.
  return 0;
}

// One that leaves while its answer is on the way.
HELPER(SendsAndLeavesAtTheGate) {
  const std::string name = ReplyName(getpid());
  MakeFifoHere(name);
  const Fd answers = OpenHere(name, O_RDONLY | O_NONBLOCK);
  Send(Record(getpid(), args.Bytes("text")));
  Gate();
  return 0;
}

HELPER(SendsForeignBytes) {
  Send(args.Bytes("foreign"));
  return 0;
}

HELPER(LetsTimePass) {
  poll(nullptr, 0, static_cast<int>(args.Int("ms")));
  return 0;
}

// ---- What the checks do -------------------------------------------------------------------------

// Writes into the FIFO of a client, by the kernel's account.
std::vector<Event> WritesTo(const Sandbox& box, const std::string& path) {
  std::vector<Event> writes;
  for (const Event& event : box.Calls(Family::kWrite)) {
    if (event.target == path && event.Succeeded()) writes.push_back(event);
  }
  return writes;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(ClientServer, AnswersRequestsOfAnySize) {
  Sandbox box({.watch = {Family::kPoll, Family::kWrite}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));

  const std::string word = RandomWord(12);
  Helper client = box.Start("AsksByHand", {{"text", word}});
  ASSERT_TRUE(IsAnswered(box, client, server));
  EXPECT_THAT(client.ReportedBytes("answer"), SameBytesAs(AnswerTo(word) + '\0'));
  const std::string path = "/tmp/" + ReplyName(client.process().inner_pid);
  EXPECT_TRUE(WritesTo(box, path).size() == 1)
      << "the answer came in " << WritesTo(box, path).size() << " writes, and not in one";

  EXPECT_TRUE(Answers(box, server, "")) << "to a request without text";
  const std::string longest = RandomWord(PIPE_BUF - sizeof(fifo::RequestHeader));
  Helper talker = box.Start("AsksByHand", {{"text", longest}});
  ASSERT_TRUE(IsAnswered(box, talker, server)) << "the longest request there is";
  Helper listener = box.Start("AsksByHand", {{"text", "say much"}});
  ASSERT_TRUE(IsAnswered(box, listener, server)) << "to the longest answer that fits";
  const std::int64_t cap = server.Reported("cap");
  EXPECT_TRUE(cap <= PIPE_BUF) << "the handler may fill " << cap << " bytes";
  EXPECT_TRUE(static_cast<std::int64_t>(listener.ReportedBytes("answer").size()) == cap)
      << "of an answer of " << cap << " bytes, " << listener.ReportedBytes("answer").size()
      << " came";

  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(4)) << "there were 4 requests";
  EXPECT_TRUE(server.Reported("handler_runs") == 4) << "the handler ran otherwise";
}

TEST_F(ClientServer, LivesOnBetweenClients) {
  Sandbox box({.watch = {Family::kPoll, Family::kRead}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));

  for (const char* which : {"the first client", "the second client", "the third client"}) {
    EXPECT_TRUE(Answers(box, server, RandomWord(10))) << which;
    // No client is there now: nobody has the FIFO open for writing, except perhaps the server.
    ASSERT_TRUE(WaitsForRequests(server)) << "after " << which << " had left";
    ASSERT_TRUE(ComesToRest(box)) << "after " << which << " had left";
  }
  ASSERT_TRUE(Interrupt(box, server, SIGUSR2)) << "a signal that has nothing to do with it";
  EXPECT_TRUE(Answers(box, server, RandomWord(10))) << "after a signal with another purpose";
  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(4)) << "there were 4 requests";
}

TEST_F(ClientServer, IsNotHeldUpByAClient) {
  Sandbox box({.watch = {Family::kPoll}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));

  int requests = 0;
  const auto goes_on_after = [&](const char* client, const nlohmann::json& args) {
    box.Start(client, args);
    const auto sent = [&] { return ComesToRest(box) && !server.process().calls.empty(); };
    if (!sent()) return testing::AssertionFailure() << "the box does not come to rest";
    requests += 2;
    return Answers(box, server, RandomWord(10));
  };
  const std::string text = RandomWord(10);
  ASSERT_TRUE(goes_on_after("SendsAndLeaves", {{"text", text}, {"at_name", "nothing"}}))
      << "after a client that never had a FIFO";
  ASSERT_TRUE(goes_on_after("SendsAndLeaves", {{"text", text}, {"at_name", "a FIFO"}}))
      << "after a client that never opened its FIFO";
  ASSERT_TRUE(goes_on_after("SendsAndDoesNotRead", {{"text", text}}))
      << "after a client whose FIFO is full, and which does not read it";
  const std::string word = RandomWord(10);
  Helper patient = box.Start("AsksByHand", {{"text", word}, {"after_silence", 1}});
  requests += 2;
  ASSERT_TRUE(IsAnswered(box, patient, server))
      << "after a request that the handler did not answer";
  EXPECT_THAT(patient.ReportedBytes("answer"), SameBytesAs(AnswerTo(word) + '\0'))
      << "after a request that the handler did not answer";
  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(requests)) << "each of them counts, answered or not";
}

TEST_F(ClientServer, SurvivesAClientThatLeaves) {
  Sandbox box({.watch = {Family::kPoll, Family::kWrite, Family::kSignalSend}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));
  const int gate = HoldAtGate(box);
  const int answer = box.AddRule({.family = Family::kWrite, .where = InCaller(box), .hold = true});

  Helper leaver = box.Start("SendsAndLeavesAtTheGate", {{"text", RandomWord(10)}});
  ASSERT_TRUE(SomebodyComesTo(box, answer)) << "the server never came to write the answer";
  ASSERT_TRUE(SomebodyComesTo(box, gate));
  box.Release(gate);
  ASSERT_TRUE(Ends(box, leaver.pid()));
  box.Release(answer);

  EXPECT_TRUE(Answers(box, server, RandomWord(10))) << "after a client left without its answer";
  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(2)) << "there were 2 requests";
  EXPECT_TRUE(server.Reported("sigpipes") == 0) << "the caller's handler of SIGPIPE ran";
}

TEST_F(ClientServer, WritesToFifosOnly) {
  Sandbox box({.watch = {Family::kPoll}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));
  const std::string holds = RandomWord(3);

  box.Start("SendsAndLeaves", {{"text", RandomWord(10)}, {"at_name", "a file"}, {"holds", holds}});
  ASSERT_TRUE(ComesToRest(box));

  EXPECT_TRUE(Answers(box, server, RandomWord(10)));
  for (const TreeEntry& entry : box.Names()) {
    if (!S_ISREG(entry.type)) continue;
    EXPECT_TRUE(entry.size == static_cast<std::int64_t>(holds.size()))
        << "a file of " << holds.size() << " bytes stood where the FIFO of a client should be; "
        << "now it has " << entry.size;
  }
  EXPECT_THAT(Stopped(server), Succeeds());
}

TEST_F(ClientServer, DropsForeignBytes) {
  Sandbox box({.watch = {Family::kPoll}});
  Helper server = StartServer(box);
  ASSERT_TRUE(WaitsForRequests(server));

  const std::string forged = Record(1, "forged");
  const auto junk = [&](std::int32_t pid, std::uint32_t length, std::size_t size) {
    std::string bytes(sizeof(pid) + sizeof(length), '\0');
    std::memcpy(bytes.data(), &pid, sizeof(pid));
    std::memcpy(bytes.data() + sizeof(pid), &length, sizeof(length));
    while (bytes.size() < size) bytes += forged;
    return bytes;
  };
  const struct {
    const char* what;
    std::string bytes;
  } rows[] = {
      {"a header with the pid 0", junk(0, 6, 60)},
      {"a header with a negative pid", junk(-1, 6, 10'000)},
      {"a header with a length beyond PIPE_BUF", junk(1, PIPE_BUF, 10'000)},
      {"a header with the largest length there is", junk(1, 0xffffffff, 60)},
  };
  for (const auto& row : rows) {
    Helper stranger = box.Start("SendsForeignBytes", {{"foreign", Binary(row.bytes)}});
    ASSERT_TRUE(Ends(box, stranger.pid())) << row.what;
    ASSERT_TRUE(WaitsForRequests(server)) << "after " << row.what;
    ASSERT_TRUE(ComesToRest(box)) << "after " << row.what;
    ASSERT_TRUE(Answers(box, server, RandomWord(10))) << "after " << row.what;
  }
  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(4))
      << "there were 4 requests; what came behind a wrong header in one write was none";
}

TEST_F(ClientServer, PutsRequestsTogether) {
  Sandbox box({.watch = {Family::kPoll, Family::kRead}});
  box.Shorten(Family::kRead, 5);
  Helper server = StartServer(box, "a FIFO");
  ASSERT_TRUE(WaitsForRequests(server));

  EXPECT_TRUE(Answers(box, server, RandomWord(40)))
      << "where each read of the server brings 5 bytes at most";
  EXPECT_THAT(Stopped(server), Succeeds());
  EXPECT_THAT(server.call(), Returned(1)) << "there was 1 request";

  // Two at once: no read tells where one ends.
  Sandbox both({.watch = {Family::kPoll, Family::kRead}});
  Helper busy = StartServer(both, "a FIFO");
  ASSERT_TRUE(WaitsForRequests(busy));
  const int reads = both.AddRule({.family = Family::kRead, .where = InCaller(both), .hold = true});
  Helper one = both.Start("AsksByHand", {{"text", "one"}});
  Helper two = both.Start("AsksByHand", {{"text", "another"}});
  ASSERT_TRUE(ComesToRest(both));
  both.Release(reads);
  EXPECT_TRUE(IsAnswered(both, one, busy)) << "one of two requests that were there at once";
  EXPECT_TRUE(IsAnswered(both, two, busy)) << "one of two requests that were there at once";
  EXPECT_THAT(one.ReportedBytes("answer"), SameBytesAs(AnswerTo("one") + '\0'));
  EXPECT_THAT(two.ReportedBytes("answer"), SameBytesAs(AnswerTo("another") + '\0'));
  EXPECT_THAT(Stopped(busy), Succeeds());
  EXPECT_THAT(busy.call(), Returned(2)) << "there were 2 requests";
}

}  // namespace
}  // namespace ipclab
