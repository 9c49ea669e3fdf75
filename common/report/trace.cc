#include "common/report/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/base/text.h"
#include "common/report/dump.h"

namespace ipclab {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTextLimit = 1000;
constexpr std::size_t kNameLimit = 100;

// What lasts: a process, a function, a call.
struct Slice {
  enum Kind { kProcess, kFunction, kCall } kind;
  std::int64_t from = 0;
  std::int64_t until = 0;
  bool ended = true;
  std::string what;
  std::string waits;  // For whom or what; empty if that is not known.
};

struct Process {
  std::string name;
  int number = 0;                  // In the trace.
  std::int64_t from = INT64_MAX;   // In the check's time, as are the slices.
  std::int64_t seen = 0;           // When its last event began or ended.
  std::int64_t until = INT64_MIN;  // When it ended, if it did.
  std::vector<Slice> slices;
};

// "read(3 <pipe A>, 4096) ..." as "read".
std::string NameOf(const std::string& what) {
  return Printable(std::string_view(what).substr(0, what.find('(')), kNameLimit);
}

bool IsCall(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall || entry.kind == TimelineKind::kForbidden;
}

// "for process 3; process 3: descriptor 4".
std::string Told(const Wait& wait) {
  std::string text = wait.what;
  for (const WaitTarget& target : wait.on) {
    text += fmt::format("; process {}{}{}", target.pid, target.why.empty() ? "" : ": ", target.why);
  }
  return Printable(text, kTextLimit);
}

// Slices of one track must lie within each other or apart. Threads of a process make calls at the
// same time, so each slice goes to the first track where that holds; a call contains no other.
class Tracks {
 public:
  std::size_t Place(const Slice& slice) {
    for (std::size_t i = 0; i < open_.size(); ++i) {
      std::vector<Slice>& open = open_[i];
      while (!open.empty() && open.back().until <= slice.from) open.pop_back();
      if (open.empty() || (open.back().kind != Slice::kCall && slice.until <= open.back().until)) {
        open.push_back(slice);
        return i;
      }
    }
    open_.push_back({slice});
    return open_.size() - 1;
  }

 private:
  std::vector<std::vector<Slice>> open_;  // Of each track, the slices around the present moment.
};

class Trace {
 public:
  std::string Write(const RunResult& run);

 private:
  void AddLab(const LabResult& lab);
  void AddTimeline(const CheckResult& check, std::int64_t last);
  void AddProcess(const CheckResult& check, int pid, const Process& process);
  void AddMoment(const TimelineEntry& entry, const std::map<int, Process>& processes);
  void AddArrow(const char* name, const Process& from, const Process& to, std::int64_t at);
  void Name(const char* what, int process, int thread, const std::string& name);
  Json& Event(const char* phase, const std::string& name, int process, int thread, std::int64_t at);

  Json events_ = Json::array();
  std::int64_t now_ = 0;    // Where the check at hand begins.
  std::int64_t first_ = 0;  // The time of its first event, in its own time.
  int numbers_ = 0;         // Of processes and threads, none twice.
  int arrows_ = 0;
};

Json& Trace::Event(const char* phase, const std::string& name, int process, int thread,
                   std::int64_t at) {
  events_.push_back({{"ph", phase}, {"name", name}, {"pid", process}, {"tid", thread}, {"ts", at}});
  return events_.back();
}

void Trace::Name(const char* what, int process, int thread, const std::string& name) {
  Event("M", what, process, thread, 0)["args"] = {{"name", Printable(name, kTextLimit)}};
}

void AddEntry(const TimelineEntry& entry, Process& process) {
  if (process.name.empty()) process.name = entry.process;
  process.from = std::min(process.from, entry.at_us);
  process.seen = std::max({process.seen, entry.at_us, entry.until_us});
  if (entry.kind == TimelineKind::kEnd) process.until = entry.at_us;
  std::vector<Slice>& slices = process.slices;
  if (IsCall(entry)) {
    slices.push_back(
        {Slice::kCall, entry.at_us, entry.until_us, entry.until_us >= entry.at_us, entry.what});
  } else if (entry.kind == TimelineKind::kEnter) {
    slices.push_back({Slice::kFunction, entry.at_us, 0, false, entry.what});
  } else if (entry.kind == TimelineKind::kLeave) {
    const auto entered = std::find_if(slices.rbegin(), slices.rend(), [&](const Slice& slice) {
      return slice.kind == Slice::kFunction && !slice.ended &&
             NameOf(slice.what) == NameOf(entry.what);
    });
    if (entered == slices.rend()) return;
    entered->until = entry.at_us;
    entered->ended = true;
  }
}

// The sleep that a deadlock found a thread in. Its call need not be one that the check watched.
void AddWait(const Wait& wait, Process& process) {
  const std::string call = wait.call.empty() ? "stopped" : wait.call;
  for (Slice& slice : process.slices) {
    if (slice.kind != Slice::kCall || slice.ended || NameOf(slice.what) != call) continue;
    slice.waits = Told(wait);
    return;
  }
  process.slices.push_back({Slice::kCall, process.seen, 0, false, call, Told(wait)});
}

// What is still open lasts to the end of its process, and that to `last` if it did not end.
void Finish(Process& process, std::int64_t last) {
  const bool ended = process.until != INT64_MIN;
  process.until = std::max(ended ? process.until : last, process.seen);
  for (Slice& slice : process.slices) {
    if (!slice.ended) slice.until = process.until;
  }
  process.slices.push_back({Slice::kProcess, process.from, process.until, ended, process.name});
  std::stable_sort(process.slices.begin(), process.slices.end(),
                   [](const Slice& a, const Slice& b) {
                     if (a.from != b.from) return a.from < b.from;
                     return a.kind != b.kind ? a.kind < b.kind : a.until > b.until;
                   });
}

// The processes of a timeline that ends at `last`, with what each did and for how long.
std::map<int, Process> ProcessesOf(const CheckResult& check, std::int64_t last) {
  std::map<int, Process> processes;
  for (const TimelineEntry& entry : check.timeline) {
    if (entry.kind != TimelineKind::kNote) AddEntry(entry, processes[entry.pid]);
  }
  for (const TimelineEntry& entry : check.timeline) {
    const auto from = processes.find(entry.from);
    if (from != processes.end()) from->second.from = std::min(from->second.from, entry.at_us);
  }
  for (const Wait& wait : check.waits) {
    const auto sleeper = processes.find(wait.pid);
    if (sleeper != processes.end()) AddWait(wait, sleeper->second);
  }
  for (auto& [pid, process] : processes) Finish(process, last);
  return processes;
}

void Trace::AddProcess(const CheckResult& check, int pid, const Process& process) {
  const std::string shown = fmt::format("{} ({})", process.name, pid);
  Name("process_name", process.number, process.number, check.id + ": " + shown);
  Event("M", "process_sort_index", process.number, process.number,
        0)["args"] = {{"sort_index", process.number}};
  Tracks tracks;
  std::vector<int> threads;
  for (const Slice& slice : process.slices) {
    const std::size_t track = tracks.Place(slice);
    if (track == threads.size()) {
      threads.push_back(track == 0 ? process.number : ++numbers_);
      Name("thread_name", process.number, threads[track],
           track == 0 ? shown : fmt::format("{}, at the same time", shown));
    }
    const std::string name =
        slice.kind == Slice::kProcess ? Printable(shown, kNameLimit) : NameOf(slice.what);
    Json& event = Event("X", name, process.number, threads[track], now_ + slice.from - first_);
    event["dur"] = slice.until - slice.from;
    static constexpr const char* kCategories[] = {"process", "function", "call"};
    event["cat"] = kCategories[slice.kind];
    if (slice.kind == Slice::kProcess) continue;
    event["args"] = {{"what", Printable(slice.what, kTextLimit)}, {"returned", slice.ended}};
    if (!slice.waits.empty()) event["args"]["waits"] = slice.waits;
  }
}

// An arrow binds to the slice around its ends; every process is one.
void Trace::AddArrow(const char* name, const Process& from, const Process& to, std::int64_t at) {
  const int id = ++arrows_;
  for (const bool begins : {true, false}) {
    const int number = begins ? from.number : to.number;
    Json& event = Event(begins ? "s" : "f", name, number, number, now_ + at - first_);
    event["cat"] = "cause";
    event["id"] = id;
    if (!begins) event["bp"] = "e";
  }
}

void Trace::AddMoment(const TimelineEntry& entry, const std::map<int, Process>& processes) {
  if (IsCall(entry) || entry.kind == TimelineKind::kEnter || entry.kind == TimelineKind::kLeave) {
    return;
  }
  const auto process = processes.find(entry.pid);
  const int number =
      process == processes.end() ? processes.begin()->second.number : process->second.number;
  Json& event =
      Event("i", Printable(entry.what, kNameLimit), number, number, now_ + entry.at_us - first_);
  event["cat"] = Json(entry.kind);
  // On its thread, or across the check.
  event["s"] = process == processes.end() ? "p" : "t";
  const auto from = processes.find(entry.from);
  if (process == processes.end() || from == processes.end()) return;
  AddArrow(entry.kind == TimelineKind::kSignal ? "signal" : "fork", from->second, process->second,
           entry.at_us);
}

void Trace::AddTimeline(const CheckResult& check, std::int64_t last) {
  std::map<int, Process> processes = ProcessesOf(check, last);
  if (processes.empty()) return;
  for (auto& [pid, process] : processes) process.number = ++numbers_;
  for (const auto& [pid, process] : processes) AddProcess(check, pid, process);
  for (const TimelineEntry& entry : check.timeline) AddMoment(entry, processes);
}

void Trace::AddLab(const LabResult& lab) {
  const int number = ++numbers_;
  Name("process_name", number, number, lab.lab);
  Name("thread_name", number, number, "checks");
  for (const CheckResult& check : lab.checks) {
    std::int64_t lasts = static_cast<std::int64_t>(check.duration_ms * 1000);
    first_ = check.timeline.empty() ? 0 : check.timeline.front().at_us;
    for (const TimelineEntry& entry : check.timeline) first_ = std::min(first_, entry.at_us);
    for (const TimelineEntry& entry : check.timeline) {
      lasts = std::max({lasts, entry.at_us - first_, entry.until_us - first_});
    }
    Json& event = Event("X", Printable(check.id, kNameLimit), number, number, now_);
    event["dur"] = lasts;
    event["cat"] = "check";
    event["args"] = {{"title", Printable(check.title, kTextLimit)},
                     {"status", Json(check.status)},
                     {"verdict", Printable(check.verdict, kNameLimit)}};
    AddTimeline(check, first_ + lasts);
    now_ += lasts + 1;
  }
}

std::string Trace::Write(const RunResult& run) {
  for (const LabResult& lab : run.labs) AddLab(lab);
  const Json trace = {{"traceEvents", events_},
                      {"displayTimeUnit", "ms"},
                      {"otherData",
                       {{"grader_version", run.grader_version},
                        {"seed", std::to_string(run.seed)},
                        {"started_at", run.started_at}}}};
  return Dump(trace) + "\n";
}

}  // namespace

std::string ToChromeTrace(const RunResult& run) { return Trace().Write(run); }

}  // namespace ipclab
