// Exercise shm.6: data that is valid at any address.

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <sstream>

#include "graders/shm/expectations.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::heap_alloc;
using shm::heap_init;
using shm::list_join;
using shm::list_push;
using shm::Off;

EXERCISE(Heap);

constexpr std::size_t kPageSize = 4096;

std::size_t SizeOf(const Args& args) { return static_cast<std::size_t>(args.Int("size")); }

// Memory of a process's own, between two pages that nobody may touch, full of rubbish.
class FencedMemory {
 public:
  explicit FencedMemory(std::size_t size) : pages_((size + kPageSize - 1) / kPageSize * kPageSize) {
    void* const room =
        mmap(nullptr, pages_ + 2 * kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) throw SystemError(errno, "mmap");
    room_ = static_cast<char*>(room);
    Check(mprotect(base(), pages_, PROT_READ | PROT_WRITE), "mprotect");
    std::memset(base(), 0xa5, pages_);
  }
  ~FencedMemory() { munmap(room_, pages_ + 2 * kPageSize); }
  FencedMemory(const FencedMemory&) = delete;
  FencedMemory& operator=(const FencedMemory&) = delete;

  char* base() const { return room_ + kPageSize; }

 private:
  const std::size_t pages_;
  char* room_ = nullptr;
};

// ---- Pieces -------------------------------------------------------------------------------------

// Asks for the sizes that are listed as text; fills each piece to its last byte, and looks at all
// of them in the end.
HELPER(TakesPieces) {
  const std::size_t size = SizeOf(args);
  const FencedMemory memory(size);
  if (STUDENT(heap_init)(memory.base(), size) == -1) return 1;
  std::map<Off, std::pair<std::size_t, char>> pieces;
  std::istringstream wanted(args.Bytes("wanted"));
  std::string fault;
  char letter = 'A';
  for (std::size_t n = 0; wanted >> n;
       letter = letter == 'Z' ? 'A' : static_cast<char>(letter + 1)) {
    const Off at = STUDENT(heap_alloc)(memory.base(), n);
    if (at == -1) return 1;
    if (at <= 0 || static_cast<std::size_t>(at) + n > size) {
      fault = "a piece of " + std::to_string(n) + " bytes at offset " + std::to_string(at);
      break;
    }
    if (at % 16 != 0) fault = "a piece at offset " + std::to_string(at);
    std::memset(memory.base() + at, letter, n);
    if (!pieces.emplace(at, std::pair(n, letter)).second) fault = "two pieces at one offset";
  }
  for (const auto& [at, piece] : pieces) {
    const char* const begin = memory.base() + at;
    if (std::count(begin, begin + piece.first, piece.second) ==
        static_cast<std::ptrdiff_t>(piece.first)) {
      continue;
    }
    fault = "somebody else has stored something in the piece at offset " + std::to_string(at);
  }
  Report("fault", fault);
  return 0;
}

TEST_F(Heap, AllotsPiecesThatNobodyElseHas) {
  Sandbox box;
  std::string wanted;
  for (int i = 0; i < 30; ++i) wanted += std::to_string(RandomInt(1, 300)) + " ";

  Helper taker = box.Start("TakesPieces", {{"size", 16384}, {"wanted", wanted}});

  EXPECT_THAT(OutcomeOf(taker), Succeeds()) << "30 pieces of up to 300 bytes, in 16384 bytes";
  EXPECT_THAT(taker.ReportedBytes("fault"), IsText(""))
      << "Pieces lie within the heap, begin at multiples of 16, and were filled to the last byte.";
}

// Without marks around it, for calls by the hundred.
Off Allot(char* base, std::size_t n) {
  static const auto allot = reinterpret_cast<decltype(&heap_alloc)>(SubmissionSymbol("heap_alloc"));
  return allot(base, n);
}

// Takes pieces of 64 bytes until there are no more.
HELPER(TakesAll) {
  const FencedMemory memory(SizeOf(args));
  if (STUDENT(heap_init)(memory.base(), SizeOf(args)) == -1) return 1;
  const Off huge[] = {STUDENT(heap_alloc)(memory.base(), SizeOf(args)),
                      STUDENT(heap_alloc)(memory.base(), SIZE_MAX),
                      STUDENT(heap_alloc)(memory.base(), SIZE_MAX - 15),
                      STUDENT(heap_alloc)(memory.base(), 0)};
  Report("huge", std::ranges::count(huge, Off{-1}));
  std::int64_t pieces = 0;
  while (Allot(memory.base(), 64) != -1 && pieces <= 1000) ++pieces;
  Report("pieces", pieces);
  STUDENT(heap_alloc)(memory.base(), 64);
  return 0;
}

HELPER(MakesSmallHeaps) {
  const FencedMemory memory(kPageSize);
  for (const std::size_t size : {0, 1, 63}) STUDENT(heap_init)(memory.base(), size);
  return 0;
}

TEST_F(Heap, SaysWhenThereIsNoRoom) {
  Sandbox box;
  const auto size = RandomInt(4096, 12000);

  Helper taker = box.Start("TakesAll", {{"size", size}});
  ASSERT_THAT(taker.Wait(), Exited(0));
  EXPECT_THAT(taker.call(0), Returned(0));
  EXPECT_THAT(taker.call(1), FailedWith(ENOMEM)) << "as many bytes as the whole heap has";
  EXPECT_THAT(taker.call(2), FailedWith(ENOMEM)) << "SIZE_MAX bytes";
  EXPECT_THAT(taker.call(3), FailedWith(ENOMEM)) << "SIZE_MAX - 15 bytes";
  EXPECT_THAT(taker.call(4), FailedWith(EINVAL)) << "0 bytes";
  EXPECT_THAT(taker.Reported("pieces"), IsAtLeast(size * 3 / 4 / 64))
      << "pieces of 64 bytes in a heap of " << size << " bytes, of which more had been refused";
  EXPECT_THAT(taker.Reported("pieces") * 64, testing::Lt(size)) << "bytes in all pieces";
  EXPECT_THAT(taker.call("heap_alloc"), FailedWith(ENOMEM)) << "64 bytes, once more";

  Helper maker = box.Start("MakesSmallHeaps");
  EXPECT_THAT(maker.Wait(), Exited(0));
  for (const std::size_t i : {0, 1, 2}) {
    EXPECT_THAT(maker.call(i), FailedWith(EINVAL)) << "a heap of 0, 1 or 63 bytes";
  }
}

// ---- Lists --------------------------------------------------------------------------------------

std::vector<std::string> TextsIn(const Args& args) {
  std::vector<std::string> texts;
  std::istringstream lines(args.Bytes("texts"));
  for (std::string line; std::getline(lines, line);) texts.push_back(line);
  return texts;
}

// An aligned word of the segment that is an address of this process: in the segment, or of a text.
// -1 if there is none.
std::int64_t StoredAddress(const char* base, std::size_t size,
                           const std::vector<std::string>& texts) {
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= size; at += alignof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    std::memcpy(&word, base + at, sizeof(word));
    const auto begin = reinterpret_cast<std::uintptr_t>(base);
    const bool inside = word >= begin && word < begin + size;
    const bool of_a_text = std::ranges::any_of(texts, [&](const std::string& text) {
      return word == reinterpret_cast<std::uintptr_t>(text.c_str());
    });
    if (inside || of_a_text) return static_cast<std::int64_t>(at);
  }
  return -1;
}

// Attaches the segment at an address of its own, pushes, and joins. The head lies in the heap, and
// its offset goes from process to process.
HELPER(UsesList) {
  // In a region that is empty in every process, so that the addresses differ for sure.
  const std::uintptr_t at_address =
      0x2000'0000'0000 + (static_cast<std::uintptr_t>(args.Int("place")) << 30);
  const bool readonly = args.Int("readonly", 0) == 1;
  void* const mem =
      shmat(IdOf(args), reinterpret_cast<void*>(at_address), readonly ? SHM_RDONLY : 0);
  if (mem == reinterpret_cast<void*>(-1)) throw SystemError(errno, "shmat");
  auto* const base = static_cast<char*>(mem);
  bool good = true;
  Off at = args.Int("head", 0);
  if (at == 0) {
    good &= STUDENT(heap_init)(base, SizeOf(args)) == 0;
    at = good ? STUDENT(heap_alloc)(base, sizeof(Off)) : -1;
    if (at == -1) return 1;
    std::memset(base + at, 0, sizeof(Off));
  }
  auto* const head = reinterpret_cast<Off*>(base + at);
  const std::vector<std::string> texts = TextsIn(args);
  for (const std::string& text : texts) good &= STUDENT(list_push)(base, head, text.c_str()) == 0;
  std::string out(SizeOf(args), '?');
  const ssize_t size = STUDENT(list_join)(base, *head, out.data(), out.size());
  if (size >= 0) Report("joined", out.substr(0, static_cast<std::size_t>(size)));
  Report("head", at);
  Report("stored", StoredAddress(base, SizeOf(args), texts));
  Check(shmdt(base), "shmdt");
  return good && size >= 0 ? 0 : 1;
}

std::string RandomTexts(int n) {
  std::string texts;
  for (int i = 0; i < n; ++i)
    texts += RandomWord(static_cast<std::size_t>(RandomInt(1, 40))) + "\n";
  return texts;
}

// The lines in the opposite order.
std::string Reversed(const std::string& texts) {
  std::istringstream lines(texts);
  std::string reversed;
  for (std::string line; std::getline(lines, line);) reversed = line + "\n" + reversed;
  return reversed;
}

TEST_F(Heap, TheListIsTheSameAtAnyAddress) {
  Sandbox box;
  constexpr int kSize = 8192;
  const int id = NewSegment(box, {.size = kSize});
  const std::string first = RandomTexts(8);
  const std::string second = RandomTexts(5);

  Helper maker =
      box.Start("UsesList", {{"id", id}, {"size", kSize}, {"place", 1}, {"texts", Binary(first)}});
  ASSERT_THAT(OutcomeOf(maker), Succeeds());
  EXPECT_THAT(maker.ReportedBytes("joined"), SameBytesAs(Reversed(first)))
      << "pushed and joined by one process";
  EXPECT_THAT(maker.Reported("stored"), Is(-1))
      << "the offset of a word in the heap that is an address of the process which stored it; -1: "
         "there is none";

  Helper other = box.Start("UsesList", {{"id", id},
                                        {"size", kSize},
                                        {"place", RandomInt(2, 9)},
                                        {"head", maker.Reported("head")},
                                        {"texts", Binary(second)}});
  ASSERT_THAT(OutcomeOf(other), Succeeds()) << "another process, at another address, pushes more";
  EXPECT_THAT(other.ReportedBytes("joined"), SameBytesAs(Reversed(second) + Reversed(first)))
      << "pushed by two processes at different addresses, joined by the second";

  Helper reader = box.Start("UsesList", {{"id", id},
                                         {"size", kSize},
                                         {"place", RandomInt(10, 20)},
                                         {"head", maker.Reported("head")},
                                         {"readonly", 1},
                                         {"texts", ""}});
  EXPECT_THAT(OutcomeOf(reader), Succeeds()) << "a third process, which may only read";
  EXPECT_THAT(reader.ReportedBytes("joined"), SameBytesAs(Reversed(second) + Reversed(first)))
      << "joined by a third process, which may only read";
}

HELPER(PushesInVain) {
  const std::size_t size = SizeOf(args);
  const FencedMemory memory(size);
  if (STUDENT(heap_init)(memory.base(), size) == -1) return 1;
  Off head = 0;
  if (STUDENT(list_push)(memory.base(), &head, "first") == -1) return 1;
  const Off good = head;
  STUDENT(list_push)(memory.base(), &head, std::string(size, 'x').c_str());
  Report("after full", head == good ? 1 : 0);
  const auto end = static_cast<Off>(size);
  int changed = 0;
  for (const Off bad : {end, end + 4096, Off{-16}, Off{-1} << 40, Off{1} << 40}) {
    head = bad;
    STUDENT(list_push)(memory.base(), &head, "x");
    if (head != bad) ++changed;
  }
  Report("changed", changed);
  return 0;
}

TEST_F(Heap, PushRefusesWhatCannotBe) {
  Sandbox box;

  Helper pusher = box.Start("PushesInVain", {{"size", RandomInt(256, 1024) * 16}});

  EXPECT_THAT(pusher.Wait(), Exited(0));
  ASSERT_THAT(pusher.call(1), Returned(0));
  EXPECT_THAT(pusher.call(2), FailedWith(ENOMEM)) << "a text as long as the heap";
  EXPECT_THAT(pusher.Reported("after full"), Is(1)) << "1: *head is unchanged";
  for (std::size_t i = 3; i < 8; ++i) {
    EXPECT_THAT(pusher.call(i), FailedWith(EINVAL)) << "*head lies outside of the heap";
  }
  EXPECT_THAT(pusher.Reported("changed"), Is(0)) << "heads changed by a push that failed";
}

// ---- Joining ------------------------------------------------------------------------------------

// A piece full of one word, from which a list is to begin.
void JoinRubbish(char* base, Off at, std::size_t n, std::int64_t word) {
  for (std::size_t i = 0; i + sizeof(word) <= n; i += sizeof(word)) {
    std::memcpy(base + at + i, &word, sizeof(word));
  }
  std::string out(20000, '?');
  STUDENT(list_join)(base, at, out.data(), out.size());
}

HELPER(JoinsRubbish) {
  const std::size_t size = SizeOf(args);
  const FencedMemory memory(size);
  char* const base = memory.base();
  if (STUDENT(heap_init)(base, size) == -1) return 1;
  const Off at = STUDENT(heap_alloc)(base, 64);
  if (at == -1) return 1;
  const auto end = static_cast<Off>(size);
  char out[100];
  // These must fail ...
  for (const Off head : {end, end + 4096, Off{-16}, Off{1} << 40}) {
    STUDENT(list_join)(base, head, out, sizeof(out));
  }
  JoinRubbish(base, at, 64, end + 4096);
  JoinRubbish(base, at, 64, Off{1} << 40);
  // ... also without an end of the text, down to the end of the heap, ...
  Off last = at;
  for (Off next = at; (next = Allot(base, 16)) != -1 && next < end;) last = next;
  std::memset(base + last, 'x', static_cast<std::size_t>(end - last));
  STUDENT(list_join)(base, last, out, sizeof(out));
  // ... and what becomes of these depends on how a node looks.
  for (const Off word : {Off{-1}, at, end - 8, end - 16, Off{16}, Off{8}, Off{1}, Off{-16}}) {
    JoinRubbish(base, at, 64, word);
  }
  return 0;
}

TEST_F(Heap, JoinKeepsToTheHeap) {
  Sandbox box;

  Helper joiner = box.Start("JoinsRubbish", {{"size", 4096}});

  ASSERT_THAT(joiner.Wait(), Exited(0))
      << "The pages in front of the heap and behind it may not be touched, and what stands in the "
         "pieces may lead anywhere, in circles too.";
  std::vector<StudentCall> joins;
  for (const StudentCall& call : joiner.process().calls) {
    if (call.function == "list_join") joins.push_back(call);
  }
  ASSERT_GE(joins.size(), 7u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(joins[i], FailedWith(EINVAL)) << "the head lies outside of the heap";
  }
  for (const std::size_t i : {4, 5}) {
    EXPECT_THAT(joins[i], FailedWith(EINVAL)) << "every word of the node leads out of the heap";
  }
  EXPECT_THAT(joins[6], testing::AnyOf(FailedWith(EINVAL), FailedWith(ENOBUFS)))
      << "the last bytes of the heap are a text without an end";
}

// Joins with every cap around the size that is needed. What stands behind cap bytes is not touched.
HELPER(JoinsTightly) {
  const FencedMemory memory(kPageSize);
  if (STUDENT(heap_init)(memory.base(), kPageSize) == -1) return 1;
  Off head = 0;
  for (const std::string& text : TextsIn(args)) {
    if (STUDENT(list_push)(memory.base(), &head, text.c_str()) == -1) return 1;
  }
  std::int64_t untouched = 0;
  const auto needed = static_cast<std::size_t>(args.Int("needed"));
  for (const std::size_t cap :
       {needed + 1, needed, needed - 1, needed - 2, std::size_t{1}, std::size_t{0}}) {
    std::string out(needed + 64, '?');
    const ssize_t size = STUDENT(list_join)(memory.base(), head, out.data(), cap);
    if (size >= 0) Report("joined", out.substr(0, static_cast<std::size_t>(size) + 1));
    untouched += std::count(out.begin() + static_cast<std::ptrdiff_t>(cap), out.end(), '?') ==
                         static_cast<std::ptrdiff_t>(out.size() - cap)
                     ? 1
                     : 0;
  }
  char nothing[2] = {'?', '?'};
  STUDENT(list_join)(memory.base(), 0, nothing, 1);
  Report("empty", std::string(nothing, 2));
  STUDENT(list_join)(memory.base(), 0, nothing, 0);
  Report("untouched", untouched);
  return 0;
}

TEST_F(Heap, JoinsWhatFits) {
  Sandbox box;
  std::string texts = RandomTexts(4);
  texts.insert(texts.find('\n') + 1, "\n");  // One text is empty.
  const std::size_t needed = texts.size() + 1;

  Helper joiner = box.Start("JoinsTightly", {{"texts", Binary(texts)}, {"needed", needed}});

  EXPECT_THAT(joiner.Wait(), Exited(0));
  std::vector<StudentCall> joins;
  for (const StudentCall& call : joiner.process().calls) {
    if (call.function == "list_join") joins.push_back(call);
  }
  ASSERT_EQ(joins.size(), 8u);
  for (const std::size_t i : {0, 1}) {
    EXPECT_THAT(joins[i], Returned(texts.size())) << "the texts and the NUL fit";
  }
  for (std::size_t i = 2; i < 6; ++i) {
    EXPECT_THAT(joins[i], FailedWith(ENOBUFS)) << "the texts or the NUL do not fit";
  }
  EXPECT_THAT(joiner.ReportedBytes("joined"), SameBytesAs(Reversed(texts) + std::string(1, '\0')))
      << "with the closing NUL";
  EXPECT_THAT(joiner.Reported("untouched"), Is(6)) << "calls, of 6, that stored within `cap` bytes";
  EXPECT_THAT(joins[6], Returned(0)) << "an empty list, cap is 1";
  EXPECT_THAT(joiner.ReportedBytes("empty"), SameBytesAs(std::string("\0?", 2)))
      << "an empty list is a NUL alone";
  EXPECT_THAT(joins[7], FailedWith(ENOBUFS)) << "not even the NUL fits";
}

}  // namespace
}  // namespace ipclab
