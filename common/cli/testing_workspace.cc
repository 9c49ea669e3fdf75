#include "common/cli/testing_workspace.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/error.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

std::string Required(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) throw GraderError(std::string(name) + " is not set");
  return fs::absolute(value);
}

// Appends one read(2) to `text`; false at the end of the file.
bool ReadSome(int fd, std::string& text) {
  char buffer[4096];
  const ssize_t size = Check(read(fd, buffer, sizeof(buffer)), "read");
  text.append(buffer, static_cast<std::size_t>(size));
  return size > 0;
}

constexpr char kRubric[] = R"({"lab": "LAB", "exercises": [
  {"id": "LAB.1", "name": "one", "points": 10, "title": "Exercise", "title_zh": "练习", "checks": [
    {"id": "A.One", "points": 5, "proves": "Check A.One", "proves_zh": "检查一"},
    {"id": "A.Two", "points": 5, "proves": "Check A.Two", "proves_zh": "检查二"}]}]})";

std::string WithLab(std::string text, const std::string& lab) {
  for (std::size_t at = 0; (at = text.find("LAB", at)) != std::string::npos;) {
    text.replace(at, 3, lab);
  }
  return text;
}

}  // namespace

RunningLab::~RunningLab() {
  if (pid_ == -1) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void RunningLab::WaitForError(const std::string& text) {
  while (run_.err.find(text) == std::string::npos) {
    if (!ReadSome(err_.get(), run_.err)) {
      ADD_FAILURE() << "no '" << text << "' in: " << run_.err;
      return;
    }
  }
}

LabRun RunningLab::Finish() {
  // Neither output comes near to filling a pipe in these tests.
  while (ReadSome(err_.get(), run_.err)) {
  }
  while (ReadSome(out_.get(), run_.out)) {
  }
  int status = 0;
  Check(waitpid(pid_, &status, 0), "waitpid");
  pid_ = -1;
  run_.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return run_;
}

TestingWorkspace::TestingWorkspace(const std::vector<std::string>& labs) {
  std::string name = testing::TempDir() + "lab.XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw SystemError(errno, "mkdtemp " + name);
  root_ = fs::canonical(name);
  for (const std::string& lab : labs) {
    Write("labs/" + lab + "/" + lab + ".h", "extern \"C\" int answer();\n");
    Write("labs/" + lab + "/" + lab + ".cc",
          "#include \"" + lab + ".h\"\nint answer() { return 42; }\n");
    Write("graders/" + lab + "/exports.txt", "answer\n");
    Write("graders/" + lab + "/rubric.json", WithLab(kRubric, lab));
    fs::copy_file(Required("FAKE_GRADER"), root_ / "graders" / lab / (lab + "_grader"));
  }
}

TestingWorkspace::~TestingWorkspace() {
  std::error_code error;
  fs::remove_all(root_, error);
}

void TestingWorkspace::Write(const std::string& path, const std::string& text) const {
  fs::create_directories((root_ / path).parent_path());
  std::ofstream file(root_ / path);
  file << text;
  if (!file.flush()) throw GraderError("cannot write " + path);
}

std::string TestingWorkspace::Read(const std::string& path) const {
  std::ostringstream text;
  text << std::ifstream(root_ / path).rdbuf();
  return text.str();
}

RunningLab TestingWorkspace::Start(const std::vector<std::string>& arguments) const {
  const std::string program = Required("LAB");
  const std::string folder_path = root_ / folder;
  std::vector<std::string> variables = {"IPCLAB_WORKSPACE=" + root_.string(),
                                        "IPCLAB_BIN=" + root_.string(), "PATH=/usr/bin:/bin",
                                        "SECRET=leaked"};
  for (const auto& [key, value] : environment) variables.push_back(key + "=" + value);
  std::vector<char*> argv = {const_cast<char*>("lab")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& variable : variables) envp.push_back(const_cast<char*>(variable.c_str()));
  envp.push_back(nullptr);

  PipeEnds out = MakePipe();
  PipeEnds err = MakePipe();
  const pid_t pid = Check(fork(), "fork");
  if (pid == 0) {
    // Standard input is closed: nothing here may need it.
    close(STDIN_FILENO);
    if (dup2(out.write.get(), STDOUT_FILENO) == -1 || dup2(err.write.get(), STDERR_FILENO) == -1 ||
        chdir(folder_path.c_str()) == -1) {
      _exit(126);
    }
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  return RunningLab(pid, std::move(out.read), std::move(err.read));
}

}  // namespace ipclab
