// Your work for the lab `msgqueue`. What each function must do stands in msgqueue.h; README.md
// tells the story. Take the exercises in any order: one that is not started costs no other one
// points.
//
// Look at your progress with: ./lab grade msgqueue
#include "msgqueue.h"

#include <cerrno>

namespace ipclab::msgqueue {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Keys, creating, opening, removing ------------------------------------------------------

key_t key_from_path(const char* path, int id) {
  // TODO(you): msgqueue.h, section 1. Which bits of `id` does ftok(3) use? Which key is an error?
  return NotYet(path, id);
}

int q_create(key_t key, mode_t mode) {
  // TODO(you): msgqueue.h, section 1. Which flag makes "it is there already" an error?
  return NotYet(key, mode);
}

int q_open(key_t key) {
  // TODO(you): msgqueue.h, section 1. With flags 0, what does msgget(2) check?
  return NotYet(key);
}

int q_open_or_create(key_t key, mode_t mode, int* created) {
  // TODO(you): msgqueue.h, section 1. What may another process do between two of your calls?
  return NotYet(key, mode, created);
}

int q_private(const char* id_file, mode_t mode) {
  // TODO(you): msgqueue.h, section 1. Which call replaces a file in one step?
  return NotYet(id_file, mode);
}

int q_from_file(const char* id_file) {
  // TODO(you): msgqueue.h, section 1. A number in a file is a claim. Who knows whether it is true?
  return NotYet(id_file);
}

int q_remove(int qid) {
  // TODO(you): msgqueue.h, section 1. Who else may remove a queue, and who may not?
  return NotYet(qid);
}

// ---- 2. Typed send and receive -----------------------------------------------------------------

int q_send(int qid, long type, const void* data, std::size_t n, int wait) {
  // TODO(you): msgqueue.h, section 2. Which part of the message does msgsz count?
  return NotYet(qid, type, data, n, wait);
}

ssize_t q_recv(int qid, long want, void* buf, std::size_t cap, long* type, int wait) {
  // TODO(you): msgqueue.h, section 2. Where does the type stand, and who makes room for it?
  return NotYet(qid, want, buf, cap, type, wait);
}

// ---- 3. Messages that are too long -------------------------------------------------------------

ssize_t q_recv_grow(int qid, long want, void** buf, std::size_t* cap, long* type) {
  // TODO(you): msgqueue.h, section 3. After E2BIG, where is the message?
  return NotYet(qid, want, buf, cap, type);
}

ssize_t q_recv_cut(int qid, long want, void* buf, std::size_t cap, int* was_cut) {
  // TODO(you): msgqueue.h, section 3. A message that just fits and one that was cut look alike. How
  // do you tell them apart?
  return NotYet(qid, want, buf, cap, was_cut);
}

int q_send_big(int qid, long type, const void* data, std::size_t n) {
  // TODO(you): msgqueue.h, section 3. Two senders fill the queue at the same time. Who makes room?
  return NotYet(qid, type, data, n);
}

ssize_t q_recv_big(int qid, long type, void** data, int patience_ms) {
  // TODO(you): msgqueue.h, section 3. How do you know whose part you have in hand, and whether it
  // is the last?
  return NotYet(qid, type, data, patience_ms);
}

// ---- 4. Priorities -----------------------------------------------------------------------------

int jobs_put(int qid, int prio, const void* job, std::size_t n) {
  // TODO(you): msgqueue.h, section 4. What does the receiver choose a message by?
  return NotYet(qid, prio, job, n);
}

ssize_t jobs_take(int qid, int worst_prio, void* job, std::size_t cap, int* prio, int wait) {
  // TODO(you): msgqueue.h, section 4. Which msgtyp means "the lowest first"? Is the bound itself
  // included?
  return NotYet(qid, worst_prio, job, cap, prio, wait);
}

ssize_t jobs_take_only(int qid, int prio, void* job, std::size_t cap, int wait) {
  // TODO(you): msgqueue.h, section 4. Which msgtyp means "this type and no other"?
  return NotYet(qid, prio, job, cap, wait);
}

// ---- 5. A server and its clients ---------------------------------------------------------------

int server_run(int qid, ReqHandler handle, void* arg, int max_requests) {
  // TODO(you): msgqueue.h, section 5. Everybody sends and the queue is full. Who can make room?
  return NotYet(qid, handle, arg, max_requests);
}

int client_call(int qid, std::uint32_t op, const char* text, char* reply, std::size_t cap,
                int timeout_ms) {
  // TODO(you): msgqueue.h, section 5. What makes a reply yours, and what makes it one to this call?
  return NotYet(qid, op, text, reply, cap, timeout_ms);
}

int client_stop_server(int qid) {
  // TODO(you): msgqueue.h, section 5. What if the server has gone already?
  return NotYet(qid);
}

// ---- 6. Blocked, removed, interrupted ----------------------------------------------------------

ssize_t q_recv_until(int qid, long want, void* buf, std::size_t cap, int timeout_ms,
                     const sigset_t* stop_on, End* why) {
  // TODO(you): msgqueue.h, section 6. A signal comes just before you begin to wait. What wakes you?
  return NotYet(qid, want, buf, cap, timeout_ms, stop_on, why);
}

int q_send_until(int qid, long type, const void* data, std::size_t n, int timeout_ms, End* why) {
  // TODO(you): msgqueue.h, section 6. What ends the wait of a sender? There are four things.
  return NotYet(qid, type, data, n, timeout_ms, why);
}

// ---- 7. Looking inside, limits, rights ---------------------------------------------------------

int q_info(int qid, QInfo* out) {
  // TODO(you): msgqueue.h, section 7. Which command of msgctl(2) reads, and which right does it
  // need?
  return NotYet(qid, out);
}

int q_set_mode(int qid, mode_t mode) {
  // TODO(you): msgqueue.h, section 7. IPC_SET writes several fields. What stands in those that you
  // did not mean?
  return NotYet(qid, mode);
}

int q_give(int qid, uid_t uid, gid_t gid) {
  // TODO(you): msgqueue.h, section 7. IPC_SET writes several fields. What stands in those that you
  // did not mean?
  return NotYet(qid, uid, gid);
}

int q_set_max(int qid, unsigned long bytes) {
  // TODO(you): msgqueue.h, section 7. Who may go above the limit of the system?
  return NotYet(qid, bytes);
}

int q_fill(int qid, std::size_t n, int* sent) {
  // TODO(you): msgqueue.h, section 7. Which error says "full"?
  return NotYet(qid, n, sent);
}

int q_limits(Limits* out) {
  // TODO(you): msgqueue.h, section 7. Where does ipcs(1) get its numbers from, if not from /proc?
  return NotYet(out);
}

int q_drain(int qid) {
  // TODO(you): msgqueue.h, section 7. What keeps a message in the queue that is longer than your
  // buffer?
  return NotYet(qid);
}

}  // namespace ipclab::msgqueue
