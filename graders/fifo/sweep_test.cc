// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using namespace fifo;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {
    Family::kPipe,  Family::kOpen,   Family::kDup,  Family::kFcntl, Family::kRead,
    Family::kWrite, Family::kSplice, Family::kPoll, Family::kWait,  Family::kSignalWait};

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

TEST(ErrorSweep, FifoTee) { ExpectSound("SweepsFifoTee", {.watch = kWatched}); }

HELPER(SweepsSplitRun) {
  const char* const says[] = {"says", "hello", nullptr};
  const char* const copies[] = {"copies", nullptr};
  int statuses[3] = {};
  return STUDENT(split_run)(says, copies, copies, ".", STDOUT_FILENO, STDERR_FILENO, statuses) == 0
             ? 0
             : 1;
}

TEST(ErrorSweep, SplitRun) { ExpectSound("SweepsSplitRun", {.watch = kWatched}); }

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

TEST(ErrorSweep, Serve) { ExpectSound("SweepsServe", {.watch = kWatched}); }

HELPER(SweepsServeThatMakesItsFifo) {
  stop = 1;
  return STUDENT(serve)("requests", ".", &OnlyStops, nullptr, &stop) == 0 ? 0 : 1;
}

TEST(ErrorSweep, ServeThatMakesItsFifo) {
  ExpectSound("SweepsServeThatMakesItsFifo", {.watch = kWatched});
}

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

TEST(ErrorSweep, Request) { ExpectSound("SweepsRequest", {.watch = kWatched}); }

HELPER(SweepsChatInTurns) {
  const Fifos fifos({"there", "back"});
  const Fd hears = Open("there", O_RDONLY | O_NONBLOCK);
  const Fd says = Open("back", O_RDWR);
  WriteHere(says.get(), "hi\n");
  const Fd input = Input("hello\n");
  return STUDENT(chat_lockstep)("there", "back", 1, input.get(), STDOUT_FILENO, 1) == 1 ? 0 : 1;
}

TEST(ErrorSweep, ChatInTurns) { ExpectSound("SweepsChatInTurns", {.watch = kWatched}); }

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

TEST(ErrorSweep, Chat) { ExpectSound("SweepsChat", {.watch = kWatched}); }

}  // namespace
}  // namespace ipclab
