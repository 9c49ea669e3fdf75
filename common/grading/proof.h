// Proves a grader: what it says of a submission must be what we expect.
//
//   const Run run = RunGrader(grader, submission, rubric, {"--seed=7"});
//   for (const std::string& fault : Contradictions(expectation, run)) puts(fault.c_str());

#ifndef IPCLAB_COMMON_GRADING_PROOF_H_
#define IPCLAB_COMMON_GRADING_PROOF_H_

#include <sys/resource.h>

#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/grading/rubric.h"

namespace ipclab {

struct Run {
  LabResult lab;
  std::uint64_t seed = 0;
  Isolation isolation;
  int status = 0;  // As from waitpid(2).
  rusage usage{};  // Of the grader itself. getrusage(2)
};

// Runs the grader to its end. Throws GraderError if it could not grade.
Run RunGrader(const std::string& grader, const std::string& submission, const std::string& rubric,
              const std::vector<std::string>& options);

// What must come out. For a mistake: exactly these checks fail, the first of which is meant for it.
struct Expectation {
  enum class Kind { kPerfect, kNothing, kCaught };
  Kind kind = Kind::kPerfect;
  std::vector<std::string> failing;
};

// The header lines of a patch: "What:", "Row:", "Caught-by:", "Also:". Throws GraderError that
// names what is missing.
Expectation ReadMistake(const std::string& patch_text);

// The checks to run for a mistake: all of the exercises that it names, for it is made in one of
// them, and there are too many mistakes to run each through a whole lab. Throws GraderError if the
// rubric has none of the named checks.
std::vector<std::string> ChecksFor(const Expectation& expectation, const Rubric& rubric);

// True if the check that is meant for the mistake failed, and every check was judged, none by the
// clock. The checks beside it may differ from run to run where the mistake is a race.
bool IsCaught(const Expectation& expectation, const Run& run);

std::vector<std::string> Contradictions(const Expectation& expectation, const Run& run);

// Messages that show a learner bytes of an object of the grader's, whatever the verdict.
std::vector<std::string> Illegible(const Run& run);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_PROOF_H_
