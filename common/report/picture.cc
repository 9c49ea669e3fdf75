#include "common/report/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/base/text.h"
#include "common/report/fold.h"

namespace ipclab {
namespace {

using Row = Picture::Row;

constexpr std::size_t kTextLimit = 200;
constexpr std::int64_t kLongUs = 1000;  // Shorter calls are ticks, however many rows they cover.

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool IsFork(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall &&
         (StartsWith(entry.what, "clone") || StartsWith(entry.what, "fork") ||
          StartsWith(entry.what, "vfork"));
}

bool IsExec(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall && StartsWith(entry.what, "execve");
}

bool IsExit(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall &&
         (StartsWith(entry.what, "exit(") || StartsWith(entry.what, "exit_group("));
}

bool NeverReturned(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall && entry.until_us < 0 && EndsWith(entry.what, " ...");
}

bool Failed(const TimelineEntry& entry) {
  return entry.kind == TimelineKind::kCall && entry.what.find(" = -1 ") != std::string::npos;
}

Row::Kind KindOf(TimelineKind kind) {
  switch (kind) {
    case TimelineKind::kNote:
      return Row::Kind::kFold;
    case TimelineKind::kCall:
      return Row::Kind::kCall;
    case TimelineKind::kForbidden:
      return Row::Kind::kRefused;
    case TimelineKind::kSignal:
      return Row::Kind::kSignal;
    case TimelineKind::kStart:
      return Row::Kind::kStart;
    case TimelineKind::kExec:
      return Row::Kind::kExec;
    case TimelineKind::kEnd:
      return Row::Kind::kEnd;
    case TimelineKind::kEnter:
      return Row::Kind::kEnter;
    case TimelineKind::kLeave:
      return Row::Kind::kLeave;
  }
  return Row::Kind::kFold;
}

class Artist {
 public:
  Artist(const CheckResult& check, Language language)
      : check_(check), language_(language), words_(WordsOf(language)) {}

  Picture Draw();

 private:
  void ChooseLanes();
  std::string NameOf(int pid) const;
  std::size_t LaneOf(int pid) const;
  void AddEntry(std::size_t index);
  // Whether another entry says the same and more.
  bool IsToldElsewhere(const TimelineEntry& entry) const;
  const TimelineEntry* ForkOf(const TimelineEntry& start) const;
  void AddStart(const TimelineEntry& entry, Row& row);
  void AddSpan(const TimelineEntry& entry, std::size_t row);
  // SIGCHLD of the process whose end is the last row.
  bool JoinsTheEnd(const TimelineEntry& entry, std::size_t lane);
  void OpenFunction(std::size_t lane, std::size_t row);
  void CloseFunction(std::size_t lane, std::size_t row);
  void AddWait(const Wait& wait);
  void CloseSpans();
  // A process whose beginning was folded away stands at the top, like one that was there before.
  void MendLanes();
  void ChooseColumns();

  const CheckResult& check_;
  const Language language_;
  const Words& words_;
  Picture picture_;
  // Spans whose end is still to come, by index; of kWaited the time of the end is known.
  struct Open {
    std::size_t span;
    std::int64_t until_us;  // -1: until the lane ends, or the function is left.
  };
  std::vector<Open> open_;
};

// The same process goes by "the caller", "in f" and "called f", by and by.
std::string Artist::NameOf(int pid) const {
  bool calls = false;
  std::string name;
  for (const TimelineEntry& entry : check_.timeline) {
    if (entry.pid != pid || entry.kind == TimelineKind::kNote) continue;
    name = entry.process;
    calls = calls || entry.kind == TimelineKind::kEnter;
  }
  if (name.empty()) {
    for (const Wait& wait : check_.waits) {
      if (wait.pid == pid) name = wait.process;
      for (const WaitTarget& target : wait.on) {
        if (name.empty() && target.pid == pid) name = target.process;
      }
    }
  }
  if (calls || StartsWith(name, "in ") || StartsWith(name, "called ")) {
    return std::string(words_.caller);
  }
  return Printable(name, kTextLimit);
}

std::size_t Artist::LaneOf(int pid) const {
  const auto lane = std::find_if(picture_.lanes.begin(), picture_.lanes.end(),
                                 [&](const Picture::Lane& l) { return l.pid == pid; });
  return lane == picture_.lanes.end() ? Picture::kNowhere
                                      : static_cast<std::size_t>(lane - picture_.lanes.begin());
}

// In the order of their appearance; if there are too many, those that wait come first, then the
// latest.
void Artist::ChooseLanes() {
  std::vector<int> pids;
  const auto add = [&pids](int pid) {
    if (pid > 0 && std::find(pids.begin(), pids.end(), pid) == pids.end()) pids.push_back(pid);
  };
  for (const TimelineEntry& entry : check_.timeline) add(entry.pid);
  std::vector<int> wanted;
  for (const Wait& wait : check_.waits) {
    add(wait.pid);
    wanted.push_back(wait.pid);
  }
  for (const Wait& wait : check_.waits) {
    for (const WaitTarget& target : wait.on) wanted.push_back(target.pid);
  }
  wanted.insert(wanted.end(), pids.rbegin(), pids.rend());
  std::set<int> chosen;
  for (const int pid : wanted) {
    const bool known = std::find(pids.begin(), pids.end(), pid) != pids.end();
    if (known && chosen.size() < kPictureLanes) chosen.insert(pid);
  }
  for (const int pid : pids) {
    if (chosen.count(pid) != 0) picture_.lanes.push_back({.pid = pid, .name = NameOf(pid)});
  }
  picture_.hidden_lanes = static_cast<int>(pids.size() - picture_.lanes.size());
}

const TimelineEntry* Artist::ForkOf(const TimelineEntry& start) const {
  const std::string result = " = " + std::to_string(start.pid);
  for (const TimelineEntry& entry : check_.timeline) {
    if (entry.pid == start.from && IsFork(entry) && EndsWith(entry.what, result)) return &entry;
  }
  return nullptr;
}

bool Artist::IsToldElsewhere(const TimelineEntry& entry) const {
  const auto another = [&](TimelineKind kind, auto&& tells) {
    return std::any_of(check_.timeline.begin(), check_.timeline.end(),
                       [&](const TimelineEntry& e) { return e.kind == kind && tells(e); });
  };
  if (IsFork(entry)) {
    return another(TimelineKind::kStart, [&](const TimelineEntry& start) {
      return start.from == entry.pid && ForkOf(start) == &entry;
    });
  }
  if (IsExit(entry)) {
    return another(TimelineKind::kEnd,
                   [&](const TimelineEntry& end) { return end.pid == entry.pid; });
  }
  // The call itself stands before it.
  return entry.kind == TimelineKind::kExec &&
         another(TimelineKind::kCall, [&](const TimelineEntry& call) {
           return call.pid == entry.pid && IsExec(call) && call.at_us <= entry.at_us &&
                  call.until_us >= entry.at_us;
         });
}

void Artist::AddStart(const TimelineEntry& entry, Row& row) {
  Picture::Lane& lane = picture_.lanes[row.lane];
  // What happened to it before it "starts" cannot be; a forged number could say so.
  const bool seen = std::any_of(picture_.rows.begin(), picture_.rows.end(),
                                [&](const Row& earlier) { return earlier.lane == row.lane; });
  if (seen) return;
  lane.born = true;
  lane.first = picture_.rows.size();
  row.other = LaneOf(entry.from);
  if (row.other == row.lane) row.other = Picture::kNowhere;
  if (const TimelineEntry* fork = ForkOf(entry)) {
    row.text = Printable(fork->what, kTextLimit);
  } else {
    row.text = words_.starts;
  }
}

void Artist::OpenFunction(std::size_t lane, std::size_t row) {
  picture_.spans.push_back({Picture::Span::Kind::kFunction, lane, row, row});
  open_.push_back({picture_.spans.size() - 1, -1});
}

void Artist::CloseFunction(std::size_t lane, std::size_t row) {
  const auto open = std::find_if(open_.rbegin(), open_.rend(), [&](const Open& o) {
    const Picture::Span& span = picture_.spans[o.span];
    return span.lane == lane && span.kind == Picture::Span::Kind::kFunction;
  });
  if (open == open_.rend()) {
    // It was called before the story begins, or in the part that is left out.
    picture_.spans.push_back({Picture::Span::Kind::kFunction, lane, 0, row});
    return;
  }
  picture_.spans[open->span].last = row;
  open_.erase(std::next(open).base());
}

void Artist::AddSpan(const TimelineEntry& entry, std::size_t row) {
  const std::size_t lane = picture_.rows[row].lane;
  if (entry.kind == TimelineKind::kEnter) OpenFunction(lane, row);
  if (entry.kind == TimelineKind::kLeave) CloseFunction(lane, row);
  if (entry.kind != TimelineKind::kCall || IsFork(entry) || IsExec(entry)) return;
  if (NeverReturned(entry)) {
    picture_.rows[row].bad = true;
    picture_.rows[row].detail = words_.never_returns;
    picture_.spans.push_back({Picture::Span::Kind::kStuck, lane, row, row});
    open_.push_back({picture_.spans.size() - 1, -1});
  } else if (entry.until_us - entry.at_us >= kLongUs) {
    picture_.rows[row].detail = fmt::format(
        fmt::runtime(words_.waited),
        fmt::format("{:.1f}", static_cast<double>(entry.until_us - entry.at_us) / 1000));
    picture_.spans.push_back({Picture::Span::Kind::kWaited, lane, row, row});
    open_.push_back({picture_.spans.size() - 1, entry.until_us});
  }
}

bool Artist::JoinsTheEnd(const TimelineEntry& entry, std::size_t lane) {
  if (entry.kind != TimelineKind::kSignal || picture_.rows.empty()) return false;
  Row& last = picture_.rows.back();
  if (last.kind != Row::Kind::kEnd || last.other != Picture::kNowhere) return false;
  if (picture_.lanes[last.lane].pid != entry.from || last.lane == lane) return false;
  if (entry.what.find("SIGCHLD") == std::string::npos) return false;
  last.other = lane;
  last.detail = "SIGCHLD";
  ++last.events;
  return true;
}

void Artist::AddEntry(std::size_t index) {
  const TimelineEntry& entry = check_.timeline[index];
  const std::size_t lane = LaneOf(entry.pid);
  const bool note = entry.kind == TimelineKind::kNote;
  if (!note && (lane == Picture::kNowhere || IsToldElsewhere(entry))) return;
  if (JoinsTheEnd(entry, lane)) return;
  Row row{.kind = KindOf(entry.kind),
          .at_us = entry.at_us,
          .lane = note ? Picture::kNowhere : lane,
          .text = Printable(entry.what, kTextLimit),
          .bad = Failed(entry) || entry.kind == TimelineKind::kForbidden};
  if (entry.kind == TimelineKind::kStart) AddStart(entry, row);
  if (entry.kind == TimelineKind::kSignal && LaneOf(entry.from) != lane) {
    row.other = LaneOf(entry.from);
  }
  if (entry.kind == TimelineKind::kEnd) {
    row.bad = StartsWith(entry.what, "killed");
    picture_.lanes[lane].ended = true;
    picture_.lanes[lane].last = picture_.rows.size();
  }
  picture_.rows.push_back(std::move(row));
  const std::size_t here = picture_.rows.size() - 1;
  // What is over by now ended before this row.
  for (std::size_t i = open_.size(); i-- > 0;) {
    Picture::Span& span = picture_.spans[open_[i].span];
    const bool over = open_[i].until_us >= 0 && open_[i].until_us < entry.at_us;
    const bool gone = entry.kind == TimelineKind::kEnd && span.lane == lane;
    if (!over && !gone) continue;
    span.last = gone ? here : here - 1;
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  AddSpan(entry, here);
}

// A call that is in the story already gets the reason; others, which the check did not watch, a
// row.
void Artist::AddWait(const Wait& wait) {
  const std::size_t lane = LaneOf(wait.pid);
  if (lane == Picture::kNowhere || picture_.lanes[lane].ended) return;
  const std::string reason =
      wait.what.empty() ? ""
                        : fmt::format(fmt::runtime(words_.waits), Printable(wait.what, kTextLimit));
  for (auto row = picture_.rows.rbegin(); row != picture_.rows.rend(); ++row) {
    if (row->lane != lane || row->kind == Row::Kind::kWait) continue;
    if (row->kind == Row::Kind::kSignal) continue;
    if (row->detail != words_.never_returns || !StartsWith(row->text, wait.call + "(")) break;
    row->detail += (reason.empty() ? "" : ": ") + reason;
    return;
  }
  Row row{.kind = Row::Kind::kWait, .lane = lane, .detail = reason, .bad = true};
  row.text = wait.call.empty() ? std::string(words_.stopped)
                               : fmt::format(fmt::runtime(words_.call_never_returns),
                                             Printable(wait.call, kTextLimit));
  picture_.rows.push_back(std::move(row));
  picture_.spans.push_back(
      {Picture::Span::Kind::kStuck, lane, picture_.rows.size() - 1, picture_.rows.size() - 1});
  open_.push_back({picture_.spans.size() - 1, -1});
}

void Artist::CloseSpans() {
  for (const Open& open : open_) picture_.spans[open.span].last = picture_.rows.size() - 1;
}

void Artist::MendLanes() {
  for (std::size_t i = 0; i < picture_.lanes.size(); ++i) {
    Picture::Lane& lane = picture_.lanes[i];
    const Row& first = picture_.rows[lane.first];
    if (first.kind == Row::Kind::kStart && first.lane == i) continue;
    lane.born = false;
    lane.first = 0;
  }
}

// A child stands to the right of its parent.
void Artist::ChooseColumns() {
  for (std::size_t i = 0; i < picture_.lanes.size(); ++i) {
    Picture::Lane& lane = picture_.lanes[i];
    const std::size_t parent = lane.born ? picture_.rows[lane.first].other : Picture::kNowhere;
    if (parent < i) lane.column = picture_.lanes[parent].column + 1;
    const auto taken = [&](const Picture::Lane& other) {
      const bool over = lane.born && other.ended && other.last < lane.first;
      return other.column == lane.column && !over;
    };
    const auto before = picture_.lanes.begin() + static_cast<std::ptrdiff_t>(i);
    while (std::any_of(picture_.lanes.begin(), before, taken)) ++lane.column;
  }
}

Picture Artist::Draw() {
  if (check_.timeline.empty()) return {};
  ChooseLanes();
  for (std::size_t i = 0; i < check_.timeline.size(); ++i) AddEntry(i);
  // From left to right, so that no words run over the bar of another who waits.
  std::vector<Wait> waits = check_.waits;
  std::stable_sort(waits.begin(), waits.end(),
                   [this](const Wait& a, const Wait& b) { return LaneOf(a.pid) < LaneOf(b.pid); });
  for (const Wait& wait : waits) AddWait(wait);
  if (picture_.rows.empty()) return {};
  CloseSpans();
  FoldRepeats(picture_, language_);
  FoldMiddle(picture_, kPictureRows, language_);
  MendLanes();
  ChooseColumns();
  return std::move(picture_);
}

}  // namespace

Picture DrawPicture(const CheckResult& check, Language language) {
  return Artist(check, language).Draw();
}

}  // namespace ipclab
