// Exercise mmap.1: map a file to read it.

#include <algorithm>
#include <cstring>

#include "graders/mmap/files.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::count_byte;
using mmap::map_file;
using mmap::MappedFile;
using mmap::unmap;

EXERCISE(MapFile);

// What an untouched *out holds.
char g_untouched;
const MappedFile kUntouched{&g_untouched, 77};

bool IsUntouched(const MappedFile& m) { return m.addr == &g_untouched && m.len == 77; }

int SizeOf(std::size_t pages, int more) { return static_cast<int>(pages * PageSize()) + more; }

// Maps the file `path`, reports what it found there, and unmaps.
HELPER(MapsAndLooks) {
  const std::string path = args.Bytes("path");
  MakeFile(path, args.Bytes("bytes"), static_cast<mode_t>(args.Int("mode", 0600)));
  const Displacement nobody;  // Who takes away more than the mapping hits nobody else.
  MappedFile m = kUntouched;
  if (STUDENT(map_file)(path.c_str(), static_cast<int>(args.Int("writable", 0)), &m) == -1) {
    return 0;
  }
  Report("addr", Number(m.addr));
  Report("len", static_cast<std::int64_t>(m.len));
  const std::string stores = args.Bytes("stores");
  if (m.addr != nullptr) {
    if (!stores.empty()) std::memcpy(m.addr, stores.data(), stores.size());
    Report("bytes", std::string(static_cast<const char*>(m.addr), m.len));
  }
  STUDENT(unmap)(&m);
  Report("addr in the end", Number(m.addr));
  Report("len in the end", static_cast<std::int64_t>(m.len));
  // What the check has kept it from giving back.
  if (args.Int("tidy", 0) != 0 && m.addr != nullptr) munmap(m.addr, m.len);
  return 0;
}

Helper StartMapping(Sandbox& box, const std::string& path, const std::string& bytes,
                    nlohmann::json more = nlohmann::json::object()) {
  more["path"] = Binary(path);
  more["bytes"] = Binary(bytes);
  if (!more.contains("stores")) more["stores"] = Binary("");
  return box.Start("MapsAndLooks", more);
}

TEST_F(MapFile, ShowsTheWholeFile) {
  Sandbox box;
  const std::string path = RandomWord(8);
  const std::string bytes = RandomBytes(static_cast<std::size_t>(RandomInt(5000, 12000)));

  Helper caller = StartMapping(box, path, bytes);

  EXPECT_THAT(caller.Wait(), Exited(0));
  const StudentCall call = caller.call("map_file");
  EXPECT_THAT(call, Returned(0));
  EXPECT_TRUE(caller.Reported("len") == static_cast<std::int64_t>(bytes.size()))
      << "The file has " << bytes.size() << " bytes; len is " << caller.Reported("len") << ".";
  EXPECT_THAT(caller.ReportedBytes("bytes"), SameBytesAs(bytes));
  const Mapping* const mapping = MappingOf(caller, call, "addr");
  ASSERT_NE(mapping, nullptr) << "At the address that map_file() gave nothing is mapped.";
  EXPECT_TRUE(EndsWithPath(mapping->object, path) &&
              mapping->OffsetOf(Address(caller, "addr")) == 0)
      << "The memory at the address that map_file() gave is not the file's beginning, but "
      << (mapping->object.empty() ? "memory without a file" : Printable(mapping->object, 120))
      << ".";
}

TEST_F(MapFile, StoresReachTheFile) {
  Sandbox box;
  const std::string path = RandomWord(8);
  const std::string bytes = RandomBytes(6000);
  const std::string stores = RandomBytes(5000);

  Helper caller = StartMapping(box, path, bytes, {{"writable", 2}, {"stores", Binary(stores)}});

  EXPECT_THAT(caller.Wait(), Exited(0)) << "it stored to the mapping";
  EXPECT_THAT(caller.call("map_file"), Returned(0));
  EXPECT_THAT(Contents(box, path), SameBytesAs(stores + bytes.substr(stores.size())));
}

HELPER(CountsHere) {
  const std::string path = args.Bytes("path");
  MakeFile(path, args.Bytes("bytes"), static_cast<mode_t>(args.Int("mode", 0600)));
  for (const char wanted : args.Bytes("wanted")) {
    STUDENT(count_byte)(path.c_str(), static_cast<unsigned char>(wanted));
  }
  return 0;
}

TEST_F(MapFile, AsksOnlyForTheRightsItUses) {
  Sandbox box;
  const std::string path = RandomWord(8);
  const std::string bytes = RandomBytes(100);

  Helper reader = StartMapping(box, path, bytes, {{"mode", 0444}});
  EXPECT_THAT(reader.Wait(), Exited(0));
  EXPECT_THAT(reader.call("map_file"), Returned(0)) << "the file may be read, but not written";
  EXPECT_THAT(reader.ReportedBytes("bytes"), SameBytesAs(bytes));
  const Mapping* const mapping = MappingOf(reader, reader.call("map_file"), "addr");
  ASSERT_NE(mapping, nullptr);
  EXPECT_TRUE(mapping->permissions.starts_with("r-"))
      << "A mapping for reading has the rights " << mapping->permissions << ".";

  Helper counter = box.Start("CountsHere", {{"path", Binary(path + "2")},
                                            {"bytes", Binary(bytes)},
                                            {"mode", 0444},
                                            {"wanted", Binary(bytes.substr(0, 1))}});
  EXPECT_THAT(counter.Wait(), Exited(0));
  EXPECT_THAT(counter.call(), Returned(std::ranges::count(bytes, bytes[0])))
      << "the file may be read, but not written";
}

TEST_F(MapFile, TakesAnEmptyFileForNothing) {
  Sandbox box({.watch = {Family::kMap}});
  const std::string path = RandomWord(8);

  for (const int writable : {0, 1}) {
    const std::string name = path + std::to_string(writable);
    Helper caller = StartMapping(box, name, "", {{"writable", writable}});
    EXPECT_THAT(caller.Wait(), Exited(0));
    EXPECT_THAT(caller.call("map_file"), Returned(0)) << "the file is empty";
    EXPECT_TRUE(caller.Reported("addr") == 0 && caller.Reported("len") == 0)
        << "An empty file gives a null address and the length 0; they are "
        << caller.Reported("addr") << " and " << caller.Reported("len") << ".";
    EXPECT_THAT(caller.call("unmap"), Returned(0)) << "there is nothing to unmap";
  }
  for (const Event& event : MmapCalls(box)) {
    EXPECT_TRUE(event.args[1] != 0) << Describe(event, box.names()) << ": no length is 0.";
  }

  Helper counter = box.Start(
      "CountsHere", {{"path", Binary(path)}, {"bytes", Binary("")}, {"wanted", Binary("x")}});
  EXPECT_THAT(counter.Wait(), Exited(0));
  EXPECT_THAT(counter.call(), Returned(0)) << "the file is empty";
}

constexpr off_t kHuge = (off_t{5} << 30) + 3;

HELPER(MapsAHugeHole) {
  MakeHole("huge", kHuge);
  MappedFile m = kUntouched;
  STUDENT(map_file)("huge", 0, &m);
  Report("len", static_cast<std::int64_t>(m.len));
  STUDENT(unmap)(&m);
  return 0;
}

TEST_F(MapFile, HasNoLargestSize) {
  Sandbox box;

  Helper caller = box.Start("MapsAHugeHole");

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call("map_file"), Returned(0)) << "the file has 5 GiB";
  EXPECT_TRUE(caller.Reported("len") == kHuge)
      << "The file has " << kHuge << " bytes; len is " << caller.Reported("len") << ".";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

// Bytes of which `rare` is none.
std::string WithoutByte(std::size_t size, char rare) {
  std::string bytes = RandomBytes(size);
  std::ranges::replace(bytes, rare, static_cast<char>(rare + 1));
  return bytes;
}

TEST_F(MapFile, CountsEveryByteAndNoOther) {
  // Exactly two pages without a 0: behind them nothing is mapped, or something else.
  const std::string whole_pages = WithoutByte(2 * PageSize(), '\0');
  // The page that holds the end of the file goes on with zeros.
  const std::string part = "\0\xff" + RandomBytes(static_cast<std::size_t>(RandomInt(100, 3000)));
  const std::string wanted("\0\x01\x7f\x80\xff", 5);

  Sandbox box({.watch = {Family::kMap, Family::kRead}});
  for (const std::string& bytes : {whole_pages, part}) {
    const std::string path = RandomWord(8);
    Helper counter =
        box.Start("CountsHere",
                  {{"path", Binary(path)}, {"bytes", Binary(bytes)}, {"wanted", Binary(wanted)}});
    EXPECT_THAT(counter.Wait(), Exited(0));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_THAT(counter.call(i), Returned(std::ranges::count(bytes, wanted[i])))
          << "a file of " << bytes.size() << " bytes, and the byte "
          << static_cast<int>(static_cast<unsigned char>(wanted[i]));
    }
    EXPECT_THAT(MmapCallsOf(box, path), testing::Not(testing::IsEmpty()))
        << "count_byte() looks at the file in a mapping.";
    EXPECT_THAT(TransfersOf(box, path, {Family::kRead}), ByMappingOnly());
  }
}

// Behind the mapping there is a page of somebody else's.
HELPER(UnmapsTwice) {
  MakeFile("data", args.Bytes("bytes"));
  const Displacement ours(PROT_READ | PROT_WRITE);
  MappedFile m = kUntouched;
  if (STUDENT(map_file)("data", 0, &m) == -1) return 0;
  Report("addr", Number(m.addr));
  const std::size_t page = PageSize();
  char* const behind = static_cast<char*>(m.addr) + (m.len + page - 1) / page * page;
  STUDENT(unmap)(&m);
  Report("addr in the end", Number(m.addr));
  Report("len in the end", static_cast<std::int64_t>(m.len));
  if (ours.Has(behind)) *behind = 'c';  // It is still there.
  STUDENT(unmap)(&m);
  return 0;
}

TEST_F(MapFile, UnmapsAllOfItOnce) {
  Sandbox box;
  const std::string bytes = RandomBytes(static_cast<std::size_t>(SizeOf(3, 1)));

  Helper caller = box.Start("UnmapsTwice", {{"bytes", Binary(bytes)}});

  EXPECT_THAT(caller.Wait(), Exited(0)) << "a page behind the mapping belongs to the caller";
  EXPECT_THAT(caller.call(1), Returned(0));
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_TRUE(caller.Reported("addr in the end") == 0 && caller.Reported("len in the end") == 0)
      << "After unmap() the address is to be null and the length 0.";
  EXPECT_THAT(caller.call(2), Returned(0)) << "it has been unmapped before";
}

TEST_F(MapFile, KeepsWhatCannotBeUnmapped) {
  Sandbox box({.watch = {Family::kMap}});
  const auto unmaps = [](const Event& event) {
    return event.function == "unmap" && event.number == SYS_munmap;
  };
  box.AddRule({.family = Family::kMap, .where = unmaps, .answer = -ENOMEM});
  const std::string bytes = RandomBytes(100);

  Helper caller = StartMapping(box, RandomWord(8), bytes, {{"tidy", 1}});

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call("unmap"), FailedWith(ENOMEM)) << "munmap() failed";
  EXPECT_TRUE(caller.Reported("addr in the end") == caller.Reported("addr") &&
              caller.Reported("len in the end") == 100)
      << "The mapping is still there, but unmap() has forgotten where.";
}

// ---- Errors and clean-up -----------------------------------------------------------------------

void TryToMap(const char* path, int writable) {
  MappedFile m = kUntouched;
  STUDENT(map_file)(path, writable, &m);
  if (!IsUntouched(m)) Report("touched", path);
}

HELPER(MapsWhatIsWrong) {
  MakeFile("secret", "x", 0000);
  MakeFile("old", "x", 0444);
  Check(mkdir("directory", 0700), "mkdir");
  Check(mkfifo("fifo", 0600), "mkfifo");
  TryToMap("missing", 0);
  TryToMap("secret", 0);
  TryToMap("old", 1);
  TryToMap("directory", 0);
  TryToMap("directory", 1);
  TryToMap("fifo", 0);
  TryToMap("fifo", 1);
  TryToMap("/dev/zero", 0);
  STUDENT(count_byte)("missing", 'x');
  STUDENT(count_byte)("directory", 'x');
  return 0;
}

MATCHER(RefusesTheKind, "it returns -1 with EINVAL, ENODEV or, for a directory, EISDIR") {
  return arg.returned && arg.value == -1 &&
         (arg.error == EINVAL || arg.error == ENODEV || arg.error == EISDIR);
}

TEST_F(MapFile, ReportsWhatIsWrong) {
  Sandbox box;

  Helper caller = box.Start("MapsWhatIsWrong");

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(caller.call(0), FailedWith(ENOENT)) << "there is no file";
  if (ModesCount()) {
    EXPECT_THAT(caller.call(1), FailedWith(EACCES)) << "the file may not be read";
    EXPECT_THAT(caller.call(2), FailedWith(EACCES)) << "the file may be read, but not written";
  }
  const char* const kinds[] = {"a directory", "a directory, to write", "a FIFO", "a FIFO, to write",
                               "a device"};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_THAT(caller.call(3 + i), RefusesTheKind()) << kinds[i];
  }
  EXPECT_THAT(caller.call(8), FailedWith(ENOENT)) << "there is no file";
  EXPECT_THAT(caller.call(9), RefusesTheKind()) << "a directory";
  EXPECT_TRUE(caller.ReportedBytes("touched").empty())
      << "map_file() failed for " << caller.ReportedBytes("touched") << " and yet changed *out.";
}

HELPER(MapsAndCounts) {
  MakeFile("data", args.Bytes("bytes"));
  TryToMap("data", 0);
  TryToMap("data", 1);
  STUDENT(count_byte)("data", 'x');
  return 0;
}

TEST_F(MapFile, NoticesThatItCannotBeMapped) {
  Sandbox box({.watch = {Family::kMap}});
  FailMmap(box, ENOMEM, 0);

  Helper caller = box.Start("MapsAndCounts", {{"bytes", Binary(RandomBytes(100))}});

  EXPECT_THAT(caller.Wait(), Exited(0)) << "mmap() failed";
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(caller.call(i), FailedWith(ENOMEM)) << "mmap() failed";
    EXPECT_THAT(LeftBehind(box, caller.call(i)), NothingLeftBehind());
  }
  EXPECT_TRUE(caller.ReportedBytes("touched").empty()) << "It failed and yet changed *out.";
}

TEST_F(MapFile, LeavesNothingBehind) {
  Sandbox box;
  const std::string bytes = RandomBytes(5000);

  Helper caller = StartMapping(box, RandomWord(8), bytes, {{"writable", 1}});
  Helper counter = box.Start(
      "CountsHere",
      {{"path", Binary(RandomWord(8))}, {"bytes", Binary(bytes)}, {"wanted", Binary("x")}});
  Helper wrong = box.Start("MapsWhatIsWrong");

  EXPECT_THAT(caller.Wait(), Exited(0));
  EXPECT_THAT(counter.Wait(), Exited(0));
  EXPECT_THAT(wrong.Wait(), Exited(0));
  for (const std::string& left : LeftBehind(box, caller.call("map_file"))) {
    EXPECT_TRUE(left.starts_with("mapping of ")) << "left behind: " << left;
  }
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
  EXPECT_THAT(LeftBehind(box, counter.call()), NothingLeftBehind());
  for (const StudentCall& call : wrong.process().calls) {
    EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind());
  }
}

}  // namespace
}  // namespace ipclab
