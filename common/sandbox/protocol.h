// What grader, stage and helper say to each other.
//
// Grader and stage share one SOCK_SEQPACKET socket, the stage's descriptor 3:
//
//   stage  -> grader   Hello, with the kernel's word for the sender's pid (SCM_CREDENTIALS)
//   grader -> stage    'S' and descriptors {stdin, stdout, stderr, order}: fork a helper; a fifth
//                      one if the submission counts which of its lines run, see counters.h
//   grader -> stage    'A' and a question; the stage answers with one packet
//
// A helper tells the grader something by a *marker*: a system call with a number that does not
// exist, issued by one instruction of our own code. Its filter hands it to the tracer, which
// looks at the instruction's address, reads (kind, data, size) from the registers and skips the
// call.

#ifndef IPCLAB_COMMON_SANDBOX_PROTOCOL_H_
#define IPCLAB_COMMON_SANDBOX_PROTOCOL_H_

#include <cstddef>
#include <cstdint>

namespace ipclab {

inline constexpr int kControlFd = 3;
inline constexpr std::size_t kMaxPacket = 60 * 1024;
inline constexpr std::size_t kMaxDescriptors = 5;
inline constexpr char kStartHelper = 'S';
inline constexpr char kAsk = 'A';

// Far above the kernel's own numbers.
inline constexpr long kMarkerCall = 0x1ab5;

enum class Marker : std::uint64_t {
  kReady = 1,      // The submission is loaded; the helper's body comes next.
  kLoadError = 2,  // Data: why it could not be loaded.
  kReport = 3,     // Data: CBOR of [key, value].
  kEnter = 4,      // Data: name of the student's function that is called next.
  kLeave = 5,      // Data: CBOR of [name, value, errno].
  kDone = 6,       // The helper's body returned.
};

// SECCOMP_RET_DATA of the calls that the filter hands to the tracer.
enum class FilterData : std::uint16_t {
  kWatched = 1,
  kMarker = 2,
  kJudged = 3,  // Its arguments decide; see Judge in policy.h.
};

struct Hello {
  std::uint64_t marker_address;  // Behind the marker instruction, in every helper.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_PROTOCOL_H_
