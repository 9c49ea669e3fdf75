// Your work for the lab `mmap`. What each function must do stands in mmap.h; README.md tells the
// story. Take the exercises in any order: one that is not started costs no other one points.
//
// Look at your progress with: ./lab grade mmap
#include "mmap.h"

#include <cerrno>

namespace ipclab::mmap {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Map a file to read it ------------------------------------------------------------------

int map_file(const char* path, int writable, MappedFile* out) {
  // TODO(you): mmap.h, section 1. Which of your calls needs the descriptor last?
  return NotYet(path, writable, out);
}

int unmap(MappedFile* m) {
  // TODO(you): mmap.h, section 1. How do you know that there is nothing left to give back?
  return NotYet(m);
}

ssize_t count_byte(const char* path, unsigned char byte) {
  // TODO(you): mmap.h, section 1. Where does the text end, and who says so?
  return NotYet(path, byte);
}

// ---- 2. Copy a file by mapping -----------------------------------------------------------------

int mmap_copy(const char* src, const char* dst, mode_t mode) {
  // TODO(you): mmap.h, section 2. A store cannot return -1. When must you know that there is room?
  return NotYet(src, dst, mode);
}

// ---- 3. Anonymous memory for workers -----------------------------------------------------------

void* shared_alloc(std::size_t n, int use_dev_zero) {
  // TODO(you): mmap.h, section 3. Whose copy does a child change?
  NotYet(n, use_dev_zero);
  return nullptr;
}

int shared_free(void* p, std::size_t n) {
  // TODO(you): mmap.h, section 3. In whose address space does munmap(2) work?
  return NotYet(p, n);
}

int parallel_sum(const std::int32_t* v, std::size_t n, int workers, std::int64_t* out) {
  // TODO(you): mmap.h, section 3. When may you look at what a child has found?
  return NotYet(v, n, workers, out);
}

// ---- 4. Shared, private, and plain file sharing ------------------------------------------------

int patch_file(const char* path, off_t at, const void* bytes, std::size_t n, int keep_private,
               void* view, std::size_t cap) {
  // TODO(you): mmap.h, section 4. What rights must the descriptor bring along for each kind?
  return NotYet(path, at, bytes, n, keep_private, view, cap);
}

int fork_see(int map_flags, const char* before, const char* after, char* saw, std::size_t cap) {
  // TODO(you): mmap.h, section 4. When does the parent know that the child has written?
  return NotYet(map_flags, before, after, saw, cap);
}

ssize_t file_relay(const char* path, const void* msg, std::size_t n, off_t* offset, void* back,
                   std::size_t cap) {
  // TODO(you): mmap.h, section 4. After the fork there are two descriptors. How many offsets?
  return NotYet(path, msg, n, offset, back, cap);
}

int predict_mmap(int open_flags, int prot, int map_flags, std::size_t len, off_t off) {
  // TODO(you): mmap.h, section 4.
  // What does the kernel look at first: its arguments, or your rights?
  return NotYet(open_flags, prot, map_flags, len, off);
}

// ---- 5. A window at any offset -----------------------------------------------------------------

int window_open(int fd, off_t off, std::size_t len, int prot, Window* w) {
  // TODO(you): mmap.h, section 5.
  // What is the unit of a mapping? How much more than `len` do you need?
  return NotYet(fd, off, len, prot, w);
}

int window_close(Window* w) {
  // TODO(you): mmap.h, section 5. Which address did mmap(2) give you?
  return NotYet(w);
}

// ---- 6. Which fault? ---------------------------------------------------------------------------

int touch_byte(const volatile void* p, int write, Touch* out) {
  // TODO(you): mmap.h, section 6.
  // Where does the program go on after a fault, if the handler just returns?
  return NotYet(p, write, out);
}

int file_zones(const char* path, std::size_t map_len, off_t at, Touch* out) {
  // TODO(you): mmap.h, section 6.
  // Pages of the mapping, bytes of the file: which of them does `at` have?
  return NotYet(path, map_len, at, out);
}

// ---- 7. A mailbox for unrelated processes ------------------------------------------------------

int mbox_open(const char* path, std::size_t slot_bytes, Mbox** out) {
  // TODO(you): mmap.h, section 7. What does the second program find between two of your steps?
  return NotYet(path, slot_bytes, out);
}

int mbox_post(Mbox* m, const void* msg, std::size_t n, int timeout_ms) {
  // TODO(you): mmap.h, section 7. In which order must your stores become visible?
  return NotYet(m, msg, n, timeout_ms);
}

ssize_t mbox_fetch(Mbox* m, void* buf, std::size_t cap, int timeout_ms) {
  // TODO(you): mmap.h, section 7. You were woken. Is it really your turn?
  return NotYet(m, buf, cap, timeout_ms);
}

int mbox_close(Mbox* m) {
  // TODO(you): mmap.h, section 7. What is yours alone, and what do others still use?
  return NotYet(m);
}

int mbox_destroy(const char* path) {
  // TODO(you): mmap.h, section 7. Whose file is it? Look before you remove it.
  return NotYet(path);
}

// ---- 8. A process-shared monitor ---------------------------------------------------------------

std::size_t monitor_size(void) {
  // TODO(you): mmap.h, section 8. What belongs into the memory that all share?
  NotYet();
  return 4096;
}

int monitor_init(void* mem) {
  // TODO(you): mmap.h, section 8.
  // Who did you promise the lock would be used by? There is more than one object.
  return NotYet(mem);
}

int monitor_destroy(void* mem) {
  // TODO(you): mmap.h, section 8. pthread functions do not set errno. What do they return?
  return NotYet(mem);
}

int monitor_lock(void* mem) {
  // TODO(you): mmap.h, section 8. Who unlocks for the dead?
  return NotYet(mem);
}

int monitor_unlock(void* mem) {
  // TODO(you): mmap.h, section 8. Which type of mutex knows its owner?
  return NotYet(mem);
}

int monitor_wait(void* mem, int timeout_ms) {
  // TODO(you): mmap.h, section 8. By which clock does the condition count, and from when?
  return NotYet(mem, timeout_ms);
}

int monitor_notify(void* mem, int all) {
  // TODO(you): mmap.h, section 8. One, or all of them?
  return NotYet(mem, all);
}

int gate_wait(void* mem, int timeout_ms) {
  // TODO(you): mmap.h, section 8. What protects the gap between checking and sleeping?
  return NotYet(mem, timeout_ms);
}

int gate_open(void* mem) {
  // TODO(you): mmap.h, section 8. Nobody waits yet. How will a latecomer know?
  return NotYet(mem);
}
}  // namespace ipclab::mmap
