#include "common/grading/matchers.h"

#include <algorithm>
#include <cstdio>

#include "common/base/text.h"

namespace ipclab {

std::string DescribeCall(const StudentCall& call) {
  if (call.function.empty()) return "the function was never called";
  if (!call.returned) return call.function + "() did not return";
  std::string text = call.function + "() returned " + std::to_string(call.value);
  if (call.value == -1) text += " with " + ErrnoName(call.error);
  return text;
}

std::string DescribeDifference(std::string_view want, std::string_view got) {
  const auto [w, g] = std::mismatch(want.begin(), want.end(), got.begin(), got.end());
  const auto at = w - want.begin();
  std::string text = Count(static_cast<long long>(got.size()), "byte") + " arrived of " +
                     std::to_string(want.size());
  if (w != want.end() && g != got.end()) {
    char values[80];
    std::snprintf(values, sizeof(values), "; byte %td is 0x%02x instead of 0x%02x", at,
                  static_cast<unsigned char>(*g), static_cast<unsigned char>(*w));
    text += values;
  } else if (g != got.end()) {
    text += "; behind the right ones come " +
            Count(static_cast<long long>(got.size() - want.size()), "byte") + " too many: \"" +
            Printable(got.substr(want.size()), 40) + "\"";
  } else if (at == 0) {
    text += "";
  } else {
    text += "; what arrived is right as far as it goes";
  }
  return text;
}

std::int64_t BytesWrittenToPipes(const Sandbox& box) {
  std::int64_t bytes = 0;
  for (const Event& event : box.events()) {
    const bool moves = event.family == Family::kWrite || event.family == Family::kSplice;
    const bool pipe = event.target.starts_with("pipe:") || event.target.starts_with("socket:");
    if (moves && pipe && event.Succeeded() && !box.IsOurs(event.target)) bytes += *event.result;
  }
  return bytes;
}

}  // namespace ipclab
