#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/text.h"
#include "common/observe/deadlock.h"

namespace ipclab {
namespace {

constexpr std::size_t kShownWaits = 8;
constexpr std::size_t kShownHolders = 4;
constexpr std::size_t kNameLimit = 80;

// "a", "a and b", "a, b and c".
std::string Listed(const std::vector<std::string>& parts) {
  if (parts.size() < 2) return Join(parts, "");
  return Join({parts.begin(), parts.end() - 1}, ", ") + " and " + parts.back();
}

// Writes about the waits of one deadlock, and introduces every process by name only once.
class Writer {
 public:
  Writer(const std::vector<WaitEdge>& chain, ObjectNames& names) : names_(names) {
    for (const WaitEdge& edge : chain) ++waits_[edge.waiter.pid];
  }

  std::string Sentence(const WaitEdge& edge) {
    std::string text = Waiter(edge.waiter);
    text +=
        edge.call.empty() ? " is stopped by a signal and waits" : " waits in " + edge.call + "()";
    if (!edge.objects.empty()) text += " on " + Objects(edge);
    if (!edge.aim.empty()) text += " " + Aim(edge);
    if (!edge.remark.empty()) text += "; " + edge.remark;
    text[0] = 'P';  // It begins with "process".
    return text + ".";
  }

 private:
  std::string Process(const Party& party) {
    std::string text = "process " + std::to_string(party.inner_pid);
    if (!party.name.empty() && introduced_.insert(party.pid).second) {
      text += " (" + Printable(party.name, kNameLimit) + ")";
    }
    return text;
  }

  std::string Waiter(const Party& party) {
    std::string text = Process(party);
    if (party.inner_tid != party.inner_pid)
      text += ", thread " + std::to_string(party.inner_tid) + ",";
    return text;
  }

  std::string Aim(const WaitEdge& edge) {
    std::string aim = edge.aim;
    const auto place = aim.find('%');
    if (edge.needs.empty() || place == std::string::npos) return aim;
    std::vector<std::string> parts;
    for (const Party& party : edge.needs) parts.push_back(Needed(party, edge.waiter));
    return aim.replace(place, 1, Listed(parts));
  }

  std::string Needed(const Party& party, const Party& waiter) {
    if (party.pid != waiter.pid) return Process(party);
    return "thread " + std::to_string(party.inner_tid) + " of its own";
  }

  std::string Objects(const WaitEdge& edge) {
    std::vector<std::string> parts;
    for (const WaitObject& object : edge.objects) parts.push_back(Object(object, edge.waiter));
    return Join(parts, ", or on ");
  }

  std::string Object(const WaitObject& object, const Party& waiter) {
    const std::string name = names_.Of(object.target);
    std::string text = "descriptor " + std::to_string(object.descriptor) + ", " + name;
    if (!object.pipe)
      return text + (object.reads ? ", for something to read" : ", for room to write");
    text += object.reads ? ", for bytes or end of file; the write end of " + name + " is "
                         : std::string(", for room") + (object.full ? ", because it is full" : "") +
                               "; the read end of " + name + " is ";
    return text + Holders(object, waiter);
  }

  // Where the other end is open, and what follows if it is open in the waiter itself.
  std::string Holders(const WaitObject& object, const Party& waiter) {
    if (object.holders.empty()) return "open nowhere";
    std::vector<Holder> own, others;
    for (const Holder& holder : object.holders) {
      (holder.party.pid == waiter.pid ? own : others).push_back(holder);
    }
    if (own.empty()) return "open in " + Places(others);
    std::string text = "still open in " + Process(waiter) + " itself (" + Numbers(own) + ")";
    if (!others.empty()) text += " and also in " + Places(others);
    // Another thread of the process may be the one that was to write or read.
    if (waits_[waiter.pid] > 1) return text;
    if (object.reads) return text + ", so end of file can never come";
    return text + (others.empty() ? ", so nobody else will make room" : "");
  }

  std::string Places(const std::vector<Holder>& holders) {
    std::vector<std::string> places;
    for (std::size_t i = 0; i < holders.size();) {
      std::vector<Holder> same;
      const Party& party = holders[i].party;
      for (; i < holders.size() && holders[i].party.pid == party.pid; ++i)
        same.push_back(holders[i]);
      if (places.size() == kShownHolders) {
        places.push_back("others");
        break;
      }
      places.push_back(Process(party) + " (" + Numbers(same) + ")");
    }
    return Listed(places);
  }

  static std::string Numbers(const std::vector<Holder>& holders) {
    std::vector<std::string> numbers;
    for (const Holder& holder : holders) {
      if (numbers.size() == kShownHolders) {
        numbers.push_back("more");
        break;
      }
      numbers.push_back(std::to_string(holder.descriptor));
    }
    return (numbers.size() == 1 ? "descriptor " : "descriptors ") + Listed(numbers);
  }

  ObjectNames& names_;
  std::map<pid_t, int> waits_;  // Threads of a process that wait.
  std::set<pid_t> introduced_;
};

// A circle, said once all its members have been named.
std::string Conclusion(std::size_t circle) {
  if (circle == 2) return "They wait for each other, so neither can go on.";
  return "They wait for each other in a circle, so none of them can go on.";
}

}  // namespace

std::string Deadlock::Explain(ObjectNames& names) const {
  Writer writer(chain, names);
  std::vector<std::string> sentences;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (i == kShownWaits) {
      const auto rest = static_cast<long long>(chain.size() - i);
      sentences.push_back(Count(rest, "more wait") + (rest == 1 ? " hangs" : " hang") +
                          " on these.");
      break;
    }
    sentences.push_back(writer.Sentence(chain[i]));
    if (circle > 1 && i + 1 == circle) sentences.push_back(Conclusion(circle));
  }
  if (circle == 0) sentences.push_back("Nobody is left who could end this.");
  return Join(sentences, " ");
}

}  // namespace ipclab
