// A server and its clients, as the checks of exercise 5 see them.
//
//   HELPER(AsksOnce) {
//     const int qid = MeetingQueue(args);
//     PutRaw(qid, kRequestType, RequestBytes(getpid(), 17, 4, "hello"));
//     ReportRaw("reply", AwaitRaw(qid, long{getpid()} + 1));
//     return 0;
//   }
//
//   const int first = HoldInHandler(box, server);
//   ASSERT_TRUE(IsReached(box, first));

#ifndef IPCLAB_GRADERS_MSGQUEUE_TRAFFIC_H_
#define IPCLAB_GRADERS_MSGQUEUE_TRAFFIC_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/observe/blocked.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {

using msgqueue::client_call;

constexpr long kRequestType = 1;
// Of messages that are nobody's here.
constexpr long kForeignType = 5'000'000'000;
// What a handler of the checks leaves without an answer.
constexpr std::uint32_t kOpSilent = 77;

// ---- Messages, in the box and in the grader -----------------------------------------------------

inline std::string RequestBytes(pid_t client, std::uint32_t serial, std::uint32_t op,
                                std::string_view text) {
  msgqueue::Req req{client, serial, op, {}};
  text.copy(req.text, sizeof req.text - 1);
  return {reinterpret_cast<const char*>(&req), sizeof req};
}

inline std::string ReplyBytes(std::uint32_t serial, const std::string& text) {
  return std::string(reinterpret_cast<const char*>(&serial), sizeof serial) + text + '\0';
}

inline std::optional<msgqueue::Req> ReadRequest(std::string_view bytes) {
  msgqueue::Req req{};
  if (bytes.size() != sizeof req) return std::nullopt;
  std::memcpy(&req, bytes.data(), sizeof req);
  return req;
}

inline std::string TextOf(const msgqueue::Req& req) {
  return {req.text, strnlen(req.text, sizeof req.text)};
}

// ---- In the box ---------------------------------------------------------------------------------

// The queue in which all helpers of a check meet. Whoever comes first makes it.
inline int MeetingQueue(const Args& args) {
  return Check(msgget(static_cast<key_t>(args.Int("key")), IPC_CREAT | 0600), "msgget");
}

// Waits for a message; nothing if the queue is removed meanwhile.
inline std::optional<std::string> AwaitRaw(int qid, long want) {
  std::string message(sizeof(long) + 8192, '\0');
  ssize_t got = 0;
  do {
    got = msgrcv(qid, message.data(), 8192, want, 0);
  } while (got == -1 && errno == EINTR);
  if (got == -1) return std::nullopt;
  return message.substr(sizeof(long), static_cast<std::size_t>(got));
}

// Waits for room.
inline void SendRaw(int qid, long type, std::string_view data) {
  std::string message(sizeof type + data.size(), '\0');
  std::memcpy(message.data(), &type, sizeof type);
  std::memcpy(message.data() + sizeof type, data.data(), data.size());
  while (msgsnd(qid, message.data(), data.size(), 0) == -1 && errno == EINTR) {
  }
}

inline void ReportRaw(const std::string& key, const std::optional<std::string>& bytes) {
  if (bytes) Report(key, *bytes);
}

// Fills what is left of the queue with one message that nobody here takes.
inline void FillUp(int qid) {
  const msqid_ds status = StatusOf(qid);
  if (status.__msg_cbytes < status.msg_qbytes) {
    PutRaw(qid, kForeignType, std::string(status.msg_qbytes - status.__msg_cbytes, 'f'));
  }
}

inline void StopServerRaw(int qid) {
  SendRaw(qid, kRequestType, RequestBytes(getpid(), 0xffffffff, msgqueue::kOpStop, ""));
}

constexpr int kNoLimit = -1;
// Enough on any machine, and short enough to come to its end where nothing happens.
constexpr int kPlenty = 5000;
constexpr std::size_t kBehind = 16;

// Calls with a buffer of `cap` bytes inside a larger one, and reports what came as `key`.
inline int CallServer(int qid, const std::string& text, const std::string& key,
                      int timeout_ms = kNoLimit, std::size_t cap = 240, std::uint32_t op = 5) {
  std::string buffer(cap + kBehind, '#');
  const int result = STUDENT(client_call)(qid, op, text.c_str(), buffer.data(), cap, timeout_ms);
  Report(key, buffer.substr(0, std::min(buffer.find('\0'), cap)));
  Report(key + "_behind", buffer.substr(cap));
  return result;
}

// A child of the helper's own that dies when it is told to, and is collected.
class Mortal {
 public:
  template <typename Body>
  explicit Mortal(Body body) : pid_(Check(fork(), "fork")) {
    if (pid_ != 0) return;
    body();
    for (;;) pause();
  }
  ~Mortal() { Kill(); }
  Mortal(const Mortal&) = delete;
  Mortal& operator=(const Mortal&) = delete;

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

// ---- In the grader ------------------------------------------------------------------------------

// Holds the helper at its next Gate() that no rule made before holds it at.
inline int HoldAtGateOf(Sandbox& box, const Helper& helper) {
  const auto where = [pid = helper.pid()](const Event& event) {
    return event.pid == pid && event.function.empty() && event.args[1] == 0;
  };
  return box.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
}

// Holds the server in its handler, which comes to a Gate() with each request: with the next
// one, as above.
inline int HoldInHandler(Sandbox& box, const Helper& server) {
  const auto where = [pid = server.pid()](const Event& event) {
    return event.pid == pid && !event.function.empty() && event.args[1] == 0 &&
           static_cast<int>(event.args[0]) == event.inner_pid;
  };
  return box.AddRule({.family = Family::kSignalSend, .where = where, .hold = true});
}

// Serves the box until the rule holds somebody, or nothing moves any more.
[[nodiscard]] inline testing::AssertionResult IsReached(Sandbox& box, int rule) {
  const auto held = [&] { return !box.observer().Held(rule).empty(); };
  const testing::AssertionResult result = Comes(box, [&] { return held() || RestsForGood(box); });
  if (result && held()) return result;
  return testing::AssertionFailure()
         << "nobody comes so far: " << (result ? "everybody sleeps" : result.message());
}

inline std::uint32_t RandomSerial() {
  return static_cast<std::uint32_t>(RandomInt(1000, 2'000'000'000));
}

inline const SandboxOptions kWithGates = {.watch = {Family::kSignalSend}};

// One for each helper of a check.
struct Scene {
  std::int64_t key = RandomKey();
  std::uint32_t serial = RandomSerial();
  std::string greeting = RandomWord(9);
  std::string text = RandomWord(20);

  Helper Server(Sandbox& box, int most = 0) const {
    return box.Start("Serves", {{"key", key}, {"greeting", greeting}, {"most", most}});
  }
  nlohmann::json Args() const { return {{"key", key}, {"serial", serial}, {"text", text}}; }
};

MATCHER_P2(IsReply, serial, text, "the reply to the request, and nothing behind its NUL") {
  const std::string want = ReplyBytes(serial, text);
  const std::string_view got = arg;
  if (got == want) return true;
  if (got.size() != want.size()) {
    *result_listener << "a message of " << got.size() << " bytes instead of " << want.size();
  } else if (got.substr(0, sizeof(std::uint32_t)) != want.substr(0, sizeof(std::uint32_t))) {
    *result_listener << "another serial number";
  } else {
    *result_listener << "another text";
  }
  return false;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MSGQUEUE_TRAFFIC_H_
