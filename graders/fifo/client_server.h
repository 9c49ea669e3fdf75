// What the checks of clients and those of servers share: peers that speak the protocol by hand.

#ifndef IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_
#define IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_

#include <limits.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "graders/fifo/peers.h"
#include "labs/fifo/fifo.h"

namespace ipclab {

EXERCISE(ClientServer);

// In the empty directory where helpers start.
inline constexpr char kWellKnown[] = "requests";

inline std::string ReplyName(pid_t pid) { return "reply." + std::to_string(pid); }

// A request as the contract has it.
inline std::string Record(std::int32_t pid, std::string_view text) {
  const fifo::RequestHeader header = {pid, static_cast<std::uint32_t>(text.size())};
  std::string record(sizeof(header) + text.size(), '\0');
  std::memcpy(record.data(), &header, sizeof(header));
  std::memcpy(record.data() + sizeof(header), text.data(), text.size());
  return record;
}

// What the servers of the checks answer.
inline std::string AnswerTo(const std::string& text) { return "<" + text + ">"; }

// Where a server may sleep.
inline const std::vector<Family> kWaitsOfServers = {Family::kPoll,  Family::kRead,
                                                    Family::kOpen,  Family::kSignalWait,
                                                    Family::kFutex, Family::kRestart};

// True if the call of the server was a wait that ended because its time was over.
inline bool IsIdleRound(const Event& event, const Helper& server) {
  const bool naps = event.family == Family::kPoll || event.family == Family::kSleep;
  return event.pid == server.pid() && naps && event.result == 0;
}

// Waits until the client has its answer. Some servers wait without limit, so that nothing can
// happen any more when they have missed a request; others look again from time to time.
inline testing::AssertionResult IsAnswered(Sandbox& box, Helper& client, const Helper& server) {
  constexpr std::size_t kEnough = 3;
  const std::size_t from = box.events().size();
  const auto idle = [&] {
    const auto first = box.events().begin() + static_cast<std::ptrdiff_t>(from);
    return std::count_if(first, box.events().end(), [&](const Event& event) {
             return IsIdleRound(event, server);
           }) >= static_cast<std::ptrdiff_t>(kEnough);
  };
  const auto result =
      Comes(box, [&] { return !client.process().alive || (idle() && AtRest(box)); });
  if (!result) return result;
  if (!client.process().alive) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the server has looked for requests " << kEnough
                                     << " times since, and the client still waits for its answer";
}

inline Helper StartServer(Sandbox& box, const std::string& there = "nothing") {
  return box.Start("Serves", {{"there", there}});
}

inline testing::AssertionResult WaitsForRequests(Helper& server) {
  if (server.WaitUntilBlockedIn(kWaitsOfServers)) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "the server does not wait for requests: " << OutcomeOf(server).ending.text;
}

// Asks by hand, and compares the answer.
inline testing::AssertionResult Answers(Sandbox& box, const Helper& server,
                                        const std::string& text) {
  Helper client = box.Start("AsksByHand", {{"text", text}});
  const auto answered = IsAnswered(box, client, server);
  if (!answered) return answered;
  const std::string want = AnswerTo(text) + '\0';
  const std::string got = client.ReportedBytes("answer");
  if (got == want) return testing::AssertionSuccess();
  return testing::AssertionFailure() << DescribeDifference(want, got);
}

// Stops the server and says how it ended.
inline Outcome Stopped(Helper& server) {
  server.Signal(SIGUSR1);
  return OutcomeOf(server);
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_
