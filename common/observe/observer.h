// Watches all processes of one box: a trace of their watched calls, what each of them owns at the
// marked moments, and rules that fail, shorten or hold calls.
//
//   Observer observer(box.stage(), {.marker_address = box.marker_address(), .judge = &Judge});
//   const int rule = observer.AddRule({.family = Family::kPipe, .nth = 2, .answer = -EMFILE});
//   ...
//   observer.events(), observer.processes(), observer.Held(rule)
//
// Callbacks run inside Loop::RunUntil, so nothing changes between two waits.

#ifndef IPCLAB_COMMON_OBSERVE_OBSERVER_H_
#define IPCLAB_COMMON_OBSERVE_OBSERVER_H_

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/observe/alarm_clock.h"
#include "common/observe/process.h"
#include "common/observe/stores.h"
#include "common/observe/trace.h"
#include "common/observe/tracer.h"

namespace ipclab {

// What to do with some of the watched calls. The first rule that matches and has an effect wins.
struct Rule {
  Family family = Family::kNone;
  int nth = 1;                              // Which matching call, from 1; 0 for every one.
  std::function<bool(const Event&)> where;  // More conditions; by default, inside a student's call.
  bool hold = false;
  // With hold: as if the call had not begun, so that a signal that comes meanwhile is handled
  // before it. That forces the order in which a check-then-wait loses its wake-up.
  bool before = false;
  // With hold: at the exit of the call, with its work done and its caller not yet told.
  bool after = false;
  std::optional<long> answer;            // The call is not made; this is its result (-errno).
  std::optional<std::uint64_t> at_most;  // Shortens a read or write to so many bytes.
};

class Observer : public TaskListener {
 public:
  struct Options {
    std::uint64_t marker_address = 0;
    // The errno that refuses a call, or nothing. From common/sandbox/policy.h.
    std::function<std::optional<int>(long, const std::array<std::uint64_t, 6>&)> judge;
    std::size_t max_events = 200'000;
    std::size_t max_processes = 64;
    // Of the memfd in which the submission counts its lines, or 0: what it stores there is not its
    // author's doing.
    std::uint64_t counters_inode = 0;
  };

  // Seizes the stage. Throws GraderError if it may not be traced.
  Observer(pid_t stage, Options options);
  // Kills all processes of the box.
  ~Observer() override;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // A helper stands still before its body until this is called, so that rules made after its start
  // hold from its first call on.
  void LetHelpersGo();

  // The next process that the stage forks is a helper of this name.
  void ExpectHelper(const std::string& role) { expected_role_ = role; }

  int AddRule(Rule rule);
  // Threads that the rule holds at the entry of a call.
  std::set<pid_t> Held(int rule) const;
  std::set<pid_t> AllHeld() const;
  void Release(int rule);
  // Runs the next call of `function` by the process one instruction at a time, and holds it before
  // each instruction that changes memory which it shares with others: Held() and Release() as for
  // any rule, and after each release it comes to the next store. Only a store that nobody else can
  // have made counts: other processes of the box have to sleep, or to be held, meanwhile. Memory
  // that is mapped in the function counts if Family::kMap is watched.
  int HoldAtStores(pid_t pid, const std::string& function);
  // No holding and no stepping any more. That is also so after very many instructions.
  void LetRun(int rule);
  // Processor time of processes that it took to run them one instruction at a time.
  std::map<pid_t, std::chrono::nanoseconds> TimeInSteps() const;
  // How many calls the rule has matched so far.
  int Matches(int rule) const { return rules_.at(static_cast<std::size_t>(rule)).matches; }

  const std::vector<Event>& events() const { return events_; }
  // By outer pid, those that have ended too. Never the stage.
  const std::map<pid_t, Process>& processes() const { return processes_; }
  const Process& process(pid_t pid) const { return processes_.at(pid); }
  std::vector<pid_t> LivingProcesses() const;
  // "called send_to_child", "child of send_to_child", "cat, child of run_pipeline".
  std::string NameOf(pid_t pid) const;
  // Processes with an armed timer that may wake them.
  const std::set<pid_t>& armed() const { return armed_; }
  // What threads in restart_syscall(2) go on with; see World in deadlock.h.
  const std::map<pid_t, Blocked>& resumed() const { return resumed_; }
  // Why the box must be stopped: "more than 64 processes"; empty if it need not.
  const std::string& limit() const { return limit_; }
  pid_t stage() const { return stage_; }

 private:
  struct Standing {
    Rule rule;
    int matches = 0;
    std::set<pid_t> held;
  };

  // A call that runs one instruction at a time.
  struct Stepped {
    int rule;
    SharedMemory memory;
    std::vector<TaskSample> others;  // What other threads did when the memory was looked at.
    std::chrono::nanoseconds begun;  // Its process's processor time.
    int steps = 0;
    bool released = false;  // The next instruction is the store that it was held before.
  };
  // A call that will.
  struct ToStep {
    pid_t pid;
    std::string function;
    int rule;
  };

  Entry OnEntry(pid_t tid, const CallInfo& call) override;
  bool OnExit(pid_t tid, long result) override;
  void OnRepeat(pid_t tid) override;
  void OnNewTask(pid_t parent_tid, pid_t child_tid) override;
  void OnExec(pid_t tid, pid_t former_tid) override;
  void OnSignal(pid_t tid, const siginfo_t& info, const std::optional<Blocked>& resumed) override;
  bool OnStep(pid_t tid, bool whole) override;
  void OnEnding(pid_t tid) override;
  void OnEnded(pid_t tid, int status) override;

  Entry OnMarker(pid_t tid, const CallInfo& call);
  void OnLeave(Process& process, const std::string& data);
  void OnReport(Process& process, const std::string& data);
  Entry Apply(const Event& event, std::size_t index);
  std::optional<std::size_t> Continued(pid_t tid, const CallInfo& call);
  void NoteArmed(pid_t pid);
  void BeginStepping(pid_t tid, const std::string& function);
  void EndStepping(pid_t tid);
  std::chrono::nanoseconds TimeInSteps(pid_t tid, const Stepped& stepped) const;
  std::vector<TaskSample> Others(pid_t tid) const;
  Process* Owner(pid_t tid);
  Process* HelperOf(Process& process);
  Event NewEvent(Event::Kind kind, pid_t tid);
  void Append(Event event);

  const pid_t stage_;
  const Options options_;
  std::string expected_role_;
  std::vector<Event> events_;
  std::map<pid_t, Process> processes_;
  std::map<pid_t, pid_t> process_of_;        // Of every living thread.
  std::map<pid_t, std::size_t> open_;        // The call a thread is in.
  std::map<pid_t, std::size_t> broken_off_;  // The call a signal took a thread out of.
  std::map<pid_t, std::size_t> left_;        // The call a thread left last, with EINTR.
  std::map<pid_t, std::size_t> leaving_;  // The rule that holds a thread at the exit of its call.
  std::vector<Standing> rules_;
  std::set<pid_t> armed_;
  std::map<pid_t, AlarmClock> clocks_;  // By process.
  std::set<pid_t> waiting_;             // Helpers before their body.
  std::map<pid_t, Blocked> resumed_;
  std::vector<ToStep> to_step_;
  std::map<pid_t, Stepped> stepped_;  // By thread.
  std::map<pid_t, std::chrono::nanoseconds> time_in_steps_;
  std::string limit_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_OBSERVER_H_
