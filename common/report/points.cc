#include "common/report/points.h"

#include <algorithm>
#include <cmath>

namespace ipclab {
namespace {

constexpr long kLargestFactor = 60;
// Larger than what adding doubles can be off, smaller than any part of a point.
constexpr double kTolerance = 1e-6;

bool IsWhole(double value) { return std::abs(value - std::round(value)) < kTolerance; }

}  // namespace

WholePoints::WholePoints(const std::vector<CheckResult>& checks) {
  for (factor_ = 1; factor_ <= kLargestFactor; ++factor_) {
    const auto whole = [&](const CheckResult& check) {
      return IsWhole(check.points * static_cast<double>(factor_)) &&
             IsWhole(check.max_points * static_cast<double>(factor_));
    };
    if (std::all_of(checks.begin(), checks.end(), whole)) return;
  }
  factor_ = 100;
}

long WholePoints::Of(double points) const {
  return static_cast<long>(std::floor(points * static_cast<double>(factor_) + kTolerance));
}

double InHundredths(double points, double max_points) {
  const double full = std::round(max_points * 100);
  if (points >= max_points - kTolerance) return full / 100;
  return std::min(std::floor(points * 100 + kTolerance), full - 1) / 100;
}

std::vector<double> InEighths(const std::vector<CheckResult>& checks) {
  std::vector<double> parts;
  double sum = 0;
  double given = 0;
  for (const CheckResult& check : checks) {
    sum += check.points;
    const double now = std::floor(sum * 8 + kTolerance) / 8;
    parts.push_back(now - given);
    given = now;
  }
  const auto passed = [](const CheckResult& check) { return check.points >= check.max_points; };
  if (!parts.empty() && std::all_of(checks.begin(), checks.end(), passed)) {
    parts.back() += MaxInEighths(checks) - given;
  }
  return parts;
}

double MaxInEighths(const std::vector<CheckResult>& checks) {
  double sum = 0;
  for (const CheckResult& check : checks) sum += check.max_points;
  return std::ceil(sum * 8 - kTolerance) / 8;
}

}  // namespace ipclab
