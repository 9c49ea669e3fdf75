// Failures of the grader itself.
//
//   const int fd = Check(open(path, O_RDONLY | O_CLOEXEC), "open " + path);
//
// Whatever goes wrong on our side throws GraderError. It unwinds every owner on the way and is
// caught in one place, which turns it into "not graded": never a pass, never the student's fault.

#ifndef IPCLAB_COMMON_BASE_ERROR_H_
#define IPCLAB_COMMON_BASE_ERROR_H_

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/names.h"

namespace ipclab {

class GraderError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A GraderError that says which call failed and why: "open /x: ENOENT (No such file or directory)".
inline GraderError SystemError(int error, std::string_view call) {
  return GraderError(std::string(call) + ": " + DescribeErrno(error));
}

// Hands on the result of a system call; throws SystemError if it is -1.
template <typename T>
T Check(T result, std::string_view call) {
  if (result == static_cast<T>(-1)) throw SystemError(errno, call);
  return result;
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_BASE_ERROR_H_
