// Rings and those who use them; see ring.h.

#include <linux/futex.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "graders/shm/ring.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::ring_bytes;
using shm::ring_close;
using shm::ring_get;
using shm::ring_init;
using shm::ring_put;
using shm::ring_used;
using shm::spsc_get;
using shm::spsc_put;

std::size_t SizeIn(const Args& args, const char* key) {
  return static_cast<std::size_t>(args.Int(key));
}

// Puts items in and takes them out again, in all slots and one more, and looks for them.
Slots FindSlots(void* mem, std::size_t bytes, std::size_t slots, std::string item) {
  Slots found;
  for (std::size_t i = 0; i <= slots + 1; ++i) {
    item[0] = static_cast<char>(item[0] + 1);
    if (STUDENT(ring_put)(mem, item.data(), 0) == -1) break;
    const void* const at = memmem(mem, bytes, item.data(), item.size());
    if (at != nullptr) {
      const std::int64_t begin = static_cast<const char*>(at) - static_cast<const char*>(mem);
      const auto end = begin + static_cast<std::int64_t>(item.size());
      found.begin = found.begin == -1 ? begin : std::min(found.begin, begin);
      found.end = std::max(found.end, end);
    }
    std::string out(item.size(), '\0');
    if (STUDENT(ring_get)(mem, out.data(), 0) == -1) break;
  }
  return found;
}

HELPER(MakesRing) {
  const std::size_t slots = SizeIn(args, "slots");
  const std::size_t item = SizeIn(args, "item");
  const ssize_t bytes = STUDENT(ring_bytes)(slots, item);
  if (bytes <= 0) return 1;
  const auto size = static_cast<std::size_t>(bytes);
  const int id = Check(shmget(IPC_PRIVATE, size, IPC_CREAT | 0600), "shmget");
  void* const mem = AttachHere(id);
  std::memset(mem, 0xa5, size);
  if (STUDENT(ring_init)(mem, slots, item) == -1) return 2;
  if (const std::string sample = args.Bytes("sample"); !sample.empty()) {
    const Slots found = FindSlots(mem, size, slots, sample);
    Report("begin", found.begin);
    Report("end", found.end);
  }
  Check(shmdt(mem), "shmdt");
  Report("id", id);
  return 0;
}

// Attaches the segment at another address than the users with other numbers, and than any that the
// kernel would choose.
void* AttachElsewhere(int id, std::int64_t user) {
  constexpr std::uintptr_t kEmptyRegion = 0x2000'0000'0000;
  constexpr std::uintptr_t kRoom = 1 << 30;
  const std::uintptr_t at = kEmptyRegion + static_cast<std::uintptr_t>(user) * kRoom;
  void* const address = shmat(id, reinterpret_cast<void*>(at), 0);
  if (address == reinterpret_cast<void*>(-1)) throw SystemError(errno, "shmat");
  return address;
}

// See Use in ring.h.
HELPER(UsesRing) {
  const Action on_signal(SIGUSR1, DoNothing);
  auto* const mem = static_cast<char*>(AttachElsewhere(IdOf(args), args.Int("user")));
  Report("mem", static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(mem)));
  const std::size_t size = SizeIn(args, "item");
  const std::string items = args.Bytes("items");
  const int timeout = static_cast<int>(args.Int("timeout"));
  std::string got;
  {
    std::optional<GuardedPages> guard;
    if (const std::int64_t begin = args.Int("begin", -1); begin != -1) {
      const auto room = static_cast<std::size_t>(args.Int("end") - begin);
      guard.emplace(mem + begin, room, static_cast<int>(args.Int("protection")));
    }
    const char* next = items.data();
    std::string out(size, '\0');
    for (const char step : args.Bytes("steps")) {
      if (step == 'p' && STUDENT(ring_put)(mem, next, timeout) == 0) next += size;
      if (step == 'P' && STUDENT(spsc_put)(mem, next) == 0) next += size;
      if (step == 'g' && STUDENT(ring_get)(mem, out.data(), timeout) == 0) got += out;
      if (step == 'G' && STUDENT(spsc_get)(mem, out.data()) == 0) got += out;
      if (step == 'c') STUDENT(ring_close)(mem);
      if (step == 'u') STUDENT(ring_used)(mem);
    }
  }
  Report("got", got);
  Check(shmdt(mem), "shmdt");
  return 0;
}

bool LastReturned(const Helper& helper) {
  const auto& calls = helper.process().calls;
  return !calls.empty() && calls.back().returned;
}

}  // namespace

MadeRing NewRing(Sandbox& box, std::size_t slots, std::size_t item, bool find_slots) {
  Helper maker = box.Start(
      "MakesRing",
      {{"slots", slots}, {"item", item}, {"sample", Binary(find_slots ? RandomBytes(item) : "")}});
  EXPECT_THAT(OutcomeOf(maker), Succeeds())
      << "a ring of " << slots << " slots for items of " << item << " bytes";
  MadeRing ring{static_cast<int>(maker.Reported("id", -1)),
                item,
                {maker.Reported("begin", -1), maker.Reported("end", -1)}};
  if (find_slots && ring.id != -1) {
    EXPECT_THAT(ring.slots.begin, IsAtLeast(0)) << "no item was found in the memory of the ring";
    if (ring.slots.begin == -1) ring.id = -1;
  }
  return ring;
}

Helper StartUser(Sandbox& box, MadeRing& ring, const Use& use) {
  nlohmann::json args = {{"id", ring.id},          {"item", ring.item},
                         {"steps", use.steps},     {"items", Binary(use.items)},
                         {"timeout", use.timeout}, {"user", ++ring.users}};
  if (use.guard != -1) {
    args["begin"] = ring.slots.begin;
    args["end"] = ring.slots.end;
    args["protection"] = use.guard;
  }
  return box.Start("UsesRing", args);
}

std::string Items(const MadeRing& ring, int count) {
  return RandomBytes(static_cast<std::size_t>(count) * ring.item);
}

std::string ItemOf(const MadeRing& ring, const std::string& items, int number) {
  return items.substr(static_cast<std::size_t>(number) * ring.item, ring.item);
}

std::vector<std::string> PrivateFutexes(Sandbox& box, const Helper& helper) {
  std::vector<std::string> found;
  const auto mem = static_cast<std::uint64_t>(helper.Reported("mem", 0));
  for (const Event& event : box.Calls(Family::kFutex)) {
    const bool in_ring = event.args[0] >= mem && event.args[0] < mem + (1u << 20);
    if (event.pid != helper.pid() || !in_ring) continue;
    if ((event.args[1] & FUTEX_PRIVATE_FLAG) == 0) continue;
    found.push_back(event.process + ": " + Describe(event, box.names()));
  }
  return found;
}

testing::AssertionResult StaysInside(Sandbox& box, const Helper& helper) {
  if (const testing::AssertionResult rests = ComesToRest(box); !rests) return rests;
  if (!LastReturned(helper) && helper.process().alive) return testing::AssertionSuccess();
  const auto& calls = helper.process().calls;
  return testing::AssertionFailure()
         << (calls.empty() ? "it made no call" : DescribeCall(calls.back()));
}

}  // namespace ipclab
