#include "common/report/fold.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipclab {
namespace {

constexpr std::size_t kLongestGroup = 8;
constexpr std::size_t kFewestGroups = 3;  // Two of a kind are quicker read than explained.

// Rows from `first` on, `count` of them, for which `row` stands.
struct Fold {
  std::size_t first;
  std::size_t count;
  Picture::Row row;
};

// `folds` are in order and do not overlap.
void Apply(Picture& picture, const std::vector<Fold>& folds) {
  std::vector<Picture::Row> rows;
  std::vector<std::size_t> moved_to(picture.rows.size());
  auto fold = folds.begin();
  for (std::size_t i = 0; i < picture.rows.size();) {
    if (fold != folds.end() && fold->first == i) {
      std::fill_n(moved_to.begin() + static_cast<std::ptrdiff_t>(i), fold->count, rows.size());
      rows.push_back(fold->row);
      i += fold->count;
      ++fold;
    } else {
      moved_to[i] = rows.size();
      rows.push_back(std::move(picture.rows[i]));
      ++i;
    }
  }
  picture.rows = std::move(rows);
  for (Picture::Lane& lane : picture.lanes) {
    lane.first = moved_to[lane.first];
    lane.last = moved_to[lane.last];
  }
  for (Picture::Span& span : picture.spans) {
    span.first = moved_to[span.first];
    span.last = moved_to[span.last];
  }
}

// Up to the first argument: "write(4 <pipe A>". Other rows are equal if all their words are.
std::string_view Essence(const Picture::Row& row) {
  const std::string_view text = row.text;
  if (row.kind != Picture::Row::Kind::kCall) return text;
  return text.substr(0, text.find_first_of(",)"));
}

bool IsEqual(const Picture::Row& a, const Picture::Row& b) {
  return a.kind == b.kind && a.lane == b.lane && a.other == b.other && a.bad == b.bad &&
         a.kind != Picture::Row::Kind::kWait && Essence(a) == Essence(b);
}

int EventsOf(const Picture& picture, std::size_t first, std::size_t count) {
  int events = 0;
  for (std::size_t i = first; i < first + count; ++i) events += picture.rows[i].events;
  return events;
}

// How often the `length` rows from `first` on come one after the other.
std::size_t Groups(const Picture& picture, std::size_t first, std::size_t length) {
  std::size_t end = first + length;
  while (end < picture.rows.size() && IsEqual(picture.rows[end], picture.rows[end - length])) ++end;
  return (end - first) / length;
}

Picture::Row LeftOut(const Picture& picture, std::size_t first, std::size_t count,
                     std::string text) {
  return {.kind = Picture::Row::Kind::kFold,
          .at_us = picture.rows[first].at_us,
          .text = std::move(text),
          .events = EventsOf(picture, first, count)};
}

Picture::Row Repeated(const Picture& picture, std::size_t first, std::size_t count) {
  Picture::Row row = picture.rows[first];
  const std::string start(Essence(row));
  const bool more = row.text.substr(start.size(), 1) == ",";
  row.text = fmt::format("{}{}) × {}", start, more ? ", ..." : "", count);
  row.events = EventsOf(picture, first, count);
  return row;
}

}  // namespace

void FoldRepeats(Picture& picture, Language language) {
  const Words& words = WordsOf(language);
  std::vector<Fold> folds;
  for (std::size_t i = 0; i < picture.rows.size();) {
    std::size_t next = i + 1;
    for (std::size_t length = 1; length <= kLongestGroup; ++length) {
      const std::size_t groups = Groups(picture, i, length);
      if (groups < kFewestGroups) continue;
      if (length == 1 && picture.rows[i].kind == Picture::Row::Kind::kCall) {
        folds.push_back({i, groups, Repeated(picture, i, groups)});
      } else {
        const std::size_t count = (groups - 1) * length;
        folds.push_back({i + length, count,
                         LeftOut(picture, i + length, count,
                                 fmt::format(fmt::runtime(words.same_again), length, groups - 1))});
      }
      next = i + groups * length;
      break;
    }
    i = next;
  }
  Apply(picture, folds);
}

void FoldMiddle(Picture& picture, std::size_t rows, Language language) {
  if (picture.rows.size() <= rows) return;
  const std::size_t head = (rows - 1) / 3;
  const std::size_t count = picture.rows.size() - (rows - 1);
  const int events = EventsOf(picture, head, count);
  Apply(picture, {{head, count,
                   LeftOut(picture, head, count,
                           fmt::format(fmt::runtime(WordsOf(language).events_left_out), events))}});
}

}  // namespace ipclab
