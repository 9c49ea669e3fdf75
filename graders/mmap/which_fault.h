// Memory and files to touch, and what a touch says, for the checks of exercise 6:
// which_fault_checks.cc and file_zones_checks.cc.
//
// In helpers:
//   const Fd file = MakeSized("file", 100);
//   const Pages pages(kPage, PROT_READ, MAP_SHARED, file.get());
// In checks:
//   EXPECT_THAT(toucher.Reported("touch"), Is(Touch::kBus));

#ifndef IPCLAB_GRADERS_MMAP_WHICH_FAULT_H_
#define IPCLAB_GRADERS_MMAP_WHICH_FAULT_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/grading/around.h"
#include "common/grading/outcomes.h"
#include "common/grading/steering.h"
#include "graders/mmap/files.h"

namespace ipclab {

EXERCISE(WhichFault);

constexpr std::size_t kPage = 4096;
constexpr int kUntold = 77;  // No value of a Touch.

// ---- In the box ---------------------------------------------------------------------------------

inline Fd MakeSized(const char* path, std::int64_t size, std::string_view bytes = "") {
  Fd file(Check(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open"));
  WriteHere(file.get(), bytes);
  Check(ftruncate(file.get(), size), "ftruncate");
  return file;
}

// ---- In the grader ------------------------------------------------------------------------------

const char* TouchName(std::int64_t touch);

MATCHER_P(Is, want, std::string("it is ") + TouchName(static_cast<int>(want))) {
  *result_listener << "it is " << TouchName(arg);
  return arg == static_cast<int>(want);
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_WHICH_FAULT_H_
