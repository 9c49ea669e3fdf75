// What the checks of census and clean-up share.
//
//   NewOfEachKind(box);
//   Helper census = StartCensus(box);
//   EXPECT_THAT(census.Wait(), Exited(0));
//   EXPECT_THAT(TextsIn(census), SameItemsAs(WhatIsThere(box, census)));
//
// The helpers behind it are in census_tools_checks.cc.

#ifndef IPCLAB_GRADERS_SHM_CENSUS_H_
#define IPCLAB_GRADERS_SHM_CENSUS_H_

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "graders/shm/posix.h"
#include "labs/shm/shm.h"

namespace ipclab {

constexpr int kAllKinds = shm::kQueue | shm::kSemaphores | shm::kSegment | shm::kPosix;
constexpr key_t kLowest = std::numeric_limits<key_t>::min();
constexpr key_t kHighest = std::numeric_limits<key_t>::max();

// ---- In helpers ---------------------------------------------------------------------------------

// Room for items that holds something else before.
class Items {
 public:
  explicit Items(const Args& args) : cap_(static_cast<std::size_t>(args.Int("cap"))) {
    bytes_.assign((cap_ + 1) * sizeof(shm::Item), '\x77');
  }
  shm::Item* data() { return cap_ == 0 ? nullptr : reinterpret_cast<shm::Item*>(bytes_.data()); }
  std::size_t cap() const { return cap_; }
  // The items, and 0 if anything was stored behind them.
  void ReportThem(int count) const {
    const std::size_t used = count < 0 ? 0 : std::min(cap_, static_cast<std::size_t>(count));
    Report("items", bytes_.substr(0, used * sizeof(shm::Item)));
    const bool intact = bytes_.find_first_not_of('\x77', used * sizeof(shm::Item)) == bytes_.npos;
    Report("intact", intact ? 1 : 0);
    Report("uid", geteuid());
  }

 private:
  const std::size_t cap_;
  std::string bytes_;
};

// ---- In checks ----------------------------------------------------------------------------------

struct One {
  shm::Ipc kind;
  key_t key = IPC_PRIVATE;
  std::size_t size = 0;  // Of a queue: the bytes of its one message, or none.
  unsigned mode = 0600;
  std::string name;  // Of a POSIX object.
};

// Makes an object; returns its id.
int New(Sandbox& box, const One& one);
// Two of each kind.
void NewOfEachKind(Sandbox& box);
inline std::size_t RandomSize() { return static_cast<std::size_t>(RandomInt(1, 20)); }

std::string KindText(int kind);

// The items that a helper reported, in words and sorted; and what is there, by the kernel and the
// file system. `helper` told the user.
std::vector<std::string> TextsIn(const Helper& helper);
std::vector<std::string> WhatIsThere(const Sandbox& box, const Helper& helper);

Helper StartCensus(Sandbox& box, int cap = 50);

// Calls of a kind's *ctl with one of these commands.
std::function<bool(const Event&)> Commands(shm::Ipc kind, std::vector<int> commands);
Family FamilyOf(shm::Ipc kind);

const std::vector<Family> kTables = {Family::kMessages, Family::kSemaphores, Family::kSharedMemory};

MATCHER_P(SameItemsAs, want, "each item once") {
  for (const std::string& text : want) {
    const auto times = std::ranges::count(arg, text);
    if (times != 1)
      *result_listener << "\n  " << (times == 0 ? "not" : "twice") << " there: " << text;
  }
  for (const std::string& text : arg) {
    if (std::ranges::count(want, text) == 0) *result_listener << "\n  but there is: " << text;
  }
  return arg == want;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_CENSUS_H_
