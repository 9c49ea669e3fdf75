// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using namespace msgqueue;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {Family::kMessages, Family::kOpen, Family::kRead,
                                      Family::kWrite, Family::kSignalWait};

void ExpectSound(const std::string& helper) {
  for (const std::string& fault : SweepErrors(helper, {.watch = kWatched})) {
    ADD_FAILURE() << fault;
  }
}

int NewQueue() { return Check(msgget(IPC_PRIVATE, IPC_CREAT | 0600), "msgget"); }

// ---- 1. Keys, creating, opening, removing ------------------------------------------------------

// In a box of its own, no other program can have this key.
constexpr key_t kKey = 4711;

HELPER(SweepsKeys) {
  int created = 0;
  bool good = STUDENT(q_create)(kKey, 0600) != -1;
  if (good) good &= STUDENT(q_open)(kKey) != -1;
  const int qid = STUDENT(q_open_or_create)(kKey, 0600, &created);
  good &= qid != -1;
  if (qid != -1) good &= STUDENT(q_remove)(qid) == 0;
  const int again = STUDENT(q_open_or_create)(kKey, 0600, &created);
  good &= again != -1 && created == 1;
  const int left = msgget(kKey, 0);
  if (left != -1) msgctl(left, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Keys) { ExpectSound("SweepsKeys"); }

HELPER(SweepsIdFile) {
  const int qid = STUDENT(q_private)("queue.id", 0600);
  if (qid == -1) return 1;
  bool good = STUDENT(q_from_file)("queue.id") == qid;
  good &= STUDENT(q_remove)(qid) == 0;
  unlink("queue.id");
  return good ? 0 : 1;
}

TEST(ErrorSweep, IdFile) { ExpectSound("SweepsIdFile"); }

// ---- 2. Typed send and receive -----------------------------------------------------------------

HELPER(SweepsTyped) {
  const int qid = NewQueue();
  char buffer[16];
  bool good = STUDENT(q_send)(qid, 7, "hello", 5, 1) == 0;
  if (good) good &= STUDENT(q_recv)(qid, 7, buffer, sizeof buffer, nullptr, 1) == 5;
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Typed) { ExpectSound("SweepsTyped"); }

// ---- 3. Messages that are too long -------------------------------------------------------------

HELPER(SweepsTooLong) {
  const int qid = NewQueue();
  struct {
    long type = 7;
    char text[3000] = "hello";
  } message;
  for (int nth = 0; nth < 2; ++nth) {
    Check(msgsnd(qid, &message, sizeof message.text, IPC_NOWAIT), "msgsnd");
  }
  void* buffer = nullptr;
  std::size_t cap = 0;
  char few[10];
  int was_cut = 0;
  bool good = STUDENT(q_recv_grow)(qid, 7, &buffer, &cap, nullptr) == 3000;
  good &= STUDENT(q_recv_cut)(qid, 7, few, sizeof few, &was_cut) == 10 && was_cut == 1;
  free(buffer);
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, TooLong) { ExpectSound("SweepsTooLong"); }

HELPER(SweepsBig) {
  const int qid = NewQueue();
  const std::string data(12'000, 'x');  // In more than one part; the queue has room for all.
  void* received = nullptr;
  bool good = STUDENT(q_send_big)(qid, 7, data.data(), data.size()) == 0;
  msqid_ds status{};
  Check(msgctl(qid, IPC_STAT, &status), "msgctl(IPC_STAT)");
  // Of what could not be sent, a part may have come.
  if (status.msg_qnum > 0) good &= STUDENT(q_recv_big)(qid, 7, &received, 20) == 12'000;
  free(received);
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Big) { ExpectSound("SweepsBig"); }

// ---- 4. Priorities -----------------------------------------------------------------------------

HELPER(SweepsJobs) {
  const int qid = NewQueue();
  char job[16];
  int prio = 0;
  bool good = STUDENT(jobs_put)(qid, 7, "one", 3) == 0;
  if (good) good &= STUDENT(jobs_take)(qid, 99, job, sizeof job, &prio, 1) == 3;
  if (good) good &= STUDENT(jobs_put)(qid, 7, "two", 3) == 0;
  if (good) good &= STUDENT(jobs_take_only)(qid, 7, job, sizeof job, 1) == 3;
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Jobs) { ExpectSound("SweepsJobs"); }

// ---- 5. A server and its clients ---------------------------------------------------------------

int Echo(const Req* req, char* reply, std::size_t cap, void* /*arg*/) {
  const std::string text(req->text);
  reply[text.copy(reply, cap - 1)] = '\0';
  return 0;
}

// The process that calls the function is the helper, and somebody else is at the other end.
HELPER(SweepsServer) {
  const int qid = NewQueue();
  Beside client([&] {
    char reply[240];
    const Imported<decltype(client_call)> call("client_call");
    const Imported<decltype(client_stop_server)> stop("client_stop_server");
    call(qid, 5, "hello", reply, sizeof reply, -1);
    call(qid, 6, "again", reply, sizeof reply, 5000);
    stop(qid);
  });
  return STUDENT(server_run)(qid, &Echo, nullptr, 0) == 2 ? 0 : 1;
}

TEST(ErrorSweep, Server) { ExpectSound("SweepsServer"); }

HELPER(SweepsClient) {
  const int qid = NewQueue();
  bool good = true;
  {
    Beside server([&] { Imported<decltype(server_run)>("server_run")(qid, &Echo, nullptr, 0); });
    char reply[240];
    good &= STUDENT(client_call)(qid, 5, "hello", reply, sizeof reply, -1) == 0;
    good &= STUDENT(client_call)(qid, 6, "again", reply, sizeof reply, 5000) == 0;
    if (STUDENT(client_stop_server)(qid) != 0) {
      good = false;
      msgctl(qid, IPC_RMID, nullptr);
    }
  }
  return good ? 0 : 1;
}

TEST(ErrorSweep, Client) { ExpectSound("SweepsClient"); }

HELPER(SweepsUntil) {
  const int qid = NewQueue();
  char buffer[16];
  sigset_t stop_on;
  sigemptyset(&stop_on);
  sigaddset(&stop_on, SIGUSR1);
  End why = End::kSignal;
  bool good = STUDENT(q_send_until)(qid, 7, "hello", 5, -1, &why) == 0;
  good &= STUDENT(q_send_until)(qid, 7, "again", 5, 5000, &why) == 0;
  // Without waiting for what could not be sent.
  good &= STUDENT(q_recv_until)(qid, 7, buffer, sizeof buffer, 5, nullptr, &why) == 5;
  good &= STUDENT(q_recv_until)(qid, 7, buffer, sizeof buffer, 5, &stop_on, &why) == 5;
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Until) { ExpectSound("SweepsUntil"); }

HELPER(SweepsUntilInVain) {
  const int qid = NewQueue();
  char buffer[16];
  sigset_t stop_on;
  sigemptyset(&stop_on);
  sigaddset(&stop_on, SIGUSR1);
  End why = End::kSignal;
  const bool good = STUDENT(q_recv_until)(qid, 7, buffer, sizeof buffer, 3, &stop_on, &why) == -1;
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, UntilInVain) { ExpectSound("SweepsUntilInVain"); }

HELPER(SweepsInside) {
  const int qid = NewQueue();
  QInfo info{};
  Limits limits{};
  int sent = 0;
  bool good = STUDENT(q_info)(qid, &info) == 0;
  good &= STUDENT(q_set_mode)(qid, 0640) == 0;
  good &= STUDENT(q_give)(qid, info.uid, getegid()) == 0;
  good &= STUDENT(q_set_max)(qid, 100) == 0;
  good &= STUDENT(q_limits)(&limits) == 0;
  good &= STUDENT(q_fill)(qid, 40, &sent) == 0;
  good &= STUDENT(q_drain)(qid) == sent;
  msgctl(qid, IPC_RMID, nullptr);
  return good ? 0 : 1;
}

TEST(ErrorSweep, Inside) { ExpectSound("SweepsInside"); }

}  // namespace
}  // namespace ipclab
