// What the checks of clients and those of servers share: peers that speak the protocol by hand.

#ifndef IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_
#define IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_

#include <limits.h>
#include <poll.h>

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

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_CLIENT_SERVER_H_
