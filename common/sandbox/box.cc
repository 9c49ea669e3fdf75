#include "common/sandbox/box.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>
#include <utility>

#include "common/base/spawn.h"
#include "common/base/text.h"
#include "common/sandbox/launch.h"
#include "common/sandbox/protocol.h"

namespace ipclab {
namespace {

constexpr int kSubmissionFd = 4;  // In bubblewrap, which copies it into the box.
constexpr int kGreetingMs =
    20000;  // A backstop; a stage that lives says hello within milliseconds.

Fd MemoryFile(const std::string& content) {
  Fd file(Check(memfd_create("order", MFD_CLOEXEC), "memfd_create"));
  if (Check(write(file.get(), content.data(), content.size()), "write") !=
      static_cast<ssize_t>(content.size())) {
    throw GraderError("short write to a memfd");
  }
  return file;
}

// The same file with an offset of its own.
Fd Reopen(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return Fd(Check(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path));
}

}  // namespace

Box::Box(const BoxOptions& options)
    : confined_(options.confine), has_submission_(options.submission >= 0) {
  std::array<int, 2> ends{};
  Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  control_ = Fd(ends[0]);
  Fd stage_end(ends[1]);
  // With SO_PASSCRED the kernel tells the sender's pid, translated into our namespace.
  const int on = 1;
  Check(setsockopt(control_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), "setsockopt");
  complaints_ = Fd(Check(memfd_create("complaints", MFD_CLOEXEC), "memfd_create"));
  Launch(options, stage_end.get());
}

std::unique_ptr<Box> Box::Take(const BoxOptions& options) {
  using Key = std::tuple<int, bool>;
  // Ends with the process, and with it the boxes that nobody has taken.
  static std::map<Key, std::unique_ptr<Box>> begun;
  const auto begin = [&] { return std::unique_ptr<Box>(new Box(options)); };

  std::unique_ptr<Box> box;
  if (options.confine) {
    std::unique_ptr<Box>& next = begun[{options.submission, options.shell}];
    box = next ? std::move(next) : begin();
    next = begin();
  } else {
    box = begin();  // Costs little, and leaves a folder behind if the grader is killed.
  }
  box->Greet();
  return box;
}

Box::~Box() {
  if (stage_ > 0) kill(stage_, SIGKILL);
  kill(monitor_, SIGKILL);
  // ECHILD: the event loop's waitpid(-1) was faster.
  while (waitpid(monitor_, nullptr, 0) == -1 && errno == EINTR) {
  }
  if (!scratch_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(scratch_, ignored);
  }
}

void Box::Launch(const BoxOptions& options, int control) {
  SpawnPlan plan;
  plan.fds = {{complaints_.get(), STDERR_FILENO}, {control, kControlFd}};
  Fd submission;
  if (has_submission_) submission = Reopen(options.submission);
  if (options.confine) {
    plan.argv = BubblewrapCommand(options.shell, has_submission_ ? kSubmissionFd : -1);
    if (has_submission_) plan.fds.push_back({submission.get(), kSubmissionFd});
  } else {
    scratch_ = MakeScratch(options.shell, submission.get());
    plan.argv = {SelfPath()};
    plan.environment = {"PATH=" + scratch_ + "/bin"};
  }
  plan.environment.push_back(std::string(kStageVariable) + "=1");
  plan.directory = scratch_.empty() ? "/" : scratch_ + "/tmp";
  monitor_ = Spawn(plan);
}

void Box::Greet() {
  pollfd readable{control_.get(), POLLIN, 0};
  const int ready = Check(poll(&readable, 1, kGreetingMs), "poll");
  if (ready == 0) throw GraderError("the box did not start within 20 s");

  Hello hello{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec part{&hello, sizeof(hello)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = Check(recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC), "recvmsg");
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (size != sizeof(hello) || header == nullptr || header->cmsg_type != SCM_CREDENTIALS) {
    throw GraderError("the box could not be made: " + Complaint());
  }
  ucred sender{};
  std::memcpy(&sender, CMSG_DATA(header), sizeof(sender));
  stage_ = sender.pid;
  marker_address_ = hello.marker_address;
}

std::string Box::Complaint() const {
  std::array<char, 2000> text{};
  const ssize_t size = pread(complaints_.get(), text.data(), text.size(), 0);
  if (size <= 0) return "it ended without a word";
  return Printable({text.data(), static_cast<std::size_t>(size)}, 400);
}

void Box::StartHelper(const HelperOrder& order, int in, int out, int err) {
  nlohmann::json content = {{"helper", order.helper}, {"args", order.args}};
  content["filter"] = nlohmann::json::binary({order.filter.begin(), order.filter.end()});
  content["limits"] = nlohmann::json::object();
  for (const auto& [resource, value] : order.limits) {
    content["limits"][std::to_string(resource)] = value;
  }
  if (has_submission_) content["submission"] = scratch_ + kSubmissionPath;
  const auto bytes = nlohmann::json::to_cbor(content);
  const Fd file = MemoryFile(std::string(bytes.begin(), bytes.end()));
  std::vector<int> fds = {in, out, err, file.get()};
  if (order.counters >= 0) fds.push_back(order.counters);
  Send(kStartHelper, "", fds);
}

std::string Box::Ask(const std::string& question) {
  Send(kAsk, question, {});
  std::string reply(kMaxPacket, '\0');
  const ssize_t size = Check(recv(control_.get(), reply.data(), reply.size(), 0), "recv");
  if (size == 0) throw GraderError("the stage ended: " + Complaint());
  reply.resize(static_cast<std::size_t>(size));
  return reply;
}

void Box::Send(char kind, const std::string& text, const std::vector<int>& fds) {
  std::string packet = kind + text;
  iovec part{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  Check(sendmsg(control_.get(), &message, MSG_NOSIGNAL), "sendmsg to the stage");
}

}  // namespace ipclab
