// Your work for the lab `pipe`. What each function must do stands in pipe.h; README.md tells the
// story. Take the exercises in any order: one that is not started costs no other one points.
//
// Look at your progress with: ./lab grade pipe
#include "pipe.h"

#include <cerrno>

namespace ipclab::pipe {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. send_to_child --------------------------------------------------------------------------

int send_to_child(const void* data, std::size_t len, int out_fd) {
  // TODO(you): pipe.h, section 1. Who holds which end, and who must let go of it?
  return NotYet(data, len, out_fd);
}

// ---- 2. Full reads and atomic records ----------------------------------------------------------

ssize_t write_all(int fd, const void* buf, std::size_t n) {
  // TODO(you): pipe.h, section 2. What does the number that write() returns promise?
  return NotYet(fd, buf, n);
}

ssize_t read_full(int fd, void* buf, std::size_t n) {
  // TODO(you): pipe.h, section 2. read() has three kinds of answers.
  return NotYet(fd, buf, n);
}

int send_record(int fd, const void* payload, std::uint32_t n) {
  // TODO(you): pipe.h, section 2. Up to which size does the kernel keep a write in one piece?
  return NotYet(fd, payload, n);
}

ssize_t recv_record(int fd, void* buf, std::size_t cap) {
  // TODO(you): pipe.h, section 2. After any record, where must the stream stand?
  return NotYet(fd, buf, cap);
}

// ---- 3. Measure and probe ----------------------------------------------------------------------

int pipe_facts(PipeFacts* out) {
  // TODO(you): pipe.h, section 3. Two different numbers: one about atomicity, one about room.
  return NotYet(out);
}

int set_nonblocking(int fd, int on, int* old_flags) {
  // TODO(you): pipe.h, section 3. The flags are a set: keep the members you did not name.
  return NotYet(fd, on, old_flags);
}

int probe_read_end(int fd, ReadEnd* out) {
  // TODO(you): pipe.h, section 3. Which bits does poll(2) set for each state of a pipe?
  return NotYet(fd, out);
}

int probe_write_end(int fd, WriteEnd* out) {
  // TODO(you): pipe.h, section 3. Which bits does poll(2) set for each state of a pipe?
  return NotYet(fd, out);
}

ssize_t read_available(int fd, void* buf, std::size_t cap, int* eof) {
  // TODO(you): pipe.h, section 3. "Nothing now" and "nothing ever again" are two answers.
  return NotYet(fd, buf, cap, eof);
}

// ---- 4. run_pipeline ---------------------------------------------------------------------------

int run_pipeline(const char* const* const* argvs, std::size_t n, int in_fd, int out_fd,
                 int* statuses) {
  // TODO(you): pipe.h, section 4. First draw the descriptor table of every process at its exec.
  return NotYet(argvs, n, in_fd, out_fd, statuses);
}

// ---- 5. Two-way talk over two pipes ------------------------------------------------------------

int duplex_start(int (*service)(int rfd, int wfd, void* arg), void* arg, Duplex* out) {
  // TODO(you): pipe.h, section 5. Two pipes, four ends, two processes: who keeps which two?
  return NotYet(service, arg, out);
}

int duplex_call(Duplex* d, const char* line, char* reply, std::size_t cap) {
  // TODO(you): pipe.h, section 5. To whom do bytes behind the newline belong?
  return NotYet(d, line, reply, cap);
}

int duplex_stop(Duplex* d, int* status) {
  // TODO(you): pipe.h, section 5. What is the child waiting for while you wait for it?
  return NotYet(d, status);
}

// ---- 6. write without SIGPIPE ------------------------------------------------------------------

ssize_t write_nosigpipe(int fd, const void* buf, std::size_t n) {
  // TODO(you): pipe.h, section 6. The action belongs to the process. What belongs to the thread?
  return NotYet(fd, buf, n);
}

// ---- 7. my_popen and my_pclose -----------------------------------------------------------------

FILE* my_popen(const char* command, const char* type) {
  // TODO(you): pipe.h, section 7. How will my_pclose know whom to wait for?
  NotYet(command, type);
  return nullptr;
}

int my_pclose(FILE* stream) {
  // TODO(you): pipe.h, section 7. Close or wait: which comes first?
  return NotYet(stream);
}

// ---- 8. A coprocess ----------------------------------------------------------------------------

int coproc_start(Coproc* c, const char* const argv[]) {
  // TODO(you): pipe.h, section 8. How can the parent learn that exec failed in the child?
  return NotYet(c, argv);
}

int coproc_ask(Coproc* c, const char* line, char* reply, std::size_t cap, int timeout_ms) {
  // TODO(you): pipe.h, section 8. A wait with an end, even if the answer never comes.
  return NotYet(c, line, reply, cap, timeout_ms);
}

ssize_t coproc_pump(Coproc* c, const void* in, std::size_t n, void* out, std::size_t cap) {
  // TODO(you): pipe.h, section 8. Two full pipes and two writers: who moves first?
  return NotYet(c, in, n, out, cap);
}

int coproc_stop(Coproc* c, int* status) {
  // TODO(you): pipe.h, section 8. It ends when it sees the end of its input.
  return NotYet(c, status);
}

}  // namespace ipclab::pipe
