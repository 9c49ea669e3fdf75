// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. And it rides out a storm of stops and signals that nobody has asked for.

#include "common/grading/sweep.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using namespace fifo;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kPipe, Family::kSocket, Family::kOpen,
                                      Family::kMode, Family::kDup,    Family::kFcntl,
                                      Family::kRead, Family::kWrite,  Family::kSplice,
                                      Family::kPoll, Family::kWait,   Family::kSignalWait};

void ExpectSound(const std::string& helper) { ipclab::ExpectSound(helper, {.watch = kWatched}); }

constexpr char kPath[] = "swept";

// A FIFO for as long as this lives.
class Made {
 public:
  Made() { Check(mkfifo(kPath, 0600), "mkfifo"); }
  ~Made() { unlink(kPath); }
  Made(const Made&) = delete;
  Made& operator=(const Made&) = delete;
};

// Both ends, so that nobody waits to open the other.
Fd BothEnds() { return Fd(Check(open(kPath, O_RDWR | O_CLOEXEC), "open")); }

// A writer that waits for a reader. Whoever did not come: it is let go at the end.
class OneWriter {
 public:
  ~OneWriter() {
    const Fd way_out(open(kPath, O_RDONLY | O_NONBLOCK));
    writer_.Join();
  }

 private:
  Beside writer_{[] {
    const Fd fifo(open(kPath, O_WRONLY));
    static_cast<void>(write(fifo.get(), "hello", 5));
  }};
};

// ---- Exercises 1 to 4 ---------------------------------------------------------------------------

HELPER(SweepsFifoMake) {
  bool good = STUDENT(fifo_make)(kPath, 0640) == 0;
  good = good && STUDENT(fifo_make)(kPath, 0640) == 1;
  good = good && STUDENT(fifo_is)(kPath) == 1;
  good = good && STUDENT(fifo_remove)(kPath) == 0;
  unlink(kPath);
  return good ? 0 : 1;
}

TEST(ErrorSweep, FifoMake) { ExpectSound("SweepsFifoMake"); }

HELPER(SweepsSendFile) {
  const Made made;
  const Fd both = BothEnds();
  PipeEnds in = MakePipe();
  WriteHere(in.write.get(), "hello");
  in.write.Reset();
  return STUDENT(fifo_send_file)(kPath, in.read.get()) == 0 ? 0 : 1;
}

TEST(ErrorSweep, SendFile) { ExpectSound("SweepsSendFile"); }

HELPER(SweepsDrain) {
  const Made made;
  const OneWriter writer;
  return STUDENT(fifo_drain)(kPath, STDOUT_FILENO) == 5 ? 0 : 1;
}

TEST(ErrorSweep, Drain) { ExpectSound("SweepsDrain"); }

HELPER(SweepsOpening) {
  const Made made;
  int keeper = -1;
  const Fd server(STUDENT(fifo_open_server)(kPath, &keeper));
  const Fd kept(keeper);
  const Fd both = BothEnds();
  const Fd writer(STUDENT(fifo_open_write)(kPath, 1000));
  if (!writer) return 1;
  WriteHere(writer.get(), "x");
  const Fd reader(STUDENT(fifo_open_read)(kPath, 1000));
  return server && reader ? 0 : 1;
}

TEST(ErrorSweep, Opening) { ExpectSound("SweepsOpening"); }

HELPER(SweepsLog) {
  const Made made;
  const Fd both = BothEnds();
  const Fd log(STUDENT(log_open)(kPath));
  if (!log) return 1;
  const bool sent = STUDENT(log_line)(log.get(), "a", "hello") == 0 &&
                    STUDENT(log_line)(log.get(), "a", "bye") == 0;
  if (!sent) return 1;
  return STUDENT(log_collect)(kPath, STDOUT_FILENO, 1) == 1 ? 0 : 1;
}

TEST(ErrorSweep, Log) { ExpectSound("SweepsLog"); }

// ---- Exercises 5 to 7
// ----------------------------------------------------------------------------

// The FIFOs of a scenario, for as long as this lives.
class Fifos {
 public:
  explicit Fifos(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (const std::string& path : paths_) Check(mkfifo(path.c_str(), 0600), "mkfifo");
  }
  ~Fifos() {
    for (const std::string& path : paths_) unlink(path.c_str());
  }
  Fifos(const Fifos&) = delete;
  Fifos& operator=(const Fifos&) = delete;

 private:
  const std::vector<std::string> paths_;
};

Fd Open(const char* path, int flags) { return Fd(Check(open(path, flags | O_CLOEXEC), "open")); }

// A pipe that holds `text` and its end.
Fd Input(std::string_view text) {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), text);
  return std::move(line.read);
}

HELPER(SweepsFifoTee) {
  const Fifos fifos({"branch"});
  const Fd reader = Open("branch", O_RDONLY | O_NONBLOCK);
  const Fd input = Input("hello");
  return STUDENT(fifo_tee)(input.get(), STDOUT_FILENO, "branch") == 0 ? 0 : 1;
}

TEST(ErrorSweep, FifoTee) { ExpectSound("SweepsFifoTee"); }

HELPER(SweepsSplitRun) {
  const char* const says[] = {"says", "hello", nullptr};
  const char* const copies[] = {"copies", nullptr};
  int statuses[3] = {};
  return STUDENT(split_run)(says, copies, copies, ".", STDOUT_FILENO, STDERR_FILENO, statuses) == 0
             ? 0
             : 1;
}

TEST(ErrorSweep, SplitRun) { ExpectSound("SweepsSplitRun"); }

volatile sig_atomic_t stop = 0;

// No answer: what happens to one is the client's concern, and no error of the server.
int OnlyStops(const char*, char*, std::size_t, void*) {
  stop = 1;
  return 1;
}

void WriteRequest(int fd, pid_t pid) {
  const RequestHeader header = {pid, 0};
  WriteHere(fd, {reinterpret_cast<const char*>(&header), sizeof(header)});
}

// The first request calls for the second, for which the server has to wait.
int CallsForAnother(const char*, char*, std::size_t, void* other) {
  const pid_t client = std::exchange(*static_cast<pid_t*>(other), -1);
  if (client == -1) stop = 1;
  if (client != -1) kill(client, SIGUSR1);
  return 1;
}

HELPER(SweepsServe) {
  const Fifos fifos({"requests"});
  const Fd requests = Open("requests", O_RDWR);
  WriteRequest(requests.get(), 1);
  sigset_t call;
  sigemptyset(&call);
  sigaddset(&call, SIGUSR1);
  sigset_t before;
  Check(sigprocmask(SIG_BLOCK, &call, &before), "sigprocmask");
  const pid_t client = Check(fork(), "fork");
  if (client == 0) {
    int signal = 0;
    sigwait(&call, &signal);
    WriteRequest(requests.get(), 1);
    _exit(0);
  }
  Check(sigprocmask(SIG_SETMASK, &before, nullptr), "sigprocmask");
  pid_t to_call = client;
  const int served = STUDENT(serve)("requests", ".", &CallsForAnother, &to_call, &stop);
  TidyUp(-1, -1, client);  // Which is not called when serve has failed.
  return served == 2 ? 0 : 1;
}

TEST(ErrorSweep, Serve) { ExpectSound("SweepsServe"); }

HELPER(SweepsServeThatMakesItsFifo) {
  stop = 1;
  return STUDENT(serve)("requests", ".", &OnlyStops, nullptr, &stop) == 0 ? 0 : 1;
}

TEST(ErrorSweep, ServeThatMakesItsFifo) { ExpectSound("SweepsServeThatMakesItsFifo"); }

HELPER(SweepsRequest) {
  const Fifos fifos({"requests"});
  Fd server = Open("requests", O_RDWR);
  const Beside answers([&] {
    RequestHeader header{};
    if (read(server.get(), &header, sizeof(header)) != sizeof(header) || header.pid < 1) return;
    ReadHere(server.get(), header.length);
    const std::string name = "reply." + std::to_string(header.pid);
    const Fd reply(open(name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (reply) WriteHere(reply.get(), {"yes", 4});
  });
  char reply[16];
  const int result = STUDENT(request)("requests", ".", "hello", reply, sizeof(reply), -1);
  WriteRequest(server.get(), -1);  // In case that none has come.
  return result == 0 ? 0 : 1;
}

TEST(ErrorSweep, Request) { ExpectSound("SweepsRequest"); }

HELPER(SweepsChatInTurns) {
  const Fifos fifos({"there", "back"});
  const Fd hears = Open("there", O_RDONLY | O_NONBLOCK);
  const Fd says = Open("back", O_RDWR);
  WriteHere(says.get(), "hi\n");
  const Fd input = Input("hello\n");
  return STUDENT(chat_lockstep)("there", "back", 1, input.get(), STDOUT_FILENO, 1) == 1 ? 0 : 1;
}

TEST(ErrorSweep, ChatInTurns) { ExpectSound("SweepsChatInTurns"); }

HELPER(SweepsChat) {
  const Fifos fifos({"there", "back"});
  const Fd input = Input("hello\n");
  const pid_t other = Check(fork(), "fork");
  if (other == 0) {
    const Fd hears = Open("there", O_RDONLY | O_NONBLOCK);
    Fd says = Open("back", O_WRONLY);
    SetFlags(hears.get(), 0);
    WriteHere(says.get(), "hi\n");
    says.Reset();
    ReadHere(hears.get());
    _exit(0);
  }
  const int result = STUDENT(chat)("there", "back", 1, input.get(), STDOUT_FILENO);
  TidyUp(-1, -1, other);  // Which waits in vain when chat has failed.
  return result == 0 ? 0 : 1;
}

TEST(ErrorSweep, Chat) { ExpectSound("SweepsChat"); }

}  // namespace
}  // namespace ipclab
