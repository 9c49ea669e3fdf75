// The part of the observer that hears what helpers say: see protocol.h.

#include <algorithm>
#include <cerrno>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/observe/memory.h"
#include "common/observe/observer.h"
#include "common/sandbox/protocol.h"

namespace ipclab {
namespace {

constexpr std::size_t kMaxMarkerData = 1 << 20;
constexpr Entry kHeld{Entry::What::kHold, 0, {}};
constexpr Entry Answered(long result) { return {Entry::What::kAnswer, result, {}}; }

}  // namespace

Entry Observer::OnMarker(pid_t tid, const CallInfo& call) {
  const Entry done = Answered(0);
  Process* const process = Owner(tid);
  // Anyone may make this call; only our own instruction makes a marker of it.
  if (call.instruction != options_.marker_address || process == nullptr) {
    return Answered(-ENOSYS);
  }
  const std::string data = ReadMemory(tid, call.args[1], std::min(call.args[2], kMaxMarkerData));
  const Marker kind = static_cast<Marker>(call.args[0]);
  if (kind == Marker::kReport) {
    if (Process* const helper = HelperOf(*process)) OnReport(*helper, data);
    return done;
  }
  if (!process->helper) {
    process->strayed |= kind == Marker::kLeave || kind == Marker::kDone;
    return done;
  }
  switch (kind) {
    case Marker::kReady:
      process->ready = true;
      process->begin = TakeCensus(tid);
      waiting_.insert(tid);
      return kHeld;
    case Marker::kLoadError:
      process->load_error = Printable(data, 400);
      break;
    case Marker::kEnter: {
      StudentCall student_call;
      student_call.function = Printable(data, 80);
      student_call.before = TakeCensus(tid);
      process->function = student_call.function;
      process->calls.push_back(std::move(student_call));
      Event event = NewEvent(Event::Kind::kEnter, tid);
      event.detail = process->function;
      Append(std::move(event));
      BeginStepping(tid, process->function);
      break;
    }
    case Marker::kLeave:
      EndStepping(tid);
      OnLeave(*process, data);
      break;
    case Marker::kDone:
      process->done = true;
      process->end = TakeCensus(tid);
      break;
    default:
      break;
  }
  return done;
}

void Observer::OnLeave(Process& process, const std::string& data) {
  const nlohmann::json fields = nlohmann::json::from_cbor(data, true, false);
  StudentCall* const open = OpenCall(process.calls);
  if (open == nullptr || !fields.is_array() || fields.size() != 3 ||
      !fields[1].is_number_integer() || !fields[2].is_number_integer()) {
    return;
  }
  StudentCall& call = *open;
  call.returned = true;
  call.value = fields[1].get<std::int64_t>();
  call.error = fields[2].get<int>();
  call.after = TakeCensus(process.pid);
  Event event = NewEvent(Event::Kind::kLeave, process.pid);
  event.detail = call.function + "() returns " + std::to_string(call.value) +
                 (call.value == -1 ? " with " + ErrnoName(call.error) : "");
  Append(std::move(event));
  const StudentCall* const around = OpenCall(process.calls);
  process.function = around == nullptr ? "" : around->function;
}

void Observer::OnReport(Process& process, const std::string& data) {
  const nlohmann::json fields = nlohmann::json::from_cbor(data, true, false);
  if (!fields.is_array() || fields.size() != 2 || !fields[0].is_string()) return;
  constexpr std::size_t kMaxReports = 10'000;
  if (process.reports.size() < kMaxReports) {
    process.reports[fields[0].get<std::string>()] = fields[1];
  }
}

}  // namespace ipclab
