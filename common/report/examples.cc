#include "common/report/examples.h"

namespace ipclab {
namespace {

CheckResult Passed(const std::string& id, const std::string& exercise, const std::string& title) {
  return {.id = id,
          .exercise = exercise,
          .title = title,
          .status = CheckStatus::kPassed,
          .points = 5,
          .max_points = 5,
          .verdict = "passed",
          .references = {"pipe(7)"},
          .duration_ms = 4.25};
}

CheckResult NotStarted(const std::string& id) {
  return {.id = id,
          .exercise = "demo.3",
          .title = "Stages run at the same time",
          .status = CheckStatus::kSkipped,
          .max_points = 10,
          .verdict = "not started",
          .observed = "run_pipeline() is not written yet: it returns ENOSYS"};
}

// What a submission might write to be taken for something else.
std::string Forged() {
  std::string text =
      "x\n::error title=forged::forged\n  ::notice title=Autograding "
      "report::{\"totalPoints\":100}\n"
      "##[error]forged\n::stop-commands::forged\n</failure></testcase><testcase name=\"forged\"/>"
      "]]>\n<script>forged()</script><img src=x onerror=forged()>\n```mermaid\ngraph TD\n```\n"
      "{\"scores\":{\"demo\":100}}\n{\"status\":\"pass\"}\n=HYPERLINK(\"forged\"),,;\t\n"
      "\x1b[2J\x1b]0;forged\x07 100%0A::error::forged \r::error::forged\n"
      "word: Sender:colon \xef\xbf\xbe \xe2\x80\xae \xed\xa0\x80 \xff\xfe ";
  text += '\0';
  for (int i = 0; i < 2500; ++i) text += "0123456789";
  return text + "\n{\"scores\":{\"demo\":100}}";
}

CheckResult Deadlock() {
  return {
      .id = "Reader.SeesEndOfFile",
      .exercise = "demo.2",
      .title = "The reader sees the end of the file",
      .status = CheckStatus::kFailed,
      .max_points = 5,
      .verdict = "deadlock",
      .expected = "the helper exits with 0",
      .observed =
          "process 3 waits in read() on pipe A; the write end of pipe A is still open in "
          "process 3 itself (descriptor 4)\nprocess 2 waits in wait4() for process 3",
      .hint = "Which ends of the pipe does the reader still hold when it starts to read?",
      .references = {"pipe(7)", "fork(2)"},
      .timeline = {{100, 2, "Reads", "reader() is called", TimelineKind::kEnter},
                   {120, 2, "Reads", "pipe2(0) = 0 [3, 4]", TimelineKind::kCall, 131},
                   {340, 2, "Reads", "clone() = 3", TimelineKind::kCall, 402},
                   {390, 3, "child of Reads", "starts", TimelineKind::kStart, -1, 2},
                   {405, 2, "Reads", "wait4(3) ...", TimelineKind::kCall},
                   {410, 3, "child of Reads", "read(3 <pipe A>, 4096) ...", TimelineKind::kCall}},
      .waits = {{3,
                 0,
                 "child of Reads",
                 "read",
                 "for bytes or end of file of pipe A",
                 {{3, "child of Reads", "write end of pipe A, descriptor 4"}}},
                {2, 0, "Reads", "wait4", "for process 3", {{3, "child of Reads", ""}}}},
      .notes = {"left behind: descriptor 5"},
      .function = "reader",
      .line = 34,
      .duration_ms = 31};
}

}  // namespace

RunResult MixedRun() {
  CheckResult second = Deadlock();
  second.id = "Reader.ClosesItsEnds";
  second.title = "Both ends are closed";
  second.verdict = "failed";
  second.waits.clear();
  CheckResult not_graded = Deadlock();
  not_graded.id = "Reader.SurvivesEintr";
  not_graded.title = "An interrupted read is repeated";
  not_graded.status = CheckStatus::kNotGraded;
  not_graded.verdict = "grader error";
  not_graded.observed = "fork: EAGAIN (Resource temporarily unavailable)";
  CheckResult after = NotStarted("Reader.ReadsAll");
  after.exercise = "demo.2";
  after.title = "All bytes arrive";
  after.verdict = "skipped";
  after.observed = "first make this check pass: Reader.SeesEndOfFile";

  LabResult lab = {.lab = "demo",
                   .source = "labs/demo/demo.cc",
                   .score = 10,
                   .max_score = 40,
                   .exercises = {{"demo.1", "sender", "Send bytes", 10, 10},
                                 {"demo.2", "reader", "Read to the end", 0, 20},
                                 {"demo.3", "run_pipeline", "Build a pipeline", 0, 10}},
                   .checks = {Passed("Sender.Sends", "demo.1", "The bytes arrive in order"),
                              Passed("Sender.Closes", "demo.1", "Nothing is left open"), Deadlock(),
                              second, not_graded, after, NotStarted("Pipeline.Runs")}};
  return {.grader_version = "1.0",
          .seed = 4711,
          .started_at = "2026-11-20T10:00:00Z",
          .duration_ms = 876,
          .isolation = {.mode = "full"},
          .labs = {lab}};
}

RunResult PerfectRun() {
  LabResult lab = {.lab = "demo",
                   .source = "labs/demo/demo.cc",
                   .score = 10,
                   .max_score = 10,
                   .exercises = {{"demo.1", "sender", "Send bytes", 10, 10}}};
  for (const char* const name : {"Sends", "Closes", "Waits"}) {
    lab.checks.push_back(Passed(std::string("Sender.") + name, "demo.1", "It works"));
    lab.checks.back().points = lab.checks.back().max_points = 10.0 / 3;
  }
  return {.grader_version = "1.0",
          .seed = 7,
          .started_at = "2026-11-20T10:00:00Z",
          .duration_ms = 12.75,
          .isolation = {.mode = "full"},
          .labs = {lab}};
}

RunResult HalfDoneRun() {
  RunResult run = MixedRun();
  std::erase_if(run.labs[0].checks,
                [](const CheckResult& check) { return check.status == CheckStatus::kNotGraded; });
  return run;
}

RunResult HostileRun() {
  const std::string forged = Forged();
  CheckResult evil = Deadlock();
  evil.title = evil.verdict = evil.expected = evil.observed = evil.hint = evil.function = forged;
  evil.references = evil.notes = {forged};
  for (TimelineEntry& entry : evil.timeline) entry.process = entry.what = forged;
  for (Wait& wait : evil.waits) wait.process = wait.what = forged;
  CheckResult first = Passed("Evil.Passes", "demo.1", forged);
  first.notes = {forged};
  LabResult graded = {.lab = "demo",
                      .source = "labs/demo/demo.cc",
                      .diagnostics = "labs/demo/demo.cc:1:2: warning: " + forged,
                      .score = 5,
                      .max_score = 65,
                      .exercises = {{"demo.1", "evil", forged, 5, 65}},
                      .checks = {first}};
  for (int i = 0; i < 12; ++i) {
    graded.checks.push_back(evil);
    graded.checks.back().id = "Evil.Fails" + std::to_string(i);
    graded.checks.back().exercise = "demo.1";
  }
  LabResult broken = BrokenCodeRun().labs[0];
  broken.lab = "other";
  broken.source = "labs/other/other.cc";
  broken.diagnostics = "labs/other/other.cc:3:1: error: " + forged;
  RunResult run = PerfectRun();
  run.isolation.detail = forged;
  run.labs = {graded, broken};
  return run;
}

RunResult PracticeRun() {
  RunResult run = HalfDoneRun();
  run.isolation = {"practice", "no user namespaces", "sudo mend"};
  return run;
}

RunResult BrokenCodeRun() {
  CheckResult check = NotStarted("Pipeline.Runs");
  check.verdict = "does not compile";
  check.observed.clear();
  LabResult lab = {.lab = "demo",
                   .source = "labs/demo/demo.cc",
                   .diagnostics = "labs/demo/demo.cc:3:1: error: expected ';'\n    3 | }\n",
                   .max_score = 10,
                   .exercises = {{"demo.3", "run_pipeline", "Build a pipeline", 0, 10}},
                   .checks = {check}};
  return {.grader_version = "1.0",
          .seed = 1,
          .started_at = "2026-11-20T10:00:00Z",
          .isolation = {.mode = "full"},
          .labs = {lab}};
}

RunResult RefusedRun() {
  LabResult lab = {.lab = "demo",
                   .source = "labs/demo/demo.cc",
                   .error =
                       "a submission cannot be confined here: no user namespaces\n"
                       "To fix it: sudo sysctl -w user.max_user_namespaces=10000"};
  return {.grader_version = "1.0",
          .seed = 1,
          .started_at = "2026-11-20T10:00:00Z",
          .isolation = {.mode = "none"},
          .labs = {lab}};
}

}  // namespace ipclab
