// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. And it rides out a storm of stops and signals that nobody has asked for.

#include "common/grading/sweep.h"

#include <fcntl.h>
#include <gmock/gmock.h>
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

void ExpectSound(const std::string& helper) {
  for (const std::string& fault : SweepErrors(helper, {.watch = kWatched})) {
    ADD_FAILURE() << fault;
  }
  EXPECT_EQ(RideOutStorm(helper, {.watch = kWatched}), "");
}

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

}  // namespace
}  // namespace ipclab
