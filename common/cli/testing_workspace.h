// A scratch workspace with labs whose grader is testdata/fake_grader.sh, or another that the test
// names in FAKE_GRADER, and the `lab` program in it.
//
//   TestingWorkspace workspace({"half", "crash"});
//   const LabRun run = workspace.Lab({"grade", "half"});
//   EXPECT_EQ(run.status, 0);

#ifndef IPCLAB_COMMON_CLI_TESTING_WORKSPACE_H_
#define IPCLAB_COMMON_CLI_TESTING_WORKSPACE_H_

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/fd.h"

namespace ipclab {

struct LabRun {
  int status = -1;  // The exit status, or the number of the signal below 0.
  std::string out;
  std::string err;
};

// A `lab` that is still running.
class RunningLab {
 public:
  RunningLab(pid_t pid, Fd out, Fd err) : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}
  ~RunningLab();
  RunningLab(const RunningLab&) = delete;
  RunningLab& operator=(const RunningLab&) = delete;

  pid_t pid() const { return pid_; }
  // Reads standard error until `text` is in it; fails the test at its end.
  void WaitForError(const std::string& text);
  LabRun Finish();

 private:
  pid_t pid_;
  Fd out_;
  Fd err_;
  LabRun run_;
};

class TestingWorkspace {
 public:
  // The program and the fake grader come from the environment of the test: LAB and FAKE_GRADER.
  explicit TestingWorkspace(const std::vector<std::string>& labs);
  ~TestingWorkspace();
  TestingWorkspace(const TestingWorkspace&) = delete;
  TestingWorkspace& operator=(const TestingWorkspace&) = delete;

  const std::filesystem::path& root() const { return root_; }
  void Write(const std::string& path, const std::string& text) const;
  std::string Read(const std::string& path) const;

  // Where `lab` runs, relative to the root; and what it finds in its environment.
  std::string folder = ".";
  std::map<std::string, std::string> environment;

  RunningLab Start(const std::vector<std::string>& arguments) const;
  LabRun Lab(const std::vector<std::string>& arguments) const { return Start(arguments).Finish(); }

 private:
  std::filesystem::path root_;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_TESTING_WORKSPACE_H_
