// Points for readers that want whole numbers, or no more digits than people read.
//
//   const WholePoints whole(lab.checks);     // points in steps of 0.5: a factor of 2
//   whole.Of(check.points)                   // 3 for 1.5
//
// In no rounding do points become more than they were or less than full points full, and a sum is
// the sum of its parts.

#ifndef IPCLAB_COMMON_REPORT_POINTS_H_
#define IPCLAB_COMMON_REPORT_POINTS_H_

#include <vector>

#include "common/grading/result.h"

namespace ipclab {

// All points times the smallest factor up to 60 that makes each of them whole, which is exact.
// Should there be none, hundredths of a point, rounded down.
class WholePoints {
 public:
  explicit WholePoints(const std::vector<CheckResult>& checks);

  long factor() const { return factor_; }
  long Of(double points) const;

 private:
  long factor_ = 1;
};

// `points` of `max_points` in hundredths, rounded down; all that can be had stays all.
double InHundredths(double points, double max_points);

// The points of each check, in eighths: sums of these have no rounding errors in any reader that
// adds them up as doubles. Together they are the sum of the points, rounded down to an eighth, or
// MaxInEighths() if every check passed.
std::vector<double> InEighths(const std::vector<CheckResult>& checks);

// What can be had, rounded up to an eighth.
double MaxInEighths(const std::vector<CheckResult>& checks);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_POINTS_H_
