// Divides the checks of a lab among graders that run side by side, and puts together what they
// found.
//
//   const std::vector<Share> shares = ShareOut(rubric, wanted, 2);
//   ... one grader and one ResultsReader for each share ...
//   const LabResult lab = PutTogether(rubric, shares, std::move(parts));

#ifndef IPCLAB_COMMON_CLI_SHARES_H_
#define IPCLAB_COMMON_CLI_SHARES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "common/grading/result.h"
#include "common/grading/rubric.h"

namespace ipclab {

using Share = std::vector<std::string>;  // Ids of checks; never empty.

// At most `count` (1 or more) shares of about equal size that hold each of the `wanted` checks
// once; all checks if none is named. An exercise stays whole, since its checks may say "after" of
// each other.
std::vector<Share> ShareOut(const Rubric& rubric, const std::vector<std::string>& wanted,
                            std::size_t count);

// In the rubric's order, however the graders ran. A part that could not be graded, a check
// without exactly one result, or no check at all makes the whole an error without points. `parts`
// match `shares`.
LabResult PutTogether(const Rubric& rubric, const std::vector<Share>& shares,
                      std::vector<LabResult> parts);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_SHARES_H_
