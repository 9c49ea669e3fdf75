#include "common/grading/sandbox.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>

#include "common/base/names.h"
#include "common/base/text.h"
#include "common/grading/story.h"
#include "common/observe/blocked.h"
#include "common/observe/busy_wait.h"
#include "common/observe/census_diff.h"
#include "common/sandbox/policy.h"

namespace ipclab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What every box watches: few calls, and none of them in a loop that moves data.
constexpr Family kAlwaysWatched[] = {Family::kFork,  Family::kExec,  Family::kExit,
                                     Family::kTimer, Family::kSleep, Family::kRestart};
constexpr char kSysvQuestion[] = "sysv";

// The backstop, longer on a loaded machine. Everything an honest submission can do wrong is proved
// long before.
milliseconds Patience() {
  double load[1] = {0};
  if (getloadavg(load, 1) != 1) load[0] = 0;
  const double processors = static_cast<double>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  return milliseconds(static_cast<int>(10'000 * (1 + load[0] / processors)));
}

std::string Capitalized(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(toupper(text[0]));
  return text;
}

ino_t InodeOf(int fd) {
  struct stat info {};
  Check(fstat(fd, &info), "fstat");
  return info.st_ino;
}

std::string MayBeListed(const std::vector<Family>& families) {
  std::vector<std::string> names;
  for (const Family family : families) names.emplace_back(FamilyName(family));
  return Join(names, " or ");
}

}  // namespace

std::string_view VerdictName(Ending::Kind kind) {
  switch (kind) {
    case Ending::Kind::kExited:
      return "exited";
    case Ending::Kind::kEndedEarly:
      return "ended early";
    case Ending::Kind::kKilled:
      return "killed by a signal";
    case Ending::Kind::kDeadlock:
      return "deadlock";
    case Ending::Kind::kBusy:
      return "busy waiting";
    case Ending::Kind::kTimeout:
      return "timeout";
    case Ending::Kind::kFlood:
      return "output flood";
    case Ending::Kind::kLimit:
      return "resource limit";
    case Ending::Kind::kLoadError:
      return "load error";
  }
  return "";
}

std::string AnswerInside(std::string_view question) {
  if (question == kSysvQuestion) return nlohmann::json(ipclab::SysvObjects()).dump();
  return "";
}

nlohmann::json Binary(std::string_view bytes) {
  return nlohmann::json::binary({bytes.begin(), bytes.end()});
}

Sandbox::Sandbox(SandboxOptions options) : options_(std::move(options)), started_(Clock::now()) {
  std::vector<Family> watch = options_.watch;
  watch.insert(watch.end(), std::begin(kAlwaysWatched), std::end(kAlwaysWatched));
  filter_ = BuildFilter(CallsOf(watch));
  const Session& session = Session::Get();
  BoxOptions box;
  box.submission = session.submission.get();
  box.shell = options_.shell;
  box.confine = session.confine;
  Tracer::Get();  // Blocks SIGCHLD before there is a child.
  box_ = Box::Take(box);
  Observer::Options observe;
  observe.marker_address = box_->marker_address();
  observe.judge = &Judge;
  if (session.counters) observe.counters_inode = InodeOf(session.counters.get());
  observer_ = std::make_unique<Observer>(box_->stage(), std::move(observe));
  if (options_.skip_sleeps) {
    observer_->AddRule({.family = Family::kSleep, .nth = 0, .answer = 0});
  }
}

Sandbox::~Sandbox() {
  Record();
  for (auto& [pid, output] : outputs_) {
    Loop::Get().Forget(output.out->source);
    Loop::Get().Forget(output.err->source);
  }
  observer_.reset();
  box_.reset();
}

PipeEnds Sandbox::ServedPipe() {
  PipeEnds pipe = MakePipe();
  Check(fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK), "fcntl");
  served_.insert("pipe:[" + std::to_string(InodeOf(pipe.read.get())) + "]");
  return pipe;
}

std::unique_ptr<Sandbox::Stream> Sandbox::Collect(Fd read_end) {
  auto stream = std::make_unique<Stream>();
  stream->read_end = std::move(read_end);
  Stream* const raw = stream.get();
  stream->source = Loop::Get().OnReadable(raw->read_end.get(), [this, raw] { Drain(*raw); });
  return stream;
}

void Sandbox::Drain(Stream& stream) {
  std::string buffer(64 * 1024, '\0');
  ssize_t size = 0;
  while ((size = read(stream.read_end.get(), buffer.data(), buffer.size())) > 0) {
    stream.text.append(buffer, 0, static_cast<std::size_t>(size));
    if (stream.text.size() > kMaxOutput) {
      flooded_ = true;
      break;
    }
  }
  if (size == 0 || flooded_) Loop::Get().Forget(stream.source);
}

Helper Sandbox::Start(const std::string& name, const nlohmann::json& args,
                      const StartOptions& options) {
  HelperOrder order{name, args, filter_, options.limits};
  order.counters = Session::Get().counters.get();
  Fd input(Check(open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null"));
  if (!options.input.empty()) {
    input = Fd(Check(memfd_create("input", MFD_CLOEXEC), "memfd_create"));
    Check(pwrite(input.get(), options.input.data(), options.input.size(), 0), "pwrite");
  }
  PipeEnds out = ServedPipe();
  PipeEnds err = ServedPipe();
  std::set<pid_t> known;
  for (const auto& [pid, process] : observer_->processes()) known.insert(pid);
  observer_->ExpectHelper(name);
  box_->StartHelper(order, input.get(), out.write.get(), err.write.get());

  pid_t helper = 0;
  const auto begun = [&] {
    for (const auto& [pid, process] : observer_->processes()) {
      if (process.helper && known.count(pid) == 0) helper = pid;
    }
    if (helper == 0) return false;
    const Process& process = observer_->process(helper);
    return process.ready || !process.alive;
  };
  outputs_[0] = {Collect(std::move(out.read)), Collect(std::move(err.read))};
  if (!Loop::Get().RunUntil(begun, Clock::now() + Patience()) && helper == 0) {
    throw GraderError("the stage did not start helper " + name);
  }
  outputs_[helper] = std::move(outputs_[0]);
  outputs_.erase(0);
  const Process& process = observer_->process(helper);
  if (!process.ready && !process.alive && process.load_error.empty() && process.status &&
      WIFEXITED(*process.status) && WEXITSTATUS(*process.status) == 125) {
    throw GraderError("helper " + name + " could not be set up");
  }
  return Helper(this, helper);
}

int Sandbox::Fail(Family family, int error, int nth) {
  return AddRule({.family = family, .nth = nth, .answer = -error});
}

int Sandbox::Shorten(Family family, std::uint64_t bytes) {
  return AddRule({.family = family, .nth = 0, .at_most = bytes});
}

int Sandbox::Hold(Family family, int nth) {
  return AddRule({.family = family, .nth = nth, .hold = true});
}

int Sandbox::HoldBefore(Family family, int nth) {
  return AddRule({.family = family, .nth = nth, .hold = true, .before = true});
}

int Sandbox::HoldAfter(Family family, int nth) {
  return AddRule({.family = family, .nth = nth, .hold = true, .after = true});
}

std::vector<SysvObject> Sandbox::SysvObjects() const {
  if (!Session::Get().confine) return {};
  return nlohmann::json::parse(box_->Ask(kSysvQuestion)).get<std::vector<SysvObject>>();
}

std::vector<TreeEntry> Sandbox::Names() const {
  const std::string& prefix = box_->prefix();
  std::vector<TreeEntry> names = ListTree(box_->stage(), prefix + "/tmp");
  for (TreeEntry& name : names) name.path.erase(0, prefix.size());
  // In practice mode /dev/shm belongs to the whole machine.
  if (prefix.empty()) {
    for (TreeEntry& name : ListTree(box_->stage(), "/dev/shm")) names.push_back(std::move(name));
  }
  return names;
}

std::optional<std::string> Sandbox::FileContents(const std::string& path) const {
  const std::string inside = path.starts_with('/') ? path : "/tmp/" + path;
  if (inside.starts_with("/dev/shm/")) return ReadTreeFile(box_->stage(), inside);
  return ReadTreeFile(box_->stage(), box_->prefix() + inside);
}

bool Sandbox::WaitUntilHeld(int rule) {
  const auto ending = WaitFor([&] { return !observer_->Held(rule).empty(); });
  failure_ = ending ? ending->text : "";
  return !ending;
}

World Sandbox::MakeWorld() const {
  World world;
  world.processes = observer_->LivingProcesses();
  world.held = observer_->AllHeld();
  world.served = served_;
  world.armed = observer_->armed();
  world.stopped = Tracer::Get().Stopped(observer_.get());
  world.resumed = observer_->resumed();
  world.name = [this](pid_t pid) { return observer_->NameOf(pid); };
  return world;
}

std::optional<Ending> Sandbox::Trouble() {
  if (flooded_) {
    return Ending{Ending::Kind::kFlood, 0,
                  "wrote more than " + std::to_string(kMaxOutput >> 20) + " MiB of output"};
  }
  if (!observer_->limit().empty()) {
    return Ending{Ending::Kind::kLimit, 0, "ran into a limit: " + observer_->limit()};
  }
  // While calls come in the box is not at rest.
  const std::size_t events = observer_->events().size();
  const bool moved = std::exchange(events_at_last_look_, events) != events;
  const auto deadlock = moved ? std::nullopt : FindDeadlock(MakeWorld());
  // Who ends leaves the others asleep, and the news of it may be on its way to us: it has come when
  // we look again.
  if (!std::exchange(asleep_at_last_look_, deadlock.has_value()) || !deadlock) return std::nullopt;
  Session::Get().check.waits = WaitsOf(*deadlock, names_);
  return Ending{Ending::Kind::kDeadlock, 0, deadlock->Explain(names_)};
}

// What the last helper came to, for a wait that nobody is left to end.
Ending Sandbox::AllEnded() const {
  for (auto it = events().rbegin(); it != events().rend(); ++it) {
    const auto process = observer_->processes().find(it->pid);
    if (process != observer_->processes().end() && process->second.helper) {
      return EndingOf(process->second);
    }
  }
  return {Ending::Kind::kEndedEarly, 0, "ended before it began"};
}

std::optional<Ending> Sandbox::WaitFor(const std::function<bool()>& done) {
  observer_->LetHelpersGo();
  BusyWait busy;
  std::optional<Ending> ending = trouble_;
  const auto stop = [&] {
    if (done()) return true;
    if (!ending) {
      ending = Trouble();
      // Between our two questions the last one may have gone to sleep, just as it should.
      if (ending && done()) {
        ending.reset();
        return true;
      }
    }
    if (!ending && observer_->LivingProcesses().empty()) ending = AllEnded();
    if (!ending) {
      if (const auto spinner =
              busy.Sample(observer_->LivingProcesses(), observer_->TimeInSteps())) {
        ending = Ending{Ending::Kind::kBusy, 0, spinner->Explain(observer_->NameOf(spinner->pid))};
      }
    }
    return ending.has_value();
  };
  const milliseconds patience = Patience();
  if (!Loop::Get().RunUntil(stop, Clock::now() + patience)) {
    ending = Ending{Ending::Kind::kTimeout, 0,
                    "was still not done after " + std::to_string(patience.count() / 1000) +
                        " s, neither blocked for ever nor busy"};
  }
  if (ending) {
    trouble_ = ending;
    CheckRecord& record = Session::Get().check;
    if (record.verdict.empty()) record.verdict = VerdictName(ending->kind);
  }
  return ending;
}

void Sandbox::Record() {
  CheckRecord& record = Session::Get().check;
  for (const auto& [pid, process] : observer_->processes()) {
    for (const StudentCall& call : process.calls) {
      const bool untouched =
          call.returned && call.value == -1 && call.error == ENOSYS && !call.made_calls;
      if (untouched && record.not_started.empty()) record.not_started = call.function;
    }
    if (process.helper && process.begin && process.end) {
      for (std::string& leftover : ipclab::Leftovers(*process.begin, *process.end, names_)) {
        record.leftovers.push_back(std::move(leftover));
      }
    }
  }
  for (const Event& event : events()) {
    if (event.kind == Event::Kind::kEnter) record.function = event.detail;
  }
  // Of a check with several boxes, the one that got into trouble has the story to tell.
  if (record.timeline.empty() || trouble_) record.timeline = Timeline();
}

std::vector<TimelineEntry> Sandbox::Timeline() { return TimelineOf(events(), started_, names_); }

std::vector<Event> Sandbox::Calls(Family family) const {
  std::vector<Event> calls;
  for (const Event& event : events()) {
    const bool wanted = event.kind == Event::Kind::kCall && event.family == family;
    if (wanted && !event.function.empty()) calls.push_back(event);
  }
  return calls;
}

std::vector<Process> Sandbox::Children() const {
  std::vector<Process> children;
  for (const Event& event : events()) {
    if (event.kind != Event::Kind::kStart) continue;
    const Process& process = observer_->process(event.pid);
    if (!process.helper) children.push_back(process);
  }
  return children;
}

Ending Sandbox::EndingOf(const Process& helper) const {
  const int status = helper.status.value_or(0);
  if (!helper.load_error.empty()) {
    return {Ending::Kind::kLoadError, 0, "cannot be loaded: " + helper.load_error};
  }
  const StudentCall* const open = OpenCall(helper.calls);
  const std::string inside = open == nullptr ? "" : " inside " + open->function + "()";
  if (WIFSIGNALED(status)) {
    return {Ending::Kind::kKilled, WTERMSIG(status), "was " + DescribeStatus(status) + inside};
  }
  if (!helper.done) {
    const std::string where = helper.ready ? inside : " while the submission was being loaded";
    return {Ending::Kind::kEndedEarly, WEXITSTATUS(status),
            "ended early: it " + DescribeStatus(status) + where};
  }
  return {Ending::Kind::kExited, WEXITSTATUS(status), DescribeStatus(status)};
}

Ending Helper::Wait() {
  const auto trouble = box_->WaitFor([&] { return !process().alive; });
  if (trouble) return *trouble;
  Sandbox::Output& output = box_->outputs_.at(pid_);
  box_->Drain(*output.out);
  box_->Drain(*output.err);
  const Ending ending = box_->EndingOf(process());
  CheckRecord& record = Session::Get().check;
  if (record.verdict.empty() && ending.kind != Ending::Kind::kExited) {
    record.verdict = VerdictName(ending.kind);
  }
  return ending;
}

bool Helper::WaitUntilBlockedIn(const std::vector<Family>& families) {
  const auto blocked = [&] {
    const std::set<pid_t> held = box_->observer_->AllHeld();
    for (const pid_t tid : ThreadsOf(pid_)) {
      const std::optional<Status> status = ReadStatus(tid);
      const std::optional<Blocked> call = BlockedCall(tid);
      if (!call || !status || status->state != 'S' || held.count(tid) != 0) continue;
      const Family family = FamilyOf(call->call);
      if (std::find(families.begin(), families.end(), family) != families.end()) return true;
    }
    return false;
  };
  const auto trouble = box_->WaitFor([&] { return blocked() || !process().alive; });
  if (!trouble && process().alive) return true;
  const std::string what = trouble ? trouble->text : box_->EndingOf(process()).text;
  box_->failure_ =
      Capitalized("the process was expected to sleep in " + MayBeListed(families) + "; it " + what);
  return false;
}

void Helper::Signal(int signal) {
  if (kill(pid_, signal) == -1 && errno != ESRCH) throw SystemError(errno, "kill");
}

const Process& Helper::process() const { return box_->observer_->process(pid_); }
const std::string& Helper::output() const { return box_->outputs_.at(pid_).out->text; }
const std::string& Helper::errors() const { return box_->outputs_.at(pid_).err->text; }

StudentCall Helper::call(std::size_t n) const {
  return n < process().calls.size() ? process().calls[n] : StudentCall();
}

StudentCall Helper::call(std::string_view function) const {
  const auto& calls = process().calls;
  const auto found = std::find_if(calls.rbegin(), calls.rend(), [&](const StudentCall& call) {
    return call.function == function;
  });
  return found == calls.rend() ? StudentCall() : *found;
}

std::int64_t Helper::Reported(const std::string& key, std::int64_t fallback) const {
  const auto found = process().reports.find(key);
  if (found == process().reports.end() || !found->second.is_number_integer()) return fallback;
  return found->second.get<std::int64_t>();
}

std::string Helper::ReportedBytes(const std::string& key) const {
  const auto found = process().reports.find(key);
  if (found == process().reports.end() || !found->second.is_binary()) return "";
  const auto& bytes = found->second.get_binary();
  return std::string(bytes.begin(), bytes.end());
}

std::vector<std::string> Helper::Leftovers() const {
  if (!process().begin || !process().end) return {};
  return ipclab::Leftovers(*process().begin, *process().end, box_->names_);
}

}  // namespace ipclab
