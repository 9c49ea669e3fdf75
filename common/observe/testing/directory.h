// A directory of a test's own, removed on scope exit with all that is in it.
//
//   const Directory directory;
//   mkfifo((directory / "calls").c_str(), 0600);

#ifndef IPCLAB_COMMON_OBSERVE_TESTING_DIRECTORY_H_
#define IPCLAB_COMMON_OBSERVE_TESTING_DIRECTORY_H_

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "common/base/error.h"

namespace ipclab {

class Directory {
 public:
  Directory() {
    // Not TEST_TMPDIR: a build tool's path is so long that messages cut it.
    if (mkdtemp(path_.data()) == nullptr) throw SystemError(errno, "mkdtemp " + path_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) std::fprintf(stderr, "%s: %s\n", path_.c_str(), error.message().c_str());
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/ipclabXXXXXX";
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_TESTING_DIRECTORY_H_
