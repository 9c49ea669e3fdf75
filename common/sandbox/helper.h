// The side of a check that runs in the box, beside the submission.
//
//   HELPER(SendsBytes) {
//     const std::string bytes = args.Bytes("bytes");
//     return STUDENT(send_to_child)(bytes.data(), bytes.size(), STDOUT_FILENO);
//   }
//
//   PROGRAM(upper) { ... }   // `upper` in /bin of the box, for checks that exec something
//
// A helper is forked by the stage, holds descriptors 0, 1 and 2 and nothing of the grader's, and
// ends with the value of its body as exit status. It makes no assertion; it reports.

#ifndef IPCLAB_COMMON_SANDBOX_HELPER_H_
#define IPCLAB_COMMON_SANDBOX_HELPER_H_

#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "common/sandbox/protocol.h"

namespace ipclab {

// What the grader gave this helper and no other.
class Args {
 public:
  explicit Args(nlohmann::json values) : values_(std::move(values)) {}
  std::string Bytes(const std::string& key) const;
  std::int64_t Int(const std::string& key) const;
  std::int64_t Int(const std::string& key, std::int64_t otherwise) const;

 private:
  nlohmann::json values_;
};

// A claim of the helper; the check reads it as helper.Reported(key).
void Report(const std::string& key, const std::string& value);
void Report(const std::string& key, std::int64_t value);

// Fills the stack below with 0xff, so that a variable that the submission forgets to set has the
// same value in every run.
void SoilStack();

// Issues a marker; see protocol.h. Keeps errno.
void Mark(Marker kind, std::string_view data);
void MarkLeave(std::string_view name, std::int64_t value, int error);

// Address of a symbol of the submission; ends the helper with a load error if it has none.
void* SubmissionSymbol(const char* name);

// One function of the submission. Calling it marks entry and exit, so that the tracer can take a
// census of the process on both sides of the call.
template <typename Function>
class Imported;

template <typename R, typename... Parameters>
class Imported<R(Parameters...)> {
 public:
  explicit Imported(const char* name)
      : name_(name), function_(reinterpret_cast<R (*)(Parameters...)>(SubmissionSymbol(name))) {}

  R operator()(Parameters... parameters) const {
    // Before the mark: an observer may run all that comes behind it one instruction at a time.
    SoilStack();
    Mark(Marker::kEnter, name_);
    const R result = function_(parameters...);
    const int error = errno;
    std::int64_t value = 0;
    if constexpr (std::is_function_v<std::remove_pointer_t<R>>) {
      value = result == reinterpret_cast<R>(-1) ? -1 : 0;  // SIG_ERR of signal(2).
    } else if constexpr (std::is_pointer_v<R>) {
      value = result == nullptr ? -1 : 0;
    } else {
      // A failure is -1 whatever the type says.
      value = static_cast<std::int64_t>(static_cast<std::make_signed_t<R>>(result));
    }
    MarkLeave(name_, value, error);
    errno = error;
    return result;
  }

 private:
  const char* name_;
  R (*function_)(Parameters...);
};

#define STUDENT(function) ::ipclab::Imported<decltype(function)>(#function)

using HelperBody = int (*)(const Args& args);
using ProgramBody = int (*)(int argc, char** argv);

struct RegisterHelper {
  RegisterHelper(const char* name, HelperBody body);
};
struct RegisterProgram {
  RegisterProgram(const char* name, ProgramBody body);
};

#define HELPER(name)                                                                 \
  static int Helper##name(const ::ipclab::Args& args);                               \
  static const ::ipclab::RegisterHelper kRegisterHelper##name(#name, &Helper##name); \
  static int Helper##name([[maybe_unused]] const ::ipclab::Args& args)

#define PROGRAM(name)                                                                   \
  static int Program##name(int argc, char** argv);                                      \
  static const ::ipclab::RegisterProgram kRegisterProgram##name(#name, &Program##name); \
  static int Program##name([[maybe_unused]] int argc, [[maybe_unused]] char** argv)

// The PROGRAM that argv[0] names, or nullptr.
ProgramBody FindProgram(std::string_view argv0);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_HELPER_H_
