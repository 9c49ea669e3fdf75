// Main of tests that make boxes: the binary is also the stage and the programs of its boxes.
// IPCLAB_TEST_SUBMISSION names a shared object for them. The isolation is probed as ever, unless
// IPCLAB_TEST_PRACTICE asks for boxes without namespaces. With IPCLAB_TEST_COUNTERS the submission
// counts its lines in memory that all boxes share: in a memfd at that path, or in one of its own.

#include <gmock/gmock.h>
#include <sys/auxv.h>

#include <cstdlib>

#include "common/compile/coverage.h"
#include "common/grading/probe.h"
#include "common/grading/sandbox.h"
#include "common/grading/session.h"
#include "common/sandbox/helper.h"
#include "common/sandbox/stage.h"

namespace {

std::string Answer(std::string_view question) {
  if (question.starts_with("hello")) return "heard: " + std::string(question);
  return ipclab::AnswerInside(question);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace ipclab;
  if (IsStage()) RunStage(&Answer);
  const auto* const path = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (const ProgramBody program = FindProgram(path)) return program(argc, argv);

  testing::InitGoogleMock(&argc, argv);
  if (std::getenv("IPCLAB_TEST_PRACTICE") != nullptr) {
    Session::Get().confine = false;
  } else {
    const Isolation isolation = ProbeIsolation();
    std::printf("isolation: %s %s\n", isolation.mode.c_str(), isolation.detail.c_str());
  }
  if (const char* const submission = std::getenv("IPCLAB_TEST_SUBMISSION")) {
    Session::Get().submission = Fd(Check(open(submission, O_RDONLY | O_CLOEXEC), submission));
  }
  if (const char* const memory = std::getenv("IPCLAB_TEST_COUNTERS")) {
    Session::Get().counters =
        *memory == '\0' ? MakeCounters() : Fd(Check(open(memory, O_RDWR | O_CLOEXEC), memory));
  }
  return RUN_ALL_TESTS();
}
