// A check's view of its box.
//
//   TEST(SendToChild, DeliversBytesInOrder) {
//     Sandbox box;
//     const std::string bytes = RandomBytes(5000);
//
//     Helper sender = box.Start("SendsBytes", {{"bytes", Binary(bytes)}});
//
//     EXPECT_THAT(sender.Wait(), Exited(0));
//     EXPECT_EQ(sender.output(), bytes);
//     EXPECT_THAT(box, CarriedByPipe(bytes.size()));
//   }
//
// Errors of our own making throw GraderError: the check is then "not graded".

#ifndef IPCLAB_COMMON_GRADING_SANDBOX_H_
#define IPCLAB_COMMON_GRADING_SANDBOX_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/grading/ending.h"
#include "common/grading/session.h"
#include "common/observe/census_names.h"
#include "common/observe/census_sysv.h"
#include "common/observe/census_tree.h"
#include "common/observe/deadlock.h"
#include "common/observe/observer.h"
#include "common/sandbox/box.h"

namespace ipclab {

class Sandbox;

// What the stage answers, inside the box's namespaces.
std::string AnswerInside(std::string_view question);

// Bytes of any value as an argument of a helper.
nlohmann::json Binary(std::string_view bytes);

struct SandboxOptions {
  // Families of calls that the tracer is shown, beside fork, exec, timers and exit. Each costs
  // about 10 us a call, so a check that moves much data watches few.
  std::vector<Family> watch;
  bool shell = false;        // /bin/sh in the box.
  bool skip_sleeps = false;  // sleep() returns at once, so no order can be bought with it.
};

// One process that runs a HELPER. A handle: copies mean the same helper, and it may not outlive its
// Sandbox.
class Helper {
 public:
  // Serves the box until the helper has ended or never will.
  Ending Wait();

  // True once the helper, or a process it started, sleeps in a call of one of `families`; false,
  // with the reason in `box.failure()`, if that never comes.
  [[nodiscard]] bool WaitUntilBlockedIn(const std::vector<Family>& families);

  // Sends a signal to the helper, from outside; nothing happens if it has ended.
  void Signal(int signal);

  pid_t pid() const { return pid_; }
  const Process& process() const;
  // What it and its children wrote to their standard output and error so far.
  const std::string& output() const;
  const std::string& errors() const;

  // The n-th call of a student's function, from 0; a call that never came has returned = false.
  StudentCall call(std::size_t n = 0) const;
  // The last call of that function.
  StudentCall call(std::string_view function) const;

  // What the helper's body reported. Throws nothing: an absent key gives the fallback.
  std::int64_t Reported(const std::string& key, std::int64_t fallback = -9999) const;
  std::string ReportedBytes(const std::string& key) const;

  // What the helper holds at the end of its body that it did not hold before, by name.
  std::vector<std::string> Leftovers() const;

 private:
  friend class Sandbox;
  Helper(Sandbox* box, pid_t pid) : box_(box), pid_(pid) {}

  Sandbox* box_;
  pid_t pid_;
};

class Sandbox {
 public:
  explicit Sandbox(SandboxOptions options = {});
  // Ends the box and puts trace and leftovers into the check's record.
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  struct StartOptions {
    std::string input;             // Its standard input; empty for none.
    std::map<int, rlim_t> limits;  // By RLIMIT_ number.
  };
  // The helper stands still before its body until the check waits for something.
  Helper Start(const std::string& name, const nlohmann::json& args = nlohmann::json::object()) {
    return Start(name, args, StartOptions());
  }
  Helper Start(const std::string& name, const nlohmann::json& args, const StartOptions& options);

  // Arranges something for calls made inside a student's function; see Rule.
  int AddRule(Rule rule) { return observer_->AddRule(std::move(rule)); }
  // The n-th call of the family fails; n = 0: every one.
  int Fail(Family family, int error, int nth = 1);
  // Reads or writes move at most `bytes` at a time.
  int Shorten(Family family, std::uint64_t bytes);
  // The n-th call of the family is held at its entry until Release.
  int Hold(Family family, int nth = 1);
  // The same, but held as if the call had not begun: signals that come meanwhile are handled before
  // it. Who looks at a flag and then waits, without blocking the signal, waits in vain.
  int HoldBefore(Family family, int nth = 1);
  // The same at the exit of the call: a fork has made its child, but the parent does not know yet.
  int HoldAfter(Family family, int nth = 1);
  // Runs the helper's next call of `function` one instruction at a time and holds it before each
  // store to memory that it shares; Release lets it go on to the next store, LetRun to the end. See
  // observer.h for which stores count, and ReachesStore in steering.h.
  int HoldAtStores(const Helper& helper, const std::string& function) {
    return observer_->HoldAtStores(helper.pid(), function);
  }
  void LetRun(int rule) { observer_->LetRun(rule); }
  // False, with the reason in failure(), if nobody ever comes to the gate.
  [[nodiscard]] bool WaitUntilHeld(int rule);
  void Release(int rule) { observer_->Release(rule); }

  // Serves the box until `done` holds or cannot come true any more: an Ending then says why.
  std::optional<Ending> WaitFor(const std::function<bool()>& done);
  const std::string& failure() const { return failure_; }

  const Observer& observer() const { return *observer_; }
  const std::vector<Event>& events() const { return observer_->events(); }
  // The watched calls of a family that were made inside students' functions, by any process.
  std::vector<Event> Calls(Family family) const;
  // What is below /tmp, where helpers start, and in /dev/shm of the box: seen from outside.
  std::vector<TreeEntry> Names() const;
  // What a regular file below /tmp or /dev/shm of the box holds, seen from outside; nothing if
  // there is none. Relative paths are those of /tmp, where helpers start.
  std::optional<std::string> FileContents(const std::string& path) const;
  // The System V objects of the box, as its stage sees them. Nothing in practice mode, where they
  // would be those of the whole machine.
  std::vector<SysvObject> SysvObjects() const;
  // All processes that helpers started, living or not, in the order of their birth.
  std::vector<Process> Children() const;
  // The box as the deadlock proof takes it.
  World MakeWorld() const;
  Box& box() { return *box_; }
  ObjectNames& names() { return names_; }
  // Pipes of the grader itself: the other ends of the helpers' standard streams.
  bool IsOurs(const std::string& target) const { return served_.count(target) != 0; }
  std::vector<TimelineEntry> Timeline();

 private:
  friend class Helper;
  // One stream from the box; read whenever there is something.
  struct Stream {
    Fd read_end;
    std::string text;
    int source = -1;
  };
  struct Output {
    std::unique_ptr<Stream> out;
    std::unique_ptr<Stream> err;
  };

  static constexpr std::size_t kMaxOutput = 16 << 20;

  PipeEnds ServedPipe();
  std::unique_ptr<Stream> Collect(Fd read_end);
  void Drain(Stream& stream);
  std::optional<Ending> Trouble();
  Ending EndingOf(const Process& helper) const;
  Ending AllEnded() const;
  void Record();

  SandboxOptions options_;
  std::string filter_;
  std::unique_ptr<Box> box_;
  std::unique_ptr<Observer> observer_;
  std::map<pid_t, Output> outputs_;
  std::set<std::string> served_;
  mutable ObjectNames names_;
  std::optional<Ending> trouble_;
  std::size_t events_at_last_look_ = 0;
  bool asleep_at_last_look_ = false;
  bool flooded_ = false;
  std::string failure_;
  Clock::time_point started_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_SANDBOX_H_
