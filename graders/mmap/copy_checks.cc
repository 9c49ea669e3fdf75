// Exercise mmap.2: copy a file by mapping.

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <cstring>

#include "graders/mmap/files.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::mmap_copy;

EXERCISE(MmapCopy);

// Bytes that look like any others, and are quick to make: the same for the same seed.
std::string Stream(std::uint64_t seed, std::size_t size) {
  std::string bytes(size + sizeof(seed), '\0');
  for (std::size_t at = 0; at < size; at += sizeof(seed)) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(bytes.data() + at, &seed, sizeof(seed));
  }
  bytes.resize(size);
  return bytes;
}

std::uint64_t RandomSeed() { return static_cast<std::uint64_t>(RandomInt(1, 1'000'000'000)); }

// ---- Copies ------------------------------------------------------------------------------------

HELPER(CopiesOne) {
  const auto seed = static_cast<std::uint64_t>(args.Int("seed"));
  MakeFile("src", Stream(seed, static_cast<std::size_t>(args.Int("size"))),
           static_cast<mode_t>(args.Int("src mode", 0600)));
  const std::int64_t old_size = args.Int("old size", -1);
  if (old_size >= 0) {
    MakeFile("dst", std::string(static_cast<std::size_t>(old_size), 'o'),
             static_cast<mode_t>(args.Int("old mode", 0600)));
  }
  const Umask mask(static_cast<mode_t>(args.Int("umask", 022)));
  STUDENT(mmap_copy)("src", "dst", static_cast<mode_t>(args.Int("mode", 0600)));
  return 0;
}

// Several sizes, each to a name of its own.
HELPER(CopiesSizes) {
  const auto seed = static_cast<std::uint64_t>(args.Int("seed"));
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, (1 << 20) + 1}) {
    const std::string src = "src" + std::to_string(size);
    MakeFile(src, Stream(seed, size));
    STUDENT(mmap_copy)(src.c_str(), ("dst" + std::to_string(size)).c_str(), 0600);
  }
  return 0;
}

TEST_F(MmapCopy, CopiesFilesOfAnySize) {
  Sandbox box;
  const std::uint64_t seed = RandomSeed();

  Helper caller = box.Start("CopiesSizes", {{"seed", seed}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  std::size_t i = 0;
  for (const std::size_t size : {0, 1, 4095, 4096, 4097, (1 << 20) + 1}) {
    EXPECT_THAT(caller.call(i++), Returned(0)) << "a file of " << size << " bytes";
    EXPECT_THAT(Contents(box, "dst" + std::to_string(size)), SameBytesAs(Stream(seed, size)))
        << "a file of " << size << " bytes";
  }
}

TEST_F(MmapCopy, CutsALongerTarget) {
  Sandbox box;
  const std::uint64_t seed = RandomSeed();
  const int size = static_cast<int>(RandomInt(100, 3000));

  Helper caller = box.Start("CopiesOne", {{"seed", seed}, {"size", size}, {"old size", 20000}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(0)) << "dst was there, and longer";
  EXPECT_THAT(Contents(box, "dst"), SameBytesAs(Stream(seed, static_cast<std::size_t>(size))));

  Sandbox other;
  Helper empty = other.Start("CopiesOne", {{"seed", seed}, {"size", 0}, {"old size", 20000}});
  EXPECT_THAT(empty.Wait(), Exited(0));
  EXPECT_THAT(empty.call(), Returned(0)) << "dst was there, and src is empty";
  EXPECT_THAT(Contents(other, "dst"), SameBytesAs(std::string()));
}

std::string Octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof(text), "%04o", mode);
  return text;
}

TEST_F(MmapCopy, GivesOnlyANewFileItsMode) {
  Sandbox box;
  const nlohmann::json args = {
      {"seed", RandomSeed()}, {"size", 10}, {"umask", 027}, {"mode", 0751}};

  Helper caller = box.Start("CopiesOne", args);

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_TRUE(EntryAt(box, "dst").permissions == 0750)
      << "mode was 0751 and the umask 027, which leaves 0750; dst has "
      << Octal(EntryAt(box, "dst").permissions) << ".";

  Sandbox other;
  nlohmann::json again = args;
  again["old size"] = 10;
  again["old mode"] = 0604;
  Helper second = other.Start("CopiesOne", again);
  EXPECT_THAT(second.Wait(), Exited(0));
  EXPECT_THAT(second.call(), Returned(0)) << "dst was there";
  EXPECT_TRUE(EntryAt(other, "dst").permissions == 0604)
      << "dst was there with the mode 0604; now it has " << Octal(EntryAt(other, "dst").permissions)
      << ".";
}

// ---- How it is done ----------------------------------------------------------------------------

// So many bytes of address space beside what is in use now, for as long as this lives. The call is
// made by its number: setrlimit(3) uses one that the tracer looks at.
class AddressSpace {
 public:
  explicit AddressSpace(std::size_t more) {
    std::size_t low = 0;
    std::size_t high = std::size_t{1} << 46;
    while (high - low > PageSize()) {
      const std::size_t middle = low + (high - low) / 2;
      (Suffices(middle) ? high : low) = middle;
    }
    Limit(high + more);
  }
  ~AddressSpace() { Limit(RLIM_INFINITY); }
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

 private:
  static void Limit(rlim_t size) {
    const rlimit limit{size, RLIM_INFINITY};
    Check(syscall(SYS_setrlimit, RLIMIT_AS, &limit), "setrlimit");
  }
  static bool Suffices(std::size_t size) {
    Limit(size);
    void* const page = ::mmap(nullptr, PageSize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    munmap(page, PageSize());
    return true;
  }
};

constexpr std::size_t kLarge = (9 << 20) + 5;

HELPER(CopiesInANarrowSpace) {
  MakeFile("src", Stream(static_cast<std::uint64_t>(args.Int("seed")), kLarge));
  const AddressSpace little((8 << 20) + 64 * PageSize());
  STUDENT(mmap_copy)("src", "dst", 0600);
  return 0;
}

TEST_F(MmapCopy, NeedsLittleAddressSpace) {
  Sandbox box;
  const std::uint64_t seed = RandomSeed();

  Helper caller = box.Start("CopiesInANarrowSpace", {{"seed", seed}});

  EXPECT_THAT(caller.Wait(), Exited(0)) << "it had 8 MiB of address space for a file of 9 MiB";
  EXPECT_THAT(caller.call(), Returned(0)) << "it had 8 MiB of address space for a file of 9 MiB";
  EXPECT_THAT(Contents(box, "dst"), SameBytesAs(Stream(seed, kLarge)));
}

TEST_F(MmapCopy, MapsTheSource) {
  Sandbox box({.watch = {Family::kMap, Family::kRead, Family::kSplice}});

  Helper caller = box.Start("CopiesOne", {{"seed", RandomSeed()}, {"size", 9000}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(0));
  EXPECT_THAT(MmapCallsOf(box, "src"), testing::Not(testing::IsEmpty()))
      << "No mmap() of src was seen.";
  EXPECT_THAT(TransfersOf(box, "src", {Family::kRead, Family::kSplice}), ByMappingOnly());
  EXPECT_THAT(TransfersOf(box, "dst", {Family::kSplice}), ByMappingOnly());
}

TEST_F(MmapCopy, AsksOnlyForTheRightToReadTheSource) {
  Sandbox box;
  const std::uint64_t seed = RandomSeed();

  Helper caller = box.Start("CopiesOne", {{"seed", seed}, {"size", 9000}, {"src mode", 0444}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(), Returned(0)) << "src may be read, but not written";
  EXPECT_THAT(Contents(box, "dst"), SameBytesAs(Stream(seed, 9000)));
}

// ---- Errors and clean-up -----------------------------------------------------------------------

HELPER(CopiesOntoItself) {
  MakeFile("src", args.Bytes("bytes"));
  Check(link("src", "link"), "link");
  Check(symlink("src", "symlink"), "symlink");
  STUDENT(mmap_copy)("src", "src", 0600);
  STUDENT(mmap_copy)("src", "link", 0600);
  STUDENT(mmap_copy)("src", "symlink", 0600);
  STUDENT(mmap_copy)("symlink", "link", 0600);
  return 0;
}

TEST_F(MmapCopy, RefusesToCopyAFileOntoItself) {
  Sandbox box;
  const std::string bytes = RandomBytes(5000);

  Helper caller = box.Start("CopiesOntoItself", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  const char* const names[] = {"the same name", "another name of the same file",
                               "a symbolic link to the same file", "two names of the same file"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(EINVAL)) << names[i];
  }
  EXPECT_THAT(Contents(box, "src"), SameBytesAs(bytes)) << "nothing was to be changed";
  EXPECT_TRUE(EntryAt(box, "link").type != 0 && EntryAt(box, "symlink").type != 0)
      << "One of the names is gone.";
}

// Leaves about a megabyte of the file system that the work directory is on.
void FillDisk() {
  struct statvfs space;
  Check(statvfs(".", &space), "statvfs");
  const auto free = static_cast<off_t>(space.f_bavail * space.f_frsize);
  MakeFile("filler", "");
  const Fd filler(Check(open("filler", O_WRONLY | O_CLOEXEC), "open"));
  const int error = posix_fallocate(filler.get(), 0, free - (1 << 20));
  if (error != 0) throw SystemError(error, "posix_fallocate");
}

// The source lies on another file system.
HELPER(CopiesToAFullDisk) {
  MakeFile("/dev/shm/src", Stream(7, 3 << 20));
  MakeFile("old", "old");
  FillDisk();
  const Action bus(SIGBUS, SIG_DFL);
  STUDENT(mmap_copy)("/dev/shm/src", "new", 0600);
  STUDENT(mmap_copy)("/dev/shm/src", "old", 0600);
  return 0;
}

TEST_F(MmapCopy, SurvivesAFullDisk) {
  if (!Session::Get().confine) GTEST_SKIP() << "would fill this machine's disk";
  Sandbox box;

  Helper caller = box.Start("CopiesToAFullDisk");

  EXPECT_THAT(caller.Wait(), Exited(0)) << "there was room for one megabyte of three";
  EXPECT_THAT(caller.call(0), FailedWith(ENOSPC)) << "there was room for one megabyte of three";
  EXPECT_THAT(caller.call(1), FailedWith(ENOSPC)) << "there was room for one megabyte of three";
  EXPECT_TRUE(EntryAt(box, "new").type == 0) << "What the call had made of dst is still there.";
  EXPECT_TRUE(EntryAt(box, "old").type != 0) << "dst was there before, and is not any more.";
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
  }
}

HELPER(CopiesWhatIsWrong) {
  MakeFile("src", args.Bytes("bytes"));
  MakeFile("secret", "x", 0000);
  MakeFile("kept", "kept");
  Check(mkdir("directory", 0700), "mkdir");
  Check(mkfifo("fifo", 0600), "mkfifo");
  STUDENT(mmap_copy)("missing", "new", 0600);
  STUDENT(mmap_copy)("missing", "kept", 0600);
  STUDENT(mmap_copy)("secret", "kept", 0600);
  STUDENT(mmap_copy)("src", "nowhere/new", 0600);
  STUDENT(mmap_copy)("directory", "kept", 0600);
  STUDENT(mmap_copy)("fifo", "kept", 0600);
  STUDENT(mmap_copy)("src", "fifo", 0600);
  STUDENT(mmap_copy)("src", "directory", 0600);
  const Action excess(SIGXFSZ, SIG_IGN);
  const rlimit limit{2000, RLIM_INFINITY};
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  Check(syscall(SYS_setrlimit, RLIMIT_FSIZE, &limit), "setrlimit");
  STUDENT(mmap_copy)("src", "new", 0600);
  Check(syscall(SYS_setrlimit, RLIMIT_FSIZE, &none), "setrlimit");
  return 0;
}

MATCHER(FailsForTheKind, "it returns -1 with EINVAL, or with EISDIR or ENXIO of open()") {
  return arg.returned && arg.value == -1 &&
         (arg.error == EINVAL || arg.error == EISDIR || arg.error == ENXIO);
}

TEST_F(MmapCopy, ReportsWhatIsWrong) {
  Sandbox box;

  Helper caller = box.Start("CopiesWhatIsWrong", {{"bytes", Binary(RandomBytes(5000))}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(ENOENT)) << "there is no src";
  EXPECT_THAT(caller.call(1), FailedWith(ENOENT)) << "there is no src";
  if (ModesCount()) {
    EXPECT_THAT(caller.call(2), FailedWith(EACCES)) << "src may not be read";
  }
  EXPECT_THAT(caller.call(3), FailedWith(ENOENT)) << "there is no such directory";
  const char* const kinds[] = {"src is a directory", "src is a FIFO", "dst is a FIFO",
                               "dst is a directory"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(caller.call(4 + i), FailsForTheKind()) << kinds[i];
  }
  EXPECT_THAT(caller.call(8), FailedWith(EFBIG)) << "the process may not make files so large";
  EXPECT_TRUE(EntryAt(box, "new").type == 0) << "The copy failed, but its dst is there.";
  if (ModesCount()) {
    EXPECT_THAT(Contents(box, "kept"), IsText("kept")) << "there was nothing to copy";
  }
  EXPECT_TRUE(S_ISFIFO(EntryAt(box, "fifo").type)) << "The FIFO is not there any more.";
  for (const StudentCall& call : caller.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
  }
}

TEST_F(MmapCopy, LeavesNothingBehind) {
  for (const int nth : {0, 1, 2}) {
    Sandbox box({.watch = {Family::kMap}});
    const int rule = nth > 0 ? FailMmap(box, ENOMEM, nth) : -1;

    Helper caller = box.Start("CopiesOne", {{"seed", RandomSeed()}, {"size", 9000}});

    EXPECT_THAT(caller.Wait(), Exited(0));
    // A second mapping is up to the submission.
    const bool failed = rule >= 0 && box.observer().Matches(rule) >= nth;
    if (failed) {
      EXPECT_THAT(caller.call(), FailedWith(ENOMEM)) << "mmap() failed";
      EXPECT_TRUE(EntryAt(box, "dst").type == 0) << "mmap() failed, but the new dst is there.";
    } else {
      EXPECT_THAT(caller.call(), Returned(0));
    }
    EXPECT_THAT(LeftBehind(box, caller.call()), NothingLeftBehind());
    EXPECT_THAT(MapsLeft(box, caller), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
