#include "common/report/wait_picture.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kTextLimit = 200;
constexpr std::size_t kNodeLimit = 12;
constexpr std::size_t kArrowLimit = 24;

std::size_t NodeOf(WaitPicture& picture, int pid, const std::string& name) {
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) {
    if (picture.nodes[i].pid == pid) return i;
  }
  picture.nodes.push_back({.pid = pid, .name = Printable(name, kTextLimit)});
  return picture.nodes.size() - 1;
}

// The same process may be named twice: once by what it holds, once as one who is needed.
bool IsSaidBetter(const Wait& wait, const WaitTarget& target) {
  return target.why.empty() &&
         std::any_of(wait.on.begin(), wait.on.end(), [&](const WaitTarget& other) {
           return other.pid == target.pid && !other.why.empty();
         });
}

void AddWait(WaitPicture& picture, const Wait& wait, const Words& words) {
  const std::size_t from = NodeOf(picture, wait.pid, wait.process);
  std::string call = wait.call.empty() ? std::string(words.stopped)
                                       : fmt::format(fmt::runtime(words.waits_in),
                                                     Printable(wait.call, kTextLimit));
  if (wait.thread != 0) {
    call = fmt::format(fmt::runtime(words.thread), wait.thread) + ": " + call;
  }
  picture.nodes[from].text.push_back(std::move(call));
  if (!wait.what.empty()) picture.nodes[from].text.push_back(Printable(wait.what, kTextLimit));
  if (wait.on.empty()) picture.nodes[from].text.emplace_back(words.nobody);
  for (const WaitTarget& target : wait.on) {
    if (IsSaidBetter(wait, target) || picture.arrows.size() == kArrowLimit) continue;
    const std::size_t to = NodeOf(picture, target.pid, target.process);
    const std::string why = Printable(target.why, kTextLimit);
    const bool known = std::any_of(picture.arrows.begin(), picture.arrows.end(), [&](auto& arrow) {
      return arrow.from == from && arrow.to == to && arrow.why == why;
    });
    if (!known) picture.arrows.push_back({from, to, why});
  }
}

// reaches[a][b]: a waits for b, perhaps by way of others. Small enough for the plain algorithm.
std::vector<std::vector<bool>> Reach(const WaitPicture& picture) {
  const std::size_t n = picture.nodes.size();
  std::vector<std::vector<bool>> reaches(n, std::vector<bool>(n));
  for (const WaitPicture::Arrow& arrow : picture.arrows) reaches[arrow.from][arrow.to] = true;
  for (std::size_t via = 0; via < n; ++via) {
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < n; ++b) {
        if (reaches[a][via] && reaches[via][b]) reaches[a][b] = true;
      }
    }
  }
  return reaches;
}

}  // namespace

WaitPicture DrawWaits(const CheckResult& check, Language language) {
  WaitPicture picture;
  for (const Wait& wait : check.waits) {
    if (picture.nodes.size() < kNodeLimit) AddWait(picture, wait, WordsOf(language));
  }
  const std::vector<std::vector<bool>> reaches = Reach(picture);
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) picture.nodes[i].circle = reaches[i][i];
  for (WaitPicture::Arrow& arrow : picture.arrows) arrow.circle = reaches[arrow.to][arrow.from];
  return picture;
}

std::string ReasonText(const WaitPicture& picture, const WaitPicture::Arrow& arrow,
                       Language language) {
  if (arrow.why.empty()) return "";
  const Words& words = WordsOf(language);
  const std::string process = fmt::format(fmt::runtime(words.process), picture.nodes[arrow.to].pid);
  return fmt::format(fmt::runtime(arrow.from == arrow.to ? words.itself_holds : words.holds),
                     process, arrow.why);
}

std::string CircleText(const WaitPicture& picture, Language language) {
  const auto start = std::find_if(picture.nodes.begin(), picture.nodes.end(),
                                  [](const WaitPicture::Node& node) { return node.circle; });
  if (start == picture.nodes.end()) return "";
  const auto first = static_cast<std::size_t>(start - picture.nodes.begin());
  const auto name = [&](std::size_t node) {
    return fmt::format(fmt::runtime(WordsOf(language).process), picture.nodes[node].pid);
  };
  // Every node of a circle has an arrow in it, so this comes back to where it has been.
  std::vector<std::size_t> path = {first};
  while (true) {
    const auto arrow =
        std::find_if(picture.arrows.begin(), picture.arrows.end(),
                     [&](const auto& a) { return a.from == path.back() && a.circle; });
    if (arrow == picture.arrows.end()) return "";
    const auto seen = std::find(path.begin(), path.end(), arrow->to);
    if (seen != path.end()) {
      path.erase(path.begin(), seen);
      break;
    }
    path.push_back(arrow->to);
  }
  if (path.size() == 1) {
    return fmt::format(fmt::runtime(WordsOf(language).self_circle), name(path.front()));
  }
  std::string text;
  for (const std::size_t node : path) text += name(node) + " → ";
  return fmt::format(fmt::runtime(WordsOf(language).circle), text + name(path.front()));
}

}  // namespace ipclab
