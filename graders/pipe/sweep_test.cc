// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang. In a storm of signals it comes to the same end as without.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox/helper.h"
#include "labs/pipe/pipe.h"

namespace ipclab {
namespace {

using namespace pipe;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kPipe,  Family::kSocket,    Family::kOpen,
                                      Family::kDup,   Family::kFcntl,     Family::kRead,
                                      Family::kWrite, Family::kSplice,    Family::kPoll,
                                      Family::kWait,  Family::kSignalWait};

void ExpectSound(const std::string& helper) {
  ipclab::ExpectSound(helper, {.watch = kWatched, .shell = true});
}

HELPER(SweepsSendToChild) { return STUDENT(send_to_child)("hello", 5, STDOUT_FILENO) == 0 ? 0 : 1; }

TEST(ErrorSweep, SendToChild) { ExpectSound("SweepsSendToChild"); }

HELPER(SweepsRecords) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == -1) return 2;
  char buffer[16];
  const bool written = STUDENT(write_all)(ends[1], "hello", 5) == 5;
  const bool sent = STUDENT(send_record)(ends[1], "x", 1) == 0;
  close(ends[1]);
  const bool read_back = !written || STUDENT(read_full)(ends[0], buffer, 5) == 5;
  const bool received = !sent || STUDENT(recv_record)(ends[0], buffer, sizeof(buffer)) == 1;
  close(ends[0]);
  return written && sent && read_back && received ? 0 : 1;
}

TEST(ErrorSweep, Records) { ExpectSound("SweepsRecords"); }

HELPER(SweepsProbes) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == -1) return 2;
  PipeFacts facts{};
  ReadEnd read_end{};
  WriteEnd write_end{};
  int old = 0;
  int eof = 0;
  char c = 0;
  bool good = STUDENT(pipe_facts)(&facts) == 0;
  good &= STUDENT(probe_read_end)(ends[0], &read_end) == 0;
  good &= STUDENT(probe_write_end)(ends[1], &write_end) == 0;
  good &= STUDENT(set_nonblocking)(ends[0], 1, &old) == 0;
  good &= STUDENT(read_available)(ends[0], &c, 1, &eof) == 0;
  close(ends[0]);
  close(ends[1]);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Probes) { ExpectSound("SweepsProbes"); }

HELPER(SweepsPipeline) {
  const char* const copies[] = {"copies", nullptr};
  const char* const* const stages[] = {copies, copies, copies};
  int statuses[3] = {};
  return STUDENT(run_pipeline)(stages, 3, STDIN_FILENO, STDOUT_FILENO, statuses) == 0 ? 0 : 1;
}

TEST(ErrorSweep, Pipeline) { ExpectSound("SweepsPipeline"); }

int Echoes(int rfd, int wfd, void*) {
  char c = 0;
  while (read(rfd, &c, 1) == 1) {
    if (write(wfd, &c, 1) != 1) return 1;
  }
  return 0;
}

HELPER(SweepsDuplex) {
  Duplex talk{};
  if (STUDENT(duplex_start)(&Echoes, nullptr, &talk) == -1) return 1;
  char reply[16];
  const bool called = STUDENT(duplex_call)(&talk, "hello", reply, sizeof(reply)) == 0;
  int status = 0;
  return STUDENT(duplex_stop)(&talk, &status) == 0 && called ? 0 : 1;
}

TEST(ErrorSweep, Duplex) { ExpectSound("SweepsDuplex"); }

HELPER(SweepsWriteNosigpipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == -1) return 2;
  const bool whole = STUDENT(write_nosigpipe)(ends[1], "x", 1) == 1;
  close(ends[0]);
  const bool broken = STUDENT(write_nosigpipe)(ends[1], "x", 1) == -1;
  close(ends[1]);
  return whole && broken ? 0 : 1;
}

TEST(ErrorSweep, WriteNosigpipe) { ExpectSound("SweepsWriteNosigpipe"); }

HELPER(SweepsPopen) {
  FILE* const stream = STUDENT(my_popen)("exit 0", "r");
  if (stream == nullptr) return 1;
  return STUDENT(my_pclose)(stream) == 0 ? 0 : 1;
}

TEST(ErrorSweep, Popen) { ExpectSound("SweepsPopen"); }

HELPER(SweepsCoprocess) {
  const char* const argv[] = {"copies", nullptr};
  Coproc coproc{};
  if (STUDENT(coproc_start)(&coproc, argv) == -1) return 1;
  char reply[16];
  bool good = STUDENT(coproc_ask)(&coproc, "hello", reply, sizeof(reply), -1) == 0;
  good &= STUDENT(coproc_pump)(&coproc, "12345", 5, reply, sizeof(reply)) == 5;
  int status = 0;
  return STUDENT(coproc_stop)(&coproc, &status) == 0 && good ? 0 : 1;
}

TEST(ErrorSweep, Coprocess) { ExpectSound("SweepsCoprocess"); }

}  // namespace
}  // namespace ipclab
