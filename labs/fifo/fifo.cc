// Your work for the lab `fifo`. What each function must do stands in fifo.h; README.md tells the
// story. Take the exercises in any order: one that is not started costs no other one points.
//
// Look at your progress with: ./lab grade fifo
#include "fifo.h"

#include <cerrno>

namespace ipclab::fifo {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Make and check --------------------------------------------------------------------------

int fifo_make(const char* path, mode_t mode) {
  // TODO(you): fifo.h, section 1. What can happen between a question and the call that follows it?
  return NotYet(path, mode);
}

int fifo_is(const char* path) {
  // TODO(you): fifo.h, section 1. A link to a FIFO: which of the stat calls sees the link itself?
  return NotYet(path);
}

int fifo_remove(const char* path) {
  // TODO(you): fifo.h, section 1. unlink(2) takes away almost anything. Who looks first?
  return NotYet(path);
}

// ---- 2. Sender and drainer ----------------------------------------------------------------------

int fifo_send_file(const char* path, int in_fd) {
  // TODO(you): fifo.h, section 2. What does the reader cost you when it leaves early?
  return NotYet(path, in_fd);
}

ssize_t fifo_drain(const char* path, int out_fd) {
  // TODO(you): fifo.h, section 2. When exactly does read() return 0 on a FIFO?
  return NotYet(path, out_fd);
}

// ---- 3. Opening rules ---------------------------------------------------------------------------

int fifo_open_read(const char* path, int timeout_ms) {
  // TODO(you): fifo.h, section 3. Which call waits for the first writer, but not for ever?
  return NotYet(path, timeout_ms);
}

int fifo_open_write(const char* path, int timeout_ms) {
  // TODO(you): fifo.h, section 3. What is missing when open() says ENXIO, and for how long?
  return NotYet(path, timeout_ms);
}

int fifo_open_server(const char* path, int* keeper_fd) {
  // TODO(you): fifo.h, section 3. Who could keep the read end from ever being alone?
  return NotYet(path, keeper_fd);
}

// ---- 4. Many writers, one log -------------------------------------------------------------------

int log_open(const char* path) {
  // TODO(you): fifo.h, section 4. Do you want the writes that follow to wait, or to fail?
  return NotYet(path);
}

int log_line(int fd, const char* tag, const char* text) {
  // TODO(you): fifo.h, section 4. Up to which size does a write stay in one piece?
  return NotYet(fd, tag, text);
}

int log_collect(const char* path, int out_fd, int expected_writers) {
  // TODO(you): fifo.h, section 4. What do you keep of a read that ends in the middle of a line?
  return NotYet(path, out_fd, expected_writers);
}

// ---- 5. FIFO tee --------------------------------------------------------------------------------

int fifo_tee(int in_fd, int out_fd, const char* path) {
  // TODO(you): fifo.h, section 5. Two readers, and each may leave at any time. Who is still there?
  return NotYet(in_fd, out_fd, path);
}

int split_run(const char* const producer[], const char* const filter_a[],
              const char* const filter_b[], const char* workdir, int out_a, int out_b,
              int statuses[3]) {
  // TODO(you): fifo.h, section 5. Who opens the other end if filter_b never does?
  return NotYet(producer, filter_a, filter_b, workdir, out_a, out_b, statuses);
}

// ---- 6. Client and server -----------------------------------------------------------------------

int serve(const char* well_known, const char* dir, RequestHandler handler, void* arg,
          volatile std::sig_atomic_t* stop) {
  // TODO(you): fifo.h, section 6.
  // End of file means no writer now. How do you make sure that there is one?
  return NotYet(well_known, dir, handler, arg, stop);
}

int request(const char* well_known, const char* dir, const char* req, char* reply, std::size_t cap,
            int timeout_ms) {
  // TODO(you): fifo.h, section 6.
  // The server may be faster than your next line. What must be ready before you ask?
  return NotYet(well_known, dir, req, reply, cap, timeout_ms);
}

// ---- 7. Chat ------------------------------------------------------------------------------------

int chat_lockstep(const char* tx, const char* rx, int first, int in_fd, int out_fd, int rounds) {
  // TODO(you): fifo.h, section 7.
  // Each open waits for its partner. For whom does each side wait first?
  return NotYet(tx, rx, first, in_fd, out_fd, rounds);
}

int chat(const char* tx, const char* rx, int first, int in_fd, int out_fd) {
  // TODO(you): fifo.h, section 7.
  // Two waits at the same time. And who notices that the other side has gone?
  return NotYet(tx, rx, first, in_fd, out_fd);
}

}  // namespace ipclab::fifo
