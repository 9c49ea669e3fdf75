// Your work for the lab `shm`. What each function must do stands in shm.h; README.md tells the
// story. Take the exercises in any order: one that is not started costs no other one points.
//
// Look at your progress with: ./lab grade shm
#include "shm.h"

#include <cerrno>

namespace ipclab::shm {

namespace {

// Stands in for a function that is not written yet. Take it out, exercise by exercise.
template <typename... Arguments>
int NotYet(const Arguments&...) {
  errno = ENOSYS;
  return -1;
}

}  // namespace

// ---- 1. Create, attach, look, remove ------------------------------------------------------------

int seg_create(key_t key, std::size_t size, mode_t mode) {
  // TODO(you): shm.h, section 1. Which flag makes sure that the segment is new? Where do the
  // permission bits go?
  return NotYet(key, size, mode);
}

int seg_open(key_t key, std::size_t min_size) {
  // TODO(you): shm.h, section 1. What does shmget(2) check when a segment exists, and what do you
  // have to pass so that it does?
  return NotYet(key, min_size);
}

void* seg_attach(int id, int readonly) {
  // TODO(you): shm.h, section 1. What does shmat(2) return when it fails? It is not null.
  NotYet(id, readonly);
  return nullptr;
}

int seg_detach(const void* p) {
  // TODO(you): shm.h, section 1. Which addresses does shmdt(2) take?
  return NotYet(p);
}

int seg_remove(int id) {
  // TODO(you): shm.h, section 1. One command of shmctl(2). What becomes of those who have the
  // segment attached?
  return NotYet(id);
}

int seg_info(int id, SegInfo* out) {
  // TODO(you): shm.h, section 1. struct shmid_ds has it all, and shm_perm.mode more than permission
  // bits.
  return NotYet(id, out);
}

// ---- 2. Lifetime --------------------------------------------------------------------------------

void* seg_scratch(std::size_t size, int* id) {
  // TODO(you): shm.h, section 2. If every process is killed, nobody is left to clean up. Who can do
  // it, and when must you ask for it?
  NotYet(size, id);
  return nullptr;
}

int seg_attached(int id, unsigned long* n) {
  // TODO(you): shm.h, section 2. Which errno does shmctl(2) have for a segment that is gone, and
  // which one is asked for here?
  return NotYet(id, n);
}

int seg_remove_when_idle(int id, int timeout_ms) {
  // TODO(you): shm.h, section 2. No call waits for this. What do you look at, how long do you
  // sleep, and which clock ends it?
  return NotYet(id, timeout_ms);
}

int seg_compute(std::size_t size, int (*fn)(void* mem, void* arg), void* arg, void* out) {
  // TODO(you): shm.h, section 2. What does a child inherit by fork(2)? When may the caller read
  // what the child has stored?
  return NotYet(size, fn, arg, out);
}

// ---- 3. One writer and one reader, done right ---------------------------------------------------

int line_create(key_t key) {
  // TODO(you): shm.h, section 3. What must two strangers share beside the text, and how do they
  // find it by the key?
  return NotYet(key);
}

int line_remove(key_t key) {
  // TODO(you): shm.h, section 3. Who sleeps in what you remove, and what do they find when they
  // wake? May the dead hold you up?
  return NotYet(key);
}

int line_write(key_t key, int in_fd) {
  // TODO(you): shm.h, section 3. May I write now? When is the text whole? What if the line is
  // longer than the text?
  return NotYet(key, in_fd);
}

int line_read(key_t key, int out_fd) {
  // TODO(you): shm.h, section 3. Is there a text? When have I finished with it? Is it the end?
  return NotYet(key, out_fd);
}

int line_control(const char* key_file, const char* const reader[], const char* const writer[],
                 int statuses[2]) {
  // TODO(you): shm.h, section 3. Two children, in any order of ending. Which of your functions
  // helps the one that waits in vain?
  return NotYet(key_file, reader, writer, statuses);
}

// ---- 4. A bounded ring buffer -------------------------------------------------------------------

ssize_t ring_bytes(std::size_t slots, std::size_t item) {
  // TODO(you): shm.h, section 4. What lies there beside the items? What does a product of two large
  // numbers look like in 64 bits?
  return NotYet(slots, item);
}

int ring_init(void* mem, std::size_t slots, std::size_t item) {
  // TODO(you): shm.h, section 4. What must be true of the memory before, and who can reach what you
  // make in it? Attributes tell.
  return NotYet(mem, slots, item);
}

int ring_put(void* mem, const void* item, int timeout_ms) {
  // TODO(you): shm.h, section 4. Where do you look, and who can change it before you act? When is
  // the item there? What if you are killed just here?
  return NotYet(mem, item, timeout_ms);
}

int ring_get(void* mem, void* item, int timeout_ms) {
  // TODO(you): shm.h, section 4. When may the slot be used again, and who waits for that?
  return NotYet(mem, item, timeout_ms);
}

int ring_close(void* mem) {
  // TODO(you): shm.h, section 4. Who sleeps, and what do they find when they wake?
  return NotYet(mem);
}

ssize_t ring_used(void* mem) {
  // TODO(you): shm.h, section 4. Does it have to wait for anybody?
  return NotYet(mem);
}

int spsc_put(void* mem, const void* item) {
  // TODO(you): shm.h, section 4. Which number is yours alone? In which order do the others see your
  // stores?
  return NotYet(mem, item);
}

int spsc_get(void* mem, void* item) {
  // TODO(you): shm.h, section 4. The mirror image of spsc_put. What must you have seen before you
  // copy?
  return NotYet(mem, item);
}

// ---- 5. POSIX shared memory ---------------------------------------------------------------------

int pshm_create(const char* name, std::size_t size, mode_t mode) {
  // TODO(you): shm.h, section 5. Four steps. What if somebody comes between two of them, or one of
  // them fails?
  return NotYet(name, size, mode);
}

int pshm_open(const char* name, int readonly, int timeout_ms, std::size_t* size) {
  // TODO(you): shm.h, section 5. It exists: is it ready? What do you look at, and how long do you
  // rest between two looks?
  return NotYet(name, readonly, timeout_ms, size);
}

void* pshm_map(int fd, std::size_t size, int readonly) {
  // TODO(you): shm.h, section 5. Where does the object end, and who notices if you map more?
  NotYet(fd, size, readonly);
  return nullptr;
}

int pshm_destroy(const char* name) {
  // TODO(you): shm.h, section 5. What is removed, and what is not?
  return NotYet(name);
}

int produce(const char* name, const void* msg, std::size_t len, int timeout_ms) {
  // TODO(you): shm.h, section 5. Let the object say three things: nothing yet, there it is, I have
  // it. Who waits for which? Who takes the name away?
  return NotYet(name, msg, len, timeout_ms);
}

ssize_t consume(const char* name, void* buf, std::size_t cap, int timeout_ms) {
  // TODO(you): shm.h, section 5. The name, the size, the message: three waits. In which of them can
  // you be woken?
  return NotYet(name, buf, cap, timeout_ms);
}

// ---- 6. Data that is valid at any address -------------------------------------------------------

int heap_init(void* base, std::size_t bytes) {
  // TODO(you): shm.h, section 6. What does the heap have to know of itself, and where can all
  // processes find it?
  return NotYet(base, bytes);
}

Off heap_alloc(void* base, std::size_t n) {
  // TODO(you): shm.h, section 6. How much is left, and how much of it does the request take? Mind
  // numbers that overflow.
  return NotYet(base, n);
}

int list_push(void* base, Off* head, const char* text) {
  // TODO(you): shm.h, section 6. A pointer is worth nothing in another process. What is?
  return NotYet(base, head, text);
}

ssize_t list_join(const void* base, Off head, char* out, std::size_t cap) {
  // TODO(you): shm.h, section 6. Somebody else has stored these offsets and texts. Which of them do
  // you believe?
  return NotYet(base, head, out, cap);
}

// ---- 7. Census and clean-up ---------------------------------------------------------------------

int ipc_census(Item* out, std::size_t cap) {
  // TODO(you): shm.h, section 7. How far does the table of the kernel go? What stands in it under
  // an index, and what if it has just gone?
  return NotYet(out, cap);
}

int ipc_match(const Item* item, const Filter* filter) {
  // TODO(you): shm.h, section 7. Four conditions, and all must hold. What does -1 mean?
  return NotYet(item, filter);
}

int ipc_clean(const Filter* filter, int dry_run, Item* removed, std::size_t cap) {
  // TODO(you): shm.h, section 7. Who might be faster than you? What do you do when one cannot be
  // removed?
  return NotYet(filter, dry_run, removed, cap);
}

}  // namespace ipclab::shm
