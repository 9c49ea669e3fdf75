// Matchers in the words of the field, for what a check saw.
//
//   EXPECT_THAT(helper.Wait(), Exited(0));
//   EXPECT_THAT(helper.call("my_pclose"), FailedWith(ECHILD));
//   EXPECT_THAT(box, CarriedByPipe(bytes.size()));
//   EXPECT_THAT(helper.Leftovers(), NothingLeftBehind());
//   EXPECT_THAT(output, SameBytesAs(bytes));
//
// Each says in one phrase what was expected and in another what was seen.

#ifndef IPCLAB_COMMON_GRADING_MATCHERS_H_
#define IPCLAB_COMMON_GRADING_MATCHERS_H_

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "common/base/names.h"
#include "common/grading/sandbox.h"

namespace ipclab {

// "send_to_child() returned -1 with EMFILE"; "send_to_child() did not return".
std::string DescribeCall(const StudentCall& call);

// The first difference: "5000 bytes, but byte 17 is 0x00 instead of 0x41".
std::string DescribeDifference(std::string_view want, std::string_view got);

// Bytes that went into pipes of the box itself, by the trace of write and splice calls.
std::int64_t BytesWrittenToPipes(const Sandbox& box);

inline void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.text; }
inline void PrintTo(const StudentCall& call, std::ostream* out) { *out << DescribeCall(call); }
inline void PrintTo(const Sandbox&, std::ostream* out) { *out << "the box"; }

MATCHER_P(Exited, code, "the calling process ends with code " + std::to_string(code)) {
  return arg.kind == Ending::Kind::kExited && arg.code == code;
}

MATCHER_P(KilledBy, signal, "the calling process is killed by " + SignalName(signal)) {
  return arg.kind == Ending::Kind::kKilled && arg.code == signal;
}

MATCHER_P(Returned, value, "it returns " + std::to_string(value)) {
  return arg.returned && arg.value == static_cast<std::int64_t>(value);
}

MATCHER_P(FailedWith, error, "it returns -1 with " + ErrnoName(error)) {
  return arg.returned && arg.value == -1 && arg.error == error;
}

MATCHER_P(CarriedByPipe, bytes,
          "at least " + std::to_string(bytes) + " bytes cross a pipe of the box") {
  const std::int64_t seen = BytesWrittenToPipes(arg);
  *result_listener << seen << " bytes were written to pipes";
  return seen >= static_cast<std::int64_t>(bytes);
}

MATCHER(NothingLeftBehind, "nothing is left behind") {
  for (const std::string& leftover : arg) *result_listener << "\n  left behind: " << leftover;
  return arg.empty();
}

MATCHER_P(SameBytesAs, want, "exactly the bytes that were sent") {
  const std::string_view got = arg;
  if (got == std::string_view(want)) return true;
  *result_listener << DescribeDifference(want, got);
  return false;
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_GRADING_MATCHERS_H_
