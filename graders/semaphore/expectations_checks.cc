// What the checks of all exercises share; see expectations.h.

#include <set>

#include "common/observe/calls.h"
#include "graders/semaphore/expectations.h"

namespace ipclab {
namespace {

HELPER(MakesSet) {
  Report("id", MakeSetHere(static_cast<key_t>(args.Int("key")), Unpacked(args.Bytes("values")),
                           static_cast<int>(args.Int("mode"))));
  return 0;
}

HELPER(ChangesValue) {
  sembuf operation = {static_cast<unsigned short>(NumberOf(args)),
                      static_cast<short>(args.Int("amount")), 0};
  Check(semop(IdOf(args), &operation, 1), "semop");
  return 0;
}

HELPER(RemovesSet) {
  Check(semctl(IdOf(args), 0, IPC_RMID), "semctl(IPC_RMID)");
  return 0;
}

// The grader's own work. Whatever else ends the wait is the fault of processes beside it.
void MustWork(Helper helper) {
  const Ending ending = helper.Wait();
  if (ending.kind != Ending::Kind::kExited) ADD_FAILURE() << ending.text;
  if (ending.kind == Ending::Kind::kExited && ending.code != 0) throw GraderError(ending.text);
}

// Not one that the tracer has stopped in its call.
bool SleepsInFamily(const Sandbox& box, pid_t pid, Family family) {
  const std::optional<Status> status = ReadStatus(pid);
  const std::optional<Blocked> call = BlockedCall(pid);
  return call && FamilyOf(call->call) == family && status && status->state == 'S' &&
         box.observer().AllHeld().count(pid) == 0;
}

}  // namespace

int NewSet(Sandbox& box, const std::vector<int>& values, key_t key, unsigned mode) {
  Helper maker =
      box.Start("MakesSet", {{"values", Binary(Packed(values))}, {"key", key}, {"mode", mode}});
  MustWork(maker);
  return static_cast<int>(maker.Reported("id"));
}

void ChangeFromOutside(Sandbox& box, int id, int num, int amount) {
  MustWork(box.Start("ChangesValue", {{"id", id}, {"num", num}, {"amount", amount}}));
}

void RemoveFromOutside(Sandbox& box, int id) { MustWork(box.Start("RemovesSet", {{"id", id}})); }

SysvObject FindSet(const Sandbox& box, int id) {
  for (const SysvObject& object : box.SysvObjects()) {
    if (object.kind == SysvKind::kSemaphores && object.id == id) return object;
  }
  return {};
}

std::vector<int> ValuesOf(const Sandbox& box, int id) {
  std::vector<int> values;
  for (const SysvSemaphore& semaphore : FindSet(box, id).semaphores) {
    values.push_back(semaphore.value);
  }
  return values;
}

SysvSemaphore SemaphoreOf(const Sandbox& box, int id, int num) {
  const SysvObject set = FindSet(box, id);
  const auto index = static_cast<std::size_t>(num);
  return index < set.semaphores.size() ? set.semaphores[index] : SysvSemaphore();
}

testing::AssertionResult SleepsInSemop(Sandbox& box, Helper& helper) {
  bool sleeps = false;
  const auto settled = [&] {
    sleeps = SleepsInFamily(box, helper.pid(), Family::kSemaphores);
    if (sleeps || !helper.process().alive) return true;
    if (!AtRest(box)) return false;
    sleeps = SleepsInFamily(box, helper.pid(), Family::kSemaphores);
    return true;
  };
  const testing::AssertionResult came = Comes(box, settled);
  if (came && sleeps) return testing::AssertionSuccess();
  const auto& calls = helper.process().calls;
  const bool returned = !calls.empty() && calls.back().returned;
  return testing::AssertionFailure()
         << (returned ? DescribeCall(calls.back()) + " instead of waiting in semop()"
             : !came  ? came.message()
                      : "it does not sleep in semop()");
}

int HoldCallOf(Sandbox& box, const Helper& helper, int nth) {
  const auto where = [pid = helper.pid()](const Event& event) {
    return event.pid == pid && !event.function.empty();
  };
  return box.AddRule({.family = Family::kSemaphores, .nth = nth, .where = where, .hold = true});
}

bool StopsAt(Sandbox& box, const Helper& helper, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  const auto settled = [&] { return held() || !helper.process().alive || AtRest(box); };
  return Comes(box, settled) && held();
}

}  // namespace ipclab
