#include "common/compile/source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ipclab {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// What ReadSource says, or "" if it reads.
template <typename... Paths>
std::string Refusal(const Paths&... paths) {
  try {
    ReadSource(paths...);
    return "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

class SourceTest : public testing::Test {
 protected:
  SourceTest() {
    folder_ = testing::TempDir() + "/source-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~SourceTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

TEST_F(SourceTest, KeepsTheTextAndThePathAsGiven) {
  const Source source = ReadSource(Write("pipe.cc", "int x;\n"));

  EXPECT_EQ(source.text, "int x;\n");
  EXPECT_EQ(source.shown_path, Path("pipe.cc"));
}

TEST_F(SourceTest, MayBeEmptyAndMayHaveOneMebibyte) {
  EXPECT_EQ(ReadSource(Write("empty.cc", "")).text, "");
  EXPECT_EQ(ReadSource(Write("full.cc", std::string(1 << 20, ' '))).text.size(), 1u << 20);
}

TEST_F(SourceTest, OverOneMebibyteIsRefused) {
  const std::string path = Write("big.cc", std::string((1 << 20) + 1, ' '));

  EXPECT_EQ(Refusal(path), path + ": is larger than 1 MiB; hand in the source file alone");
}

TEST_F(SourceTest, NulBytesAreRefused) {
  const std::string path = Write("pipe.cc", std::string("\x7f"
                                                        "ELF\0\0",
                                                        6));

  EXPECT_EQ(Refusal(path),
            path + ": contains NUL bytes, so it is not source text; hand in the .cc file");
}

TEST_F(SourceTest, MissingFileIsNamed) {
  EXPECT_EQ(Refusal(Path("pipe.cc")),
            Path("pipe.cc") + ": no such file; check the folder and the file's name");
}

TEST_F(SourceTest, SymbolicLinkIsRefusedEvenIfItsTargetIsFine) {
  fs::create_symlink(Write("real.cc", "int x;\n"), Path("pipe.cc"));

  EXPECT_EQ(Refusal(Path("pipe.cc")),
            Path("pipe.cc") + ": is a symbolic link; hand in a regular C++ source file");
}

TEST_F(SourceTest, FolderIsRefused) {
  EXPECT_EQ(Refusal(folder_), folder_ + ": is a folder; hand in a regular C++ source file");
}

// A plain open() would wait here until somebody writes.
TEST_F(SourceTest, FifoIsRefusedWithoutWaitingForAWriter) {
  ASSERT_EQ(mkfifo(Path("pipe.cc").c_str(), 0600), 0);

  EXPECT_EQ(Refusal(Path("pipe.cc")),
            Path("pipe.cc") + ": is a FIFO; hand in a regular C++ source file");
}

TEST_F(SourceTest, EndlessDeviceIsRefused) {
  EXPECT_EQ(Refusal("/dev/zero"), "/dev/zero: is a device; hand in a regular C++ source file");
}

TEST_F(SourceTest, FileWithoutPermissionIsRefused) {
  const std::string path = Write("pipe.cc", "int x;\n");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  if (access(path.c_str(), R_OK) == 0) GTEST_SKIP() << "permissions do not hold for root";

  EXPECT_EQ(Refusal(path), path + ": cannot be read; give read permission (chmod u+r)");
}

TEST_F(SourceTest, ControlCharactersOfANameAreEscaped) {
  EXPECT_THAT(Refusal(Path("a\x1b[2J\n.cc")), StartsWith(Path("a\\x1b[2J\\n.cc: no such file")));
}

TEST_F(SourceTest, BelowARootIsReadByBothParts) {
  Write("ada/labs/pipe/pipe.cc", "int x;\n");

  const Source source = ReadSource(Path("ada"), "labs/pipe/pipe.cc");

  EXPECT_EQ(source.text, "int x;\n");
  EXPECT_EQ(source.shown_path, Path("ada/labs/pipe/pipe.cc"));
}

TEST_F(SourceTest, LinkedFolderBelowTheRootIsRefused) {
  Write("bob/pipe/pipe.cc", "int bobs;\n");
  fs::create_directories(Path("ada/labs"));
  fs::create_symlink(Path("bob/pipe"), Path("ada/labs/pipe"));

  EXPECT_THAT(Refusal(Path("ada"), std::string("labs/pipe/pipe.cc")),
              EndsWith("pipe on the way is a symbolic link or no folder; hand in real folders"));
}

TEST_F(SourceTest, PathThatLeavesTheRootIsRefused) {
  Write("bob.cc", "int bobs;\n");
  fs::create_directories(Path("ada"));

  EXPECT_THAT(Refusal(Path("ada"), std::string("../bob.cc")), HasSubstr("leaves the folder"));
}

}  // namespace
}  // namespace ipclab
