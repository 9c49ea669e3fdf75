// Which system calls a submission may make, and which the tracer is shown.
//
//   const std::string filter = BuildFilter(CallsOf({Family::kPipe, Family::kFork}));
//   ...in the helper, as its last trusted act:
//   InstallFilter(filter);
//
// One filter per process, never two: with stacked filters an errno answer of one would hide the
// event from the other. seccomp(2), libseccomp.

#ifndef IPCLAB_COMMON_SANDBOX_POLICY_H_
#define IPCLAB_COMMON_SANDBOX_POLICY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

// The filter as an array of sock_filter. `watched` calls go to the tracer. Throws GraderError.
std::string BuildFilter(const std::vector<int>& watched);

// Sets no_new_privs and installs `filter` in the calling thread. False with errno on failure.
bool InstallFilter(std::string_view filter);

// For a call that the filter handed over as kJudged or kWatched: the errno that refuses it, or
// nothing if it may go on. Looks at scalar arguments only, which no other thread can change.
std::optional<int> Judge(long number, const std::array<std::uint64_t, 6>& args);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_POLICY_H_
