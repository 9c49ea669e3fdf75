// Exercise shm.5: POSIX shared memory.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "common/grading/looks.h"
#include "graders/shm/posix.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::consume;
using shm::produce;
using shm::pshm_create;
using shm::pshm_destroy;
using shm::pshm_map;
using shm::pshm_open;

EXERCISE(PosixMemory);

// ---- In helpers ---------------------------------------------------------------------------------

std::string NameIn(const Args& args) { return args.Bytes("name"); }

void ReportObject(int fd) {
  struct stat status {};
  Check(fstat(fd, &status), "fstat");
  Report("access", Check(fcntl(fd, F_GETFL), "fcntl") & O_ACCMODE);
  std::string content(static_cast<std::size_t>(status.st_size), '?');
  if (pread(fd, content.data(), content.size(), 0) == status.st_size) Report("content", content);
}

HELPER(CreatesObject) {
  umask(static_cast<mode_t>(args.Int("umask", 022)));
  const int fd =
      STUDENT(pshm_create)(NameIn(args).c_str(), static_cast<std::size_t>(args.Int("size")),
                           static_cast<mode_t>(args.Int("mode", 0600)));
  Report("umask", umask(022));
  if (fd == -1) return 1;
  ReportObject(fd);
  close(fd);
  return 0;
}

HELPER(OpensObject) {
  std::size_t size = 7777;
  const auto begin = std::chrono::steady_clock::now();
  const int fd = STUDENT(pshm_open)(NameIn(args).c_str(), static_cast<int>(args.Int("readonly", 0)),
                                    static_cast<int>(args.Int("timeout", -1)), &size);
  const auto took = std::chrono::steady_clock::now() - begin;
  Report("ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  Report("size", static_cast<std::int64_t>(size));
  if (fd == -1) return 1;
  ReportObject(fd);
  close(fd);
  return 0;
}

// An object of the helper's own, made with and without a size.
HELPER(MakesObject) {
  const std::string content = args.Bytes("content");
  const int fd = Check(shm_open(NameIn(args).c_str(), O_CREAT | O_RDWR, 0600), "shm_open");
  if (!content.empty()) {
    if (pwrite(fd, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
      throw SystemError(errno, "pwrite");
    }
  }
  Check(fchmod(fd, static_cast<mode_t>(args.Int("mode"))), "fchmod");
  close(fd);
  return 0;
}

HELPER(ReadsObject) {
  const int fd = Check(shm_open(NameIn(args).c_str(), O_RDONLY, 0), "shm_open");
  ReportObject(fd);
  close(fd);
  return 0;
}

// ---- In checks ----------------------------------------------------------------------------------

void NewObject(Sandbox& box, const std::string& name, const std::string& content,
               unsigned mode = 0600) {
  Helper maker =
      box.Start("MakesObject", {{"name", name}, {"content", Binary(content)}, {"mode", mode}});
  const Ending ending = maker.Wait();
  if (ending.kind != Ending::Kind::kExited || ending.code != 0) throw GraderError(ending.text);
}

std::string ContentOf(Sandbox& box, const std::string& name) {
  Helper reader = box.Start("ReadsObject", {{"name", name}});
  static_cast<void>(reader.Wait());
  return reader.ReportedBytes("content");
}

// ---- Making and opening -------------------------------------------------------------------------

TEST_F(PosixMemory, MakesAnObjectOfThisSizeAndMode) {
  Sandbox box;
  for (const unsigned mode : {0600u, 0666u, 0640u}) {
    const std::string name = RandomName();
    const int size = RandomInt(1, 9000);
    Helper maker = box.Start("CreatesObject",
                             {{"name", name}, {"size", size}, {"mode", mode}, {"umask", 077}});
    ASSERT_THAT(OutcomeOf(maker), Succeeds());
    EXPECT_THAT(Object(box, name), HasBytes(size));
    EXPECT_THAT(Object(box, name), AllowsWhat(mode)) << "the umask was 077";
    EXPECT_THAT(maker.Reported("umask"), Is(077)) << "077, the umask, as it was before";
    EXPECT_THAT(maker.Reported("access"), Is(O_RDWR)) << "O_RDWR, the access of the descriptor";
    EXPECT_THAT(maker.ReportedBytes("content"),
                SameBytesAs(std::string(static_cast<std::size_t>(size), '\0')))
        << "all zero";
    EXPECT_THAT(maker.Leftovers(), NothingLeftBehind());
  }
}

TEST_F(PosixMemory, LeavesWhatIsThereAsItIs) {
  Sandbox box;
  const std::string name = RandomName();
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(20, 5000)));
  NewObject(box, name, content, 0640);

  Helper maker = box.Start("CreatesObject", {{"name", name}, {"size", 10}, {"mode", 0600}});
  EXPECT_THAT(maker.Wait(), Exited(1));
  EXPECT_THAT(maker.call(), FailedWith(EEXIST)) << "an object of that name was there";
  Helper producer = box.Start("Produces", {{"name", name}, {"msg", Binary("x")}, {"timeout", 0}});
  EXPECT_THAT(producer.Wait(), Exited(0));
  EXPECT_THAT(producer.call(), FailedWith(EEXIST)) << "an object of that name was there";
  Helper opener = box.Start("OpensObject", {{"name", name}, {"timeout", 0}});
  EXPECT_THAT(opener.Wait(), Exited(0));

  EXPECT_THAT(Object(box, name), AllowsWhat(0640u)) << "as before";
  ASSERT_THAT(Object(box, name), HasBytes(content.size())) << "as before";
  EXPECT_THAT(ContentOf(box, name), SameBytesAs(content)) << "that was in it before";
}

TEST_F(PosixMemory, LeavesNoNameWhenItFails) {
  Sandbox box({.watch = {Family::kOpen, Family::kResize}});
  const std::string name = RandomName();
  Helper empty = box.Start("CreatesObject", {{"name", name}, {"size", 0}});
  EXPECT_THAT(empty.Wait(), Exited(1));
  EXPECT_THAT(empty.call(), FailedWith(EINVAL)) << "the size is 0";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());

  // No file can have that many bytes.
  Helper huge = box.Start("CreatesObject", {{"name", name}, {"size", 1ull << 63}});
  EXPECT_THAT(huge.Wait(), Exited(1));
  EXPECT_THAT(huge.call(), FailedWith(EINVAL)) << "the size is 2^63, which ftruncate(2) refuses";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "it could not be given its size";
  EXPECT_THAT(huge.Leftovers(), NothingLeftBehind());

  const int sizing = box.Fail(Family::kResize, ENOSPC);
  Helper no_room = box.Start("CreatesObject", {{"name", name}, {"size", 10}});
  static_cast<void>(no_room.Wait());
  if (box.observer().Matches(sizing) > 0) {
    EXPECT_THAT(no_room.call(), FailedWith(ENOSPC)) << "ftruncate() failed with it";
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "it could not be given its size";
  }

  box.Fail(Family::kOpen, EMFILE);
  Helper unlucky = box.Start("CreatesObject", {{"name", name}, {"size", 10}});
  EXPECT_THAT(unlucky.Wait(), Exited(1));
  EXPECT_THAT(unlucky.call(), FailedWith(EMFILE)) << "open() failed with it";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
}

struct NameRow {
  const char* what;
  std::string name;
  int error;  // 0 if it is a name.
};

std::vector<NameRow> NameRows() {
  return {
      {"no slash", "name", EINVAL},
      {"nothing", "", EINVAL},
      {"a slash alone", "/", EINVAL},
      {"a slash inside", "/a/b", EINVAL},
      {"a slash at the end", "/a/", EINVAL},
      {"two slashes", "//a", EINVAL},
      {"the folder itself", "/.", EINVAL},
      {"the folder above", "/..", EINVAL},
      {"255 characters behind the slash", "/" + std::string(255, 'x'), ENAMETOOLONG},
      {"254 characters behind the slash", "/" + std::string(254, 'x'), 0},
      {"a dot in front", "/.x", 0},
      {"three dots", "/...", 0},
  };
}

HELPER(UsesName) {
  const std::string name = NameIn(args);
  std::size_t size = 0;
  char buffer[8] = {};
  const int fd = STUDENT(pshm_create)(name.c_str(), 8, 0600);
  if (fd != -1) close(fd);
  const int again = STUDENT(pshm_open)(name.c_str(), 0, 0, &size);
  if (again != -1) close(again);
  STUDENT(pshm_destroy)(name.c_str());
  if (args.Int("is_name") == 1) return 0;
  STUDENT(produce)(name.c_str(), "x", 1, 0);
  STUDENT(consume)(name.c_str(), buffer, sizeof(buffer), 0);
  return 0;
}

TEST_F(PosixMemory, KnowsWhatIsAName) {
  Sandbox box;
  for (const NameRow& row : NameRows()) {
    Helper user = box.Start("UsesName", {{"name", row.name}, {"is_name", row.error == 0 ? 1 : 0}});
    EXPECT_THAT(user.Wait(), Exited(0));
    for (const StudentCall& call : user.process().calls) {
      if (row.error == 0) {
        EXPECT_TRUE(call.value >= 0) << DescribeCall(call) << " for " << row.what;
      } else {
        EXPECT_THAT(call, FailedWith(row.error)) << "for " << row.what;
      }
    }
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << "for " << row.what;
  }
}

TEST_F(PosixMemory, OpensWithTheRightsThatAreAskedFor) {
  Sandbox box;
  const std::string name = RandomName();
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(1, 5000)));
  NewObject(box, name, content, 0400);

  Helper reader = box.Start("OpensObject", {{"name", name}, {"readonly", 1}, {"timeout", 0}});
  EXPECT_THAT(OutcomeOf(reader), Succeeds()) << "for reading, and the mode is 0400";
  EXPECT_THAT(reader.Reported("access"), Is(O_RDONLY)) << "O_RDONLY, the access of the descriptor";
  EXPECT_THAT(reader.Reported("size"), Is(content.size())) << "*size";
  Helper writer = box.Start("OpensObject", {{"name", name}, {"timeout", 0}});
  EXPECT_THAT(writer.Wait(), Exited(1));
  EXPECT_THAT(writer.call(), FailedWith(EACCES)) << "for writing too, and the mode is 0400";
  EXPECT_THAT(writer.Reported("size"), Is(7777)) << "*size is unchanged";
  const std::string other = RandomName() + "x";
  NewObject(box, other, content);
  Helper both = box.Start("OpensObject", {{"name", other}, {"timeout", 0}});
  EXPECT_THAT(OutcomeOf(both), Succeeds());
  EXPECT_THAT(both.Reported("access"), Is(O_RDWR)) << "O_RDWR, the access of the descriptor";
  Helper nobody = box.Start("OpensObject", {{"name", RandomName() + "yz"}, {"timeout", 0}});
  EXPECT_THAT(nobody.Wait(), Exited(1));
  EXPECT_THAT(nobody.call(), FailedWith(ENOENT)) << "there is no such name";
}

TEST_F(PosixMemory, WaitsUntilTheObjectHasASize) {
  Sandbox box(WatchesLooks({Family::kOpen}));
  const std::string name = RandomName();
  NewObject(box, name, "");

  const int timeout = RandomInt(10, 30);
  Helper late = box.Start("OpensObject", {{"name", name}, {"timeout", timeout}});
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(ETIMEDOUT)) << "the object has no size";
  EXPECT_THAT(late.Reported("ms"), IsAtLeast(timeout)) << "milliseconds, the timeout";
  EXPECT_THAT(late.Leftovers(), NothingLeftBehind());

  Helper opener = box.Start("OpensObject", {{"name", name}});
  ASSERT_TRUE(WaitsPatiently(box, opener)) << "the object has no size yet";
  EXPECT_THAT(Object(box, name), HasBytes(0)) << "its size is for its maker to set";
  const std::string content = RandomBytes(static_cast<std::size_t>(RandomInt(1, 5000)));
  NewObject(box, name, content);
  EXPECT_THAT(OutcomeOf(opener), Succeeds()) << "the object has its size";
  EXPECT_THAT(opener.Reported("size"), Is(content.size())) << "*size";
}

// ---- Mapping ------------------------------------------------------------------------------------

// Maps `size` bytes of an object of `bytes` bytes, and looks what can be done with them.
HELPER(MapsObject) {
  const auto bytes = static_cast<off_t>(args.Int("bytes"));
  const auto size = static_cast<std::size_t>(args.Int("size"));
  const int readonly = static_cast<int>(args.Int("readonly"));
  const std::string content = args.Bytes("content");
  const char* const name = "/to_map";
  int fd = Check(shm_open(name, O_CREAT | O_RDWR, 0600), "shm_open");
  Check(ftruncate(fd, bytes), "ftruncate");
  if (pwrite(fd, content.data(), content.size(), 0) == -1) throw SystemError(errno, "pwrite");
  if (args.Int("fd_readonly", 0) == 1) {
    close(fd);
    fd = Check(shm_open(name, O_RDONLY, 0), "shm_open");
  }
  auto* const mem = static_cast<char*>(
      STUDENT(pshm_map)(args.Int("closed", 0) == 1 ? kClosedFd : fd, size, readonly));
  if (mem != nullptr) {
    Report("open", fcntl(fd, F_GETFL) == -1 ? 0 : 1);
    Report("content", std::string(mem, size));
    const int child = Check(fork(), "fork");
    if (child == 0) {
      mem[size - 1] = 'w';
      _exit(0);
    }
    int status = 0;
    Check(waitpid(child, &status, 0), "waitpid");
    Report("status", status);
    char last = 0;
    if (pread(fd, &last, 1, static_cast<off_t>(size - 1)) == 1) Report("last", last);
    munmap(mem, size);
  }
  close(fd);
  Check(shm_unlink(name), "shm_unlink");
  return mem == nullptr ? 1 : 0;
}

TEST_F(PosixMemory, MapsWhatTheObjectHolds) {
  Sandbox box;
  const int size = RandomInt(100, 9000);
  const std::string content = RandomBytes(static_cast<std::size_t>(size));

  Helper writer =
      box.Start("MapsObject",
                {{"bytes", size}, {"size", size}, {"readonly", 0}, {"content", Binary(content)}});
  ASSERT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(writer.ReportedBytes("content"), SameBytesAs(content)) << "in the object";
  EXPECT_THAT(StatusOf(writer, "status"), SaysExit(0)) << "of a process that writes into it";
  EXPECT_THAT(writer.Reported("last"), Is('w'))
      << "the last byte of the object; a process has written 'w' there through the mapping";
  EXPECT_THAT(writer.Reported("open"), Is(1)) << "whether the descriptor is still open";

  Helper reader = box.Start("MapsObject", {{"bytes", size},
                                           {"size", size},
                                           {"readonly", 1},
                                           {"fd_readonly", 1},
                                           {"content", Binary(content)}});
  ASSERT_THAT(OutcomeOf(reader), Succeeds()) << "for reading, and the descriptor is O_RDONLY";
  EXPECT_THAT(reader.ReportedBytes("content"), SameBytesAs(content)) << "in the object";
  EXPECT_THAT(StatusOf(reader, "status"), SaysKilledBy(SIGSEGV))
      << "of a process that writes into what was mapped for reading alone";
}

TEST_F(PosixMemory, MapsNothingElse) {
  Sandbox box;
  const int bytes = RandomInt(10, 4000);
  const auto error_of = [&](nlohmann::json args) {
    args.emplace("bytes", bytes);
    args.emplace("size", bytes);
    args.emplace("readonly", 0);
    args.emplace("content", "");
    Helper mapper = box.Start("MapsObject", args);
    static_cast<void>(mapper.Wait());
    return mapper.call();
  };
  EXPECT_THAT(error_of({{"fd_readonly", 1}}), FailedWith(EACCES))
      << "for writing too, and the descriptor is O_RDONLY";
  EXPECT_THAT(error_of({{"size", 0}}), FailedWith(EINVAL)) << "the size is 0";
  EXPECT_THAT(error_of({{"size", bytes + 1}}), FailedWith(EINVAL))
      << "one byte more than the object has, though on the same page";
  EXPECT_THAT(error_of({{"size", bytes + 4096}}), FailedWith(EINVAL))
      << "one page more than the object has, where a touch would be SIGBUS";
  EXPECT_THAT(error_of({{"closed", 1}}), FailedWith(EBADF)) << "the descriptor is not open";
}

HELPER(DestroysObject) {
  const char* const name = "/to_destroy";
  const int fd = Check(shm_open(name, O_CREAT | O_RDWR, 0600), "shm_open");
  Check(ftruncate(fd, 100), "ftruncate");
  void* const mem = mmap(nullptr, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mem == MAP_FAILED) throw SystemError(errno, "mmap");
  close(fd);
  std::memset(mem, 'x', 100);
  STUDENT(pshm_destroy)(name);
  Report("content", std::string(static_cast<char*>(mem), 100));
  STUDENT(pshm_destroy)(name);
  munmap(mem, 100);
  return 0;
}

TEST_F(PosixMemory, TakesTheNameAway) {
  Sandbox box;
  Helper user = box.Start("DestroysObject");
  EXPECT_THAT(user.Wait(), Exited(0)) << "who has it mapped keeps it";
  EXPECT_THAT(user.call(0), Returned(0));
  EXPECT_THAT(user.call(1), FailedWith(ENOENT)) << "the name is gone already";
  EXPECT_THAT(user.ReportedBytes("content"), SameBytesAs(std::string(100, 'x')))
      << "in the memory of somebody who has it mapped";
  EXPECT_THAT(NamesLeft(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
