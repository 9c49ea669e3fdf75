// For exercise shm.3: a writer and a reader, and how to bring them into an order.
//
//   Passing passing(box);                        // Has called line_create.
//   Helper reader = passing.Reader();
//   Helper writer = passing.Writer("one\ntwo\nend\n");
//   EXPECT_TRUE(GoesStepByStep(box, writer));

#ifndef IPCLAB_GRADERS_SHM_LINE_H_
#define IPCLAB_GRADERS_SHM_LINE_H_

#include <string>
#include <vector>

#include "graders/shm/expectations.h"

namespace ipclab {

// A line under a key of its own, made by the student's line_create.
class Passing {
 public:
  explicit Passing(Sandbox& box);

  key_t key() const { return key_; }
  // Processes that call line_read, to their standard output, and line_write, from their standard
  // input. They have a handler for SIGUSR1.
  Helper Reader();
  Helper Writer(const std::string& input);
  // Calls line_remove in a process of its own.
  void Remove();

 private:
  Sandbox& box_;
  const key_t key_;
};

// Has watched what a writer and a reader may wait in.
SandboxOptions WatchesWakers(std::vector<Family> more = {});

// Holds the helper after each of its calls in which processes wait for each other or wake each
// other, until nobody else moves any more: whoever may go on then, has.
[[nodiscard]] testing::AssertionResult GoesStepByStep(Sandbox& box, const Helper& helper);

// Holds the reader's next write, when it is about to use a text.
int HoldWrite(Sandbox& box, const Helper& reader);

// All System V objects and all names of the box, by name; and those whose mode is not 0600.
std::vector<std::string> AllObjects(const Sandbox& box);
std::vector<std::string> OpenToOthers(const Sandbox& box);

MATCHER(IsForItsUserAlone, "all objects have the mode 0600") {
  for (const std::string& line : arg) *result_listener << "\n  " << line;
  return arg.empty();
}

// Lines of random letters, each with its newline: some empty, none of them "end".
std::vector<std::string> RandomLines(std::size_t n, std::size_t most);
std::string Joined(const std::vector<std::string>& lines);

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_SHM_LINE_H_
