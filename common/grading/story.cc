#include "common/grading/story.h"

#include <algorithm>

#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kTimelineLimit = 200;
constexpr std::size_t kWaitLimit = 16;

TimelineKind KindOf(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kCall:
      return TimelineKind::kCall;
    case Event::Kind::kForbidden:
      return TimelineKind::kForbidden;
    case Event::Kind::kSignal:
      return TimelineKind::kSignal;
    case Event::Kind::kStart:
      return TimelineKind::kStart;
    case Event::Kind::kExec:
      return TimelineKind::kExec;
    case Event::Kind::kEnd:
      return TimelineKind::kEnd;
    case Event::Kind::kEnter:
      return TimelineKind::kEnter;
    case Event::Kind::kLeave:
      return TimelineKind::kLeave;
  }
  return TimelineKind::kNote;
}

std::string ProcessText(const Party& party) { return "process " + std::to_string(party.inner_pid); }

// "for bytes or end of file of pipe A", and who could bring them.
std::string ObjectText(const WaitObject& object, const std::string& name, Wait& wait) {
  if (!object.pipe) return (object.reads ? "for something to read from " : "for room in ") + name;
  const std::string end = object.reads ? "write end of " : "read end of ";
  for (const Holder& holder : object.holders) {
    wait.on.push_back({holder.party.inner_pid, holder.party.name,
                       end + name + ", descriptor " + std::to_string(holder.descriptor)});
  }
  return (object.reads ? "for bytes or end of file of " : "for room in ") + name;
}

// The words of the edge; a first % stands for those who are needed.
std::string AimText(const WaitEdge& edge) {
  std::string aim = edge.aim;
  const auto place = aim.find('%');
  if (edge.needs.empty() || place == std::string::npos) return aim;
  std::vector<std::string> parts;
  for (const Party& party : edge.needs) parts.push_back(ProcessText(party));
  return aim.replace(place, 1, Join(parts, ", "));
}

}  // namespace

std::vector<TimelineEntry> TimelineOf(const std::vector<Event>& events, Clock::time_point started,
                                      ObjectNames& names) {
  const auto microseconds = [&](Clock::time_point at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - started).count();
  };
  std::vector<TimelineEntry> lines;
  // What the helper does before it calls the student is no part of the story.
  const auto entered = std::find_if(events.begin(), events.end(), [](const Event& event) {
    return event.kind == Event::Kind::kEnter;
  });
  const auto first = static_cast<std::size_t>(entered - events.begin());
  // The end of a story tells more than its middle.
  const std::size_t head = kTimelineLimit / 2;
  for (std::size_t i = first; i < events.size(); ++i) {
    if (events.size() - first > kTimelineLimit && i == first + head) {
      const std::size_t left_out = events.size() - first - kTimelineLimit;
      lines.push_back(
          {.at_us = microseconds(events[i].at),
           .what = "... " + Count(static_cast<long long>(left_out), "event") + " more"});
      i += left_out;
    }
    const Event& event = events[i];
    lines.push_back({.at_us = microseconds(event.at),
                     .pid = event.inner_pid,
                     .process = event.process,
                     .what = Describe(event, names),
                     .kind = KindOf(event),
                     .until_us = event.until ? microseconds(*event.until) : -1,
                     .from = event.from});
  }
  return lines;
}

std::vector<Wait> WaitsOf(const Deadlock& deadlock, ObjectNames& names) {
  std::vector<Wait> waits;
  for (const WaitEdge& edge : deadlock.chain) {
    if (waits.size() == kWaitLimit) break;
    const Party& waiter = edge.waiter;
    Wait wait{.pid = waiter.inner_pid,
              .thread = waiter.inner_tid == waiter.inner_pid ? 0 : waiter.inner_tid,
              .process = waiter.name,
              .call = edge.call};
    std::vector<std::string> parts;
    for (const WaitObject& object : edge.objects) {
      parts.push_back(ObjectText(object, names.Of(object.target), wait));
    }
    if (!edge.aim.empty()) parts.push_back(AimText(edge));
    wait.what = Join(parts, ", or ");
    for (const Party& party : edge.needs) {
      const bool named = std::any_of(wait.on.begin(), wait.on.end(), [&](const WaitTarget& target) {
        return target.pid == party.inner_pid;
      });
      if (!named) wait.on.push_back({party.inner_pid, party.name, ""});
    }
    waits.push_back(std::move(wait));
  }
  return waits;
}

}  // namespace ipclab
