// A writer and a reader, and how to bring them into an order; see line.h.

#include <map>
#include <memory>

#include "graders/shm/line.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::line_create;
using shm::line_read;
using shm::line_remove;
using shm::line_write;

HELPER(CreatesLine) { return STUDENT(line_create)(KeyOf(args)) == 0 ? 0 : 1; }
HELPER(RemovesLine) { return STUDENT(line_remove)(KeyOf(args)) == 0 ? 0 : 1; }

HELPER(WritesLines) {
  const Action handler(SIGUSR1, DoNothing);
  const int fd = static_cast<int>(args.Int("fd", STDIN_FILENO));
  return STUDENT(line_write)(KeyOf(args), fd) == -1 ? 1 : 0;
}

HELPER(ReadsLines) {
  const Action handler(SIGUSR1, DoNothing);
  const int fd = static_cast<int>(args.Int("fd", STDOUT_FILENO));
  return STUDENT(line_read)(KeyOf(args), fd) == -1 ? 1 : 0;
}

}  // namespace

Passing::Passing(Sandbox& box) : box_(box), key_(RandomKey()) {
  Helper creator = box_.Start("CreatesLine", {{"key", key_}});
  EXPECT_THAT(OutcomeOf(creator), Succeeds());
}

Helper Passing::Reader() { return box_.Start("ReadsLines", {{"key", key_}}); }

Helper Passing::Writer(const std::string& input) {
  return box_.Start("WritesLines", {{"key", key_}}, {.input = input});
}

void Passing::Remove() {
  Helper remover = box_.Start("RemovesLine", {{"key", key_}});
  EXPECT_THAT(OutcomeOf(remover), Succeeds());
}

SandboxOptions WatchesWakers(std::vector<Family> more) {
  SandboxOptions options;
  options.watch = kWakers;
  options.watch.insert(options.watch.end(), more.begin(), more.end());
  return options;
}

testing::AssertionResult GoesStepByStep(Sandbox& box, const Helper& helper) {
  constexpr int kMostSteps = 100;
  const auto over = std::make_shared<bool>(false);
  const auto where = [pid = helper.pid(), over](const Event& event) {
    return event.pid == pid && !event.function.empty() && !*over;
  };
  const auto rule_for = [&](Family family) {
    return box.AddRule({.family = family, .where = where, .hold = true, .after = true});
  };
  std::map<Family, int> rules;
  for (const Family family : kWakers) rules[family] = rule_for(family);
  const auto holding = [&] {
    return std::ranges::find_if(
        rules, [&](const auto& rule) { return !box.observer().Held(rule.second).empty(); });
  };
  for (int step = 0; step < kMostSteps; ++step) {
    testing::AssertionResult came = Comes(
        box, [&] { return holding() != rules.end() || !helper.process().alive || AtRest(box); });
    if (came && holding() == rules.end()) *over = true;
    if (!came || *over) return came;
    came = ComesToRest(box);
    if (!came) return came;
    const auto [family, rule] = *holding();
    rules[family] = rule_for(family);  // A rule that has let somebody go holds nobody any more.
    box.Release(rule);
  }
  return testing::AssertionFailure() << "it made " << kMostSteps << " calls for a few texts";
}

int HoldWrite(Sandbox& box, const Helper& reader) {
  const auto where = [pid = reader.pid()](const Event& event) {
    return event.pid == pid && event.function == "line_read";
  };
  return box.AddRule({.family = Family::kWrite, .where = where, .hold = true});
}

std::vector<std::string> AllObjects(const Sandbox& box) {
  std::vector<std::string> all = SysvLeft(box);
  for (std::string& name : NamesLeft(box)) all.push_back(std::move(name));
  return all;
}

std::vector<std::string> OpenToOthers(const Sandbox& box) {
  std::vector<std::string> open;
  for (const SysvObject& object : box.SysvObjects()) {
    if ((object.mode & 0777) != 0600) {
      open.push_back(object.Name() + " has the mode " + Octal(object.mode));
    }
  }
  for (const TreeEntry& name : box.Names()) {
    if ((name.permissions & 0777) != 0600) {
      open.push_back(name.Name() + " has the mode " + Octal(name.permissions));
    }
  }
  return open;
}

std::vector<std::string> RandomLines(std::size_t n, std::size_t most) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < n; ++i) {
    const auto size = static_cast<std::size_t>(RandomInt(0, static_cast<std::int64_t>(most)));
    lines.push_back((size == 3 ? "abc" : RandomWord(size)) + "\n");
  }
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace ipclab
