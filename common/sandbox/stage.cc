#include "common/sandbox/stage.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "common/base/fd.h"
#include "common/sandbox/counters.h"
#include "common/sandbox/launch.h"
#include "common/sandbox/policy.h"
#include "common/sandbox/registry.h"

namespace ipclab {
namespace {

// Nobody listens to the stage's own troubles but the launcher's stderr.
[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "stage: %s: %s\n", what, strerrorname_np(errno));
  _exit(125);
}

struct Packet {
  char kind = 0;
  std::string text;
  std::vector<int> fds;
};

// Empty at end of file: the grader is gone.
std::optional<Packet> Receive() {
  std::string buffer(kMaxPacket, '\0');
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)];
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(kControlFd, &message, MSG_CMSG_CLOEXEC);
  if (size == -1) Die("recvmsg");
  if (size == 0) return std::nullopt;
  Packet packet;
  packet.kind = buffer[0];
  packet.text = buffer.substr(1, static_cast<std::size_t>(size) - 1);
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    packet.fds.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(packet.fds.data(), CMSG_DATA(header), packet.fds.size() * sizeof(int));
  }
  return packet;
}

void SayHello() {
  const Hello hello{MarkerAddress()};
  if (send(kControlFd, &hello, sizeof(hello), MSG_NOSIGNAL) == -1) Die("send");
}

std::string ReadAll(int fd) {
  struct stat info {};
  if (fstat(fd, &info) == -1) Die("fstat");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  if (pread(fd, text.data(), text.size(), 0) != info.st_size) Die("pread");
  return text;
}

void ResetSignals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) == -1) Die("sigprocmask");
}

// Leaves 0, 1 and 2 and nothing else. All given descriptors are above 3: 3 is the socket.
void PlaceDescriptors(const Packet& packet) {
  for (int i = 0; i < 3; ++i) {
    if (dup2(packet.fds[static_cast<std::size_t>(i)], i) == -1) Die("dup2");
  }
  if (syscall(SYS_close_range, 3U, ~0U, 0U) == -1) Die("close_range");
}

void SetLimit(int resource, rlim_t value) {
  const rlimit limit{value, value};
  if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) == -1) Die("setrlimit");
}

void SetLimits(const nlohmann::json& limits) {
  // With 0 the kernel still feeds a core to a program that core_pattern names; with 1 to nobody.
  // core(5)
  SetLimit(RLIMIT_CORE, 1);
  for (const auto& [resource, value] : limits.items()) {
    SetLimit(std::stoi(resource), value.get<rlim_t>());
  }
}

[[noreturn]] void RunHelper(const Packet& packet) {
  const std::string text = ReadAll(packet.fds.at(3));
  std::optional<SharedCounters> counters;
  if (packet.fds.size() > 4 && !counters.emplace().Map(packet.fds[4])) Die("map the counters");
  PlaceDescriptors(packet);
  setpgid(0, 0);
  ResetSignals();
  umask(022);
  nlohmann::json order = nlohmann::json::from_cbor(text);
  const HelperBody body = FindHelper(order.at("helper").get<std::string>());
  if (body == nullptr) Die("no such helper");
  const Args args(std::move(order.at("args")));
  SetLimits(order.at("limits"));
  const auto& filter = order.at("filter").get_binary();
  if (!InstallFilter({reinterpret_cast<const char*>(filter.data()), filter.size()})) Die("seccomp");
  if (order.contains("submission") && !LoadSubmission(order.at("submission"))) _exit(126);
  if (counters && !counters->Replace(OwnCounters())) Die("the submission's counters");
  Mark(Marker::kReady, "");
  errno = 0;
  const int result = body(args);
  Mark(Marker::kDone, "");
  _exit(result & 0xff);
}

void StartHelper(const Packet& packet) {
  const pid_t pid = fork();
  if (pid == -1) Die("fork");
  if (pid == 0) RunHelper(packet);
  for (const int fd : packet.fds) close(fd);
}

void Answer(std::string (*answer)(std::string_view), const std::string& question) {
  const std::string reply = answer(question).substr(0, kMaxPacket);
  if (send(kControlFd, reply.data(), reply.size(), MSG_NOSIGNAL) == -1) Die("send");
}

}  // namespace

bool IsStage() { return std::getenv(kStageVariable) != nullptr; }

void RunStage(std::string (*answer)(std::string_view question)) {
  // Helpers exec this binary again, as the programs of the box: those are no stages.
  if (unsetenv(kStageVariable) == -1) Die("unsetenv");
  // Orphans come to process 1 of a pid namespace by themselves; without one, this brings them.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1) Die("prctl");
  // A handler would let the box's processes signal the stage; a blocked SIGCHLD does not.
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  if (sigprocmask(SIG_SETMASK, &mask, nullptr) == -1) Die("sigprocmask");
  const Fd children(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!children) Die("signalfd");
  SayHello();

  pollfd fds[2] = {{kControlFd, POLLIN, 0}, {children.get(), POLLIN, 0}};
  while (true) {
    if (poll(fds, 2, -1) == -1 && errno != EINTR) Die("poll");
    if (fds[1].revents != 0) {
      signalfd_siginfo info;
      while (read(children.get(), &info, sizeof(info)) > 0) {
      }
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
    }
    if (fds[0].revents == 0) continue;
    const std::optional<Packet> packet = Receive();
    if (!packet) _exit(0);
    if (packet->kind == kStartHelper) StartHelper(*packet);
    if (packet->kind == kAsk) Answer(answer, packet->text);
  }
}

}  // namespace ipclab
