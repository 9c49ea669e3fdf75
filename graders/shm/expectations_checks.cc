// What the checks of all exercises share; see expectations.h.

#include <cstring>
#include <optional>

#include "common/observe/blocked.h"
#include "common/observe/calls.h"
#include "graders/shm/expectations.h"

namespace ipclab {
namespace {

HELPER(MakesSegment) {
  const std::string content = args.Bytes("content");
  const auto size = static_cast<std::size_t>(args.Int("size"));
  const int id = Check(shmget(KeyOf(args), size, IPC_CREAT | IPC_EXCL | 0600), "shmget");
  if (!content.empty()) {
    void* const mem = AttachHere(id);
    std::memcpy(mem, content.data(), content.size());
    Check(shmdt(mem), "shmdt");
  }
  shmid_ds about{};
  Check(shmctl(id, IPC_STAT, &about), "shmctl(IPC_STAT)");
  about.shm_perm.mode = static_cast<unsigned short>(args.Int("mode"));
  Check(shmctl(id, IPC_SET, &about), "shmctl(IPC_SET)");
  Report("id", id);
  return 0;
}

// Not one that the tracer has stopped in its call.
bool SleepsInWaker(const Sandbox& box, pid_t pid) {
  const std::optional<Status> status = ReadStatus(pid);
  const std::optional<Blocked> call = BlockedCall(pid);
  return call && std::ranges::count(kWakers, FamilyOf(call->call)) != 0 && status &&
         status->state == 'S' && box.observer().AllHeld().count(pid) == 0;
}

// Naps, and waits that have ended by themselves.
bool HasNapped(const Sandbox& box, pid_t pid) {
  return std::ranges::any_of(box.events(), [&](const Event& event) {
    return event.kind == Event::Kind::kCall && event.pid == pid && !event.function.empty() &&
           (event.family == Family::kSleep || (event.time_limit && event.FailedWith(EAGAIN)));
  });
}

}  // namespace

int NewSegment(Sandbox& box, const NewSegmentOptions& options) {
  Helper maker = box.Start("MakesSegment", {{"size", options.size},
                                            {"key", options.key},
                                            {"mode", options.mode},
                                            {"content", Binary(options.content)}});
  const Ending ending = maker.Wait();
  if (ending.kind != Ending::Kind::kExited) ADD_FAILURE() << ending.text;
  if (ending.kind == Ending::Kind::kExited && ending.code != 0) throw GraderError(ending.text);
  return static_cast<int>(maker.Reported("id"));
}

std::vector<SysvObject> Segments(const Sandbox& box) {
  std::vector<SysvObject> segments = box.SysvObjects();
  std::erase_if(segments, [](const auto& object) { return object.kind != SysvKind::kSegment; });
  return segments;
}

SysvObject FindSegment(const Sandbox& box, int id) {
  for (const SysvObject& segment : Segments(box)) {
    if (segment.id == id) return segment;
  }
  return {};
}

testing::AssertionResult SleepsUntilWoken(Sandbox& box, Helper& helper) {
  bool sleeps = false;
  const auto settled = [&] {
    sleeps = SleepsInWaker(box, helper.pid());
    return sleeps || !helper.process().alive || HasNapped(box, helper.pid()) || AtRest(box);
  };
  const testing::AssertionResult came = Comes(box, settled);
  if (came && (sleeps || SleepsInWaker(box, helper.pid()))) {
    if (!HasNapped(box, helper.pid())) return testing::AssertionSuccess();
  }
  if (!came) return came;
  const auto& calls = helper.process().calls;
  const bool returned = !calls.empty() && calls.back().returned;
  return testing::AssertionFailure()
         << (returned ? DescribeCall(calls.back()) + " instead of waiting"
             : HasNapped(box, helper.pid())
                 ? "it looks, sleeps for a time and looks again, instead of being woken"
                 : "it sleeps in a call that nobody ends who comes");
}

}  // namespace ipclab
