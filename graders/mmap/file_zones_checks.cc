// Exercise mmap.6, second part: the zones of a mapped file.

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graders/mmap/which_fault.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::file_zones;
using mmap::Touch;

// ---- In the box ---------------------------------------------------------------------------------

HELPER(FindsZones) {
  MakeSized("zones", args.Int("size"), args.Bytes("bytes"));
  Touch out = static_cast<Touch>(kUntold);
  const int result =
      STUDENT(file_zones)("zones", static_cast<std::size_t>(args.Int("len")), args.Int("at"), &out);
  Report("touch", result == 0 ? static_cast<int>(out) : kUntold);
  return 0;
}

HELPER(FindsZonesAmongOthers) {
  MakeSized("zones", 100);
  const Displacement others(PROT_READ | PROT_WRITE);
  Touch out = static_cast<Touch>(kUntold);
  const std::int64_t len = args.Int("len");
  const int result = STUDENT(file_zones)("zones", static_cast<std::size_t>(len),
                                         (len + 4095) / 4096 * 4096 + 17, &out);
  Report("touch", result == 0 ? static_cast<int>(out) : kUntold);
  return 0;
}

HELPER(FindsNoZones) {
  const std::string what = args.Bytes("what");
  if (what == "fifo") Check(mkfifo("zones", 0600), "mkfifo");
  if (what == "directory") Check(mkdir("zones", 0700), "mkdir");
  if (what == "file") MakeSized("zones", 100);
  Touch out = static_cast<Touch>(kUntold);
  STUDENT(file_zones)("zones", static_cast<std::size_t>(args.Int("len")), args.Int("at"), &out);
  Report("out", static_cast<int>(out));
  if (what == "fifo" || what == "file") unlink("zones");
  if (what == "directory") rmdir("zones");
  return 0;
}

// ---- In the grader ------------------------------------------------------------------------------

TEST_F(WhichFault, NamesTheZonesOfAFile) {
  struct Case {
    std::int64_t size, len, at;
    Touch want;
  };
  const std::int64_t page = kPage;
  const Case cases[] = {
      {10000, 10000, 9999, Touch::kOk},
      {10000, 10000, 10000, Touch::kOk},
      {10000, 5 * page, 12287, Touch::kOk},
      {10000, 5 * page, 12288, Touch::kBus},
      {page, 2 * page, page, Touch::kBus},
      {100, 100, page - 1, Touch::kOk},
      {0, page, 0, Touch::kBus},
      {0, 1, page - 1, Touch::kBus},
  };
  Sandbox box;
  for (const Case& c : cases) {
    const std::string bytes = RandomBytes(static_cast<std::size_t>(c.size));
    Helper finder = box.Start(
        "FindsZones", {{"size", c.size}, {"bytes", Binary(bytes)}, {"len", c.len}, {"at", c.at}});
    const std::string what = "byte " + std::to_string(c.at) + " of a mapping of " +
                             std::to_string(c.len) + " bytes, where the file has " +
                             std::to_string(c.size);
    EXPECT_THAT(OutcomeOf(finder), Succeeds()) << what;
    EXPECT_THAT(finder.Reported("touch"), Is(c.want)) << what;
    EXPECT_THAT(box.FileContents("zones").value_or(""), SameBytesAs(bytes))
        << "the file, after " << what;
  }
}

TEST_F(WhichFault, FindsNobodyBehindTheMapping) {
  Sandbox box;
  for (const std::int64_t len : {1, 4096, 3 * 4096 + 5}) {
    Helper finder = box.Start("FindsZonesAmongOthers", {{"len", len}});
    const std::string what = "the page behind a mapping of " + std::to_string(len) +
                             " bytes, where the kernel likes to put it right before another one";
    EXPECT_THAT(OutcomeOf(finder), Succeeds()) << what;
    EXPECT_THAT(finder.Reported("touch"), Is(Touch::kSegv)) << what;
  }
}

TEST_F(WhichFault, RefusesWhatHasNoZones) {
  struct Case {
    const char* what;
    const char* there;
    std::int64_t len, at;
    std::vector<int> errors;
  };
  const Case cases[] = {
      {"no length", "file", 0, 0, {EINVAL}},
      {"a byte before the mapping", "file", 4096, -1, {EINVAL}},
      {"a byte two pages behind the mapping", "file", 4096, 8192, {EINVAL}},
      {"a byte two pages behind a short mapping", "file", 1, 8192, {EINVAL}},
      {"no file", "", 4096, 0, {ENOENT}},
      {"a FIFO", "fifo", 4096, 0, {EINVAL}},
      {"a directory", "directory", 4096, 0, {EINVAL, EISDIR}},
      {"more than there is of addresses", "file", std::int64_t{1} << 60, 0, {ENOMEM, EINVAL}},
  };
  Sandbox box;
  for (const Case& c : cases) {
    Helper finder = box.Start("FindsNoZones", {{"what", c.there}, {"len", c.len}, {"at", c.at}});
    EXPECT_THAT(OutcomeOf(finder), ComesToItsEnd()) << c.what;
    const StudentCall call = finder.call();
    const bool known = std::ranges::count(c.errors, call.error) != 0;
    EXPECT_THAT(call, FailedWith(known ? call.error : c.errors[0])) << c.what;
    EXPECT_EQ(finder.Reported("out"), kUntold) << c.what << ": *out has changed";
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << c.what;
  }
}

}  // namespace
}  // namespace ipclab
