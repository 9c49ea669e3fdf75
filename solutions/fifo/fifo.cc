// The reference solution of the lab `fifo`. Solve the exercises first: there is one road here, and
// there are many others.
#include "fifo.h"

#include <cerrno>
#include <utility>

namespace ipclab::fifo {

namespace {

// ---- Tools -------------------------------------------------------------------------------------

int Fail(int error) {
  errno = error;
  return -1;
}

// Clean-up makes system calls too. The caller wants the errno of what failed before it.
class KeepErrno {
 public:
  KeepErrno() = default;
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = saved_; }

 private:
  const int saved_ = errno;
};

// Makes a call again for as long as signals interrupt it.
template <typename Call>
auto Again(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

template <typename... Arguments>
int NotYet(const Arguments&...) {
  return Fail(ENOSYS);
}

}  // namespace

// ---- 1. Make and check --------------------------------------------------------------------------

int fifo_make(const char* path, mode_t mode) {
  // Not yet: fifo.h, section 1.
  return NotYet(path, mode);
}

int fifo_is(const char* path) {
  // Not yet: fifo.h, section 1.
  return NotYet(path);
}

int fifo_remove(const char* path) {
  // Not yet: fifo.h, section 1.
  return NotYet(path);
}

// ---- 2. Sender and drainer ----------------------------------------------------------------------

int fifo_send_file(const char* path, int in_fd) {
  // Not yet: fifo.h, section 2.
  return NotYet(path, in_fd);
}

ssize_t fifo_drain(const char* path, int out_fd) {
  // Not yet: fifo.h, section 2.
  return NotYet(path, out_fd);
}

// ---- 3. Opening rules ---------------------------------------------------------------------------

int fifo_open_read(const char* path, int timeout_ms) {
  // Not yet: fifo.h, section 3.
  return NotYet(path, timeout_ms);
}

int fifo_open_write(const char* path, int timeout_ms) {
  // Not yet: fifo.h, section 3.
  return NotYet(path, timeout_ms);
}

int fifo_open_server(const char* path, int* keeper_fd) {
  // Not yet: fifo.h, section 3.
  return NotYet(path, keeper_fd);
}

// ---- 4. Many writers, one log -------------------------------------------------------------------

int log_open(const char* path) {
  // Not yet: fifo.h, section 4.
  return NotYet(path);
}

int log_line(int fd, const char* tag, const char* text) {
  // Not yet: fifo.h, section 4.
  return NotYet(fd, tag, text);
}

int log_collect(const char* path, int out_fd, int expected_writers) {
  // Not yet: fifo.h, section 4.
  return NotYet(path, out_fd, expected_writers);
}

// ---- 5. FIFO tee --------------------------------------------------------------------------------

int fifo_tee(int in_fd, int out_fd, const char* path) {
  // Not yet: fifo.h, section 5.
  return NotYet(in_fd, out_fd, path);
}

int split_run(const char* const producer[], const char* const filter_a[],
              const char* const filter_b[], const char* workdir, int out_a, int out_b,
              int statuses[3]) {
  // Not yet: fifo.h, section 5.
  return NotYet(producer, filter_a, filter_b, workdir, out_a, out_b, statuses);
}

// ---- 6. Client and server -----------------------------------------------------------------------

int serve(const char* well_known, const char* dir, RequestHandler handler, void* arg,
          volatile std::sig_atomic_t* stop) {
  // Not yet: fifo.h, section 6.
  return NotYet(well_known, dir, handler, arg, stop);
}

int request(const char* well_known, const char* dir, const char* req, char* reply, std::size_t cap,
            int timeout_ms) {
  // Not yet: fifo.h, section 6.
  return NotYet(well_known, dir, req, reply, cap, timeout_ms);
}

// ---- 7. Chat ------------------------------------------------------------------------------------

int chat_lockstep(const char* tx, const char* rx, int first, int in_fd, int out_fd, int rounds) {
  // Not yet: fifo.h, section 7.
  return NotYet(tx, rx, first, in_fd, out_fd, rounds);
}

int chat(const char* tx, const char* rx, int first, int in_fd, int out_fd) {
  // Not yet: fifo.h, section 7.
  return NotYet(tx, rx, first, in_fd, out_fd);
}

}  // namespace ipclab::fifo
