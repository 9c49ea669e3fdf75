// The parts of `lab` that its whole cannot show.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/error.h"
#include "common/cli/doctor.h"
#include "common/cli/files.h"
#include "common/cli/grader_process.h"
#include "common/cli/progress.h"
#include "common/cli/results_reader.h"
#include "common/cli/workspace.h"
#include "common/compile/source.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Scratch : public testing::Test {
 protected:
  Scratch() {
    std::string name = testing::TempDir() + "cli.XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw SystemError(errno, "mkdtemp");
    folder_ = name;
  }
  ~Scratch() override { fs::remove_all(folder_); }

  std::string Text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }
  void Put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }

  fs::path folder_;
};

using AtomicWrite = Scratch;

TEST_F(AtomicWrite, MakesAFileThatOthersMayReadAsTheUmaskSays) {
  const mode_t old = umask(022);
  WriteAtomically(folder_ / "result", "text");
  umask(old);
  EXPECT_EQ(Text("result"), "text");
  struct stat info;
  ASSERT_EQ(stat((folder_ / "result").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0644u);
}

TEST_F(AtomicWrite, ReplacesTheFileThatALinkLeadsTo) {
  Put("real", "old");
  fs::create_symlink("real", folder_ / "link");
  WriteAtomically(folder_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(Text("real"), "new");
}

TEST_F(AtomicWrite, LeavesTheOldFileWhereItCannotWrite) {
  fs::create_directory(folder_ / "taken");
  EXPECT_THROW(WriteAtomically(folder_ / "taken", "text"), GraderError);
  const auto files = fs::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "a temporary file was left behind";
}

TEST_F(AtomicWrite, IsRefusedBeforehandForAFolder) {
  EXPECT_THROW(CheckWritable(folder_), UsageError);
  EXPECT_THROW(CheckWritable(""), UsageError);
  EXPECT_NO_THROW(CheckWritable(folder_ / "new"));
}

TEST(NearestName, IsTheOneWithTheFewestWrongLetters) {
  const std::vector<std::string> labs = {"fifo", "mmap", "msgqueue", "pipe", "semaphore", "shm"};
  EXPECT_EQ(Nearest("pype", labs), "pipe");
  EXPECT_EQ(Nearest("semafore", labs), "semaphore");
  EXPECT_EQ(Nearest("message", labs), "");
  EXPECT_EQ(Nearest("", labs), "");
}

// A terminal of 20 columns, and what was written to it.
class Terminal {
 public:
  Terminal() {
    winsize size = {};
    size.ws_row = 5;
    size.ws_col = 20;
    int master = -1;
    int slave = -1;
    Check(openpty(&master, &slave, nullptr, nullptr, &size), "openpty");
    master_ = Fd(master);
    slave_ = Fd(slave);
  }
  int fd() const { return slave_.get(); }
  std::string Written() const {
    std::string text;
    std::array<char, 1024> buffer;
    for (pollfd ready = {master_.get(), POLLIN, 0}; poll(&ready, 1, 0) == 1;) {
      const ssize_t size = Check(read(master_.get(), buffer.data(), buffer.size()), "read");
      text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  Fd master_;
  Fd slave_;
};

TEST(LiveLine, IsRewrittenAndCutToTheTerminal) {
  const Terminal terminal;
  {
    Progress progress(terminal.fd());
    progress.Step("pipe: compiling");
    progress.Tick("pipe: 3 of 40 SendToChild.Sends");
    EXPECT_EQ(terminal.Written(), "\r\x1b[Kpipe: compiling\r\x1b[Kpipe: 3 of 40 Se...");
  }
  EXPECT_EQ(terminal.Written(), "\r\x1b[K") << "the line is taken away at the end";
}

TEST(LiveLine, IsPlainLinesElsewhere) {
  PipeEnds pipe = MakePipe();
  {
    Progress progress(pipe.write.get());
    progress.Step("pipe: compiling");
    progress.Tick("pipe: 3 of 40");
    progress.Done("pipe: 100 / 100 points");
  }
  std::array<char, 200> buffer;
  const ssize_t size = Check(read(pipe.read.get(), buffer.data(), buffer.size()), "read");
  EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(size)),
            "pipe: compiling\npipe: 100 / 100 points\n");
}

class GraderRun : public Scratch {
 protected:
  GraderPlan Plan(const std::string& script) const {
    const std::string program = folder_ / "grader";
    std::ofstream(program) << "#!/bin/bash\n" << script;
    fs::permissions(program, fs::perms::owner_all);
    return {.program = program, .library = STDERR_FILENO};
  }
  GraderEnd Run(const GraderPlan& plan) {
    return RunGraders({plan}, interrupts_,
                      [this](std::size_t, std::string_view line) { lines_.emplace_back(line); })
        .front();
  }

  Interrupts interrupts_;
  std::vector<std::string> lines_;
};

TEST_F(GraderRun, HandsOnEveryLineAndAnUnfinishedLast) {
  const GraderEnd end = Run(Plan("printf 'one\\ntw' >&3; printf 'o\\n\\nthree' >&3"));
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three"));
  EXPECT_EQ(DescribeEnd(end), "exited with status 0");
}

TEST_F(GraderRun, GivesNoInputAndNoOtherDescriptor) {
  const Fd careless(Check(open("/dev/null", O_RDONLY), "open"));
  const Fd secret(Check(fcntl(careless.get(), F_DUPFD, 50), "fcntl"));
  Run(Plan("cat >&3; exec ls /proc/self/fd >&3"));
  EXPECT_THAT(lines_, ElementsAre("0", "1", "2", "3", "4", "5")) << "5 is the folder that ls reads";
}

TEST_F(GraderRun, KeepsTheLastOfWhatItSays) {
  const GraderEnd end = Run(Plan("printf '%20000d' 7; echo last words >&2"));
  EXPECT_LE(end.output.size(), 8192u);
  EXPECT_THAT(end.output, HasSubstr("7last words\n"));
}

TEST_F(GraderRun, EndsOneThatSaysNothing) {
  GraderPlan plan = Plan("mkfifo \"$0.fifo\"; read -r _ <\"$0.fifo\"");
  plan.silence = std::chrono::milliseconds(100);
  const GraderEnd end = Run(plan);
  EXPECT_TRUE(end.was_silent);
  EXPECT_EQ(DescribeEnd(end), "was killed because it said nothing for too long");
}

TEST_F(GraderRun, DoesNotWaitForOthersWhoHoldItsOutput) {
  // The one left behind waits for this test to end; it holds all descriptors of the grader.
  Check(mkfifo((folder_ / "gate").c_str(), 0600), "mkfifo");
  const GraderEnd end = Run(Plan("read -r _ <\"${0%/*}/gate\" & echo done >&3"));
  EXPECT_THAT(lines_, ElementsAre("done"));
  EXPECT_EQ(DescribeEnd(end), "exited with status 0");
  const Fd gate(Check(open((folder_ / "gate").c_str(), O_WRONLY), "open the gate"));
}

TEST_F(GraderRun, SaysWhichSignalKilledIt) {
  EXPECT_EQ(DescribeEnd(Run(Plan("kill -ABRT $$"))), "was killed by SIGABRT");
}

TEST_F(GraderRun, ManyRunAtTheSameTime) {
  Check(mkfifo((folder_ / "gate").c_str(), 0600), "mkfifo");
  const std::string program = folder_ / "grader";
  // Each opens its end and waits until the other does: one after the other they would never end.
  std::ofstream(program) << R"(#!/bin/bash
for argument; do [ "${argument%%=*}" = --check ] && check=${argument#*=}; done
[ "$check" = reads ] && { read -r line <"${0%/*}/gate"; echo "$line" >&3; exit 4; }
echo "from the other" >"${0%/*}/gate"
)";
  fs::permissions(program, fs::perms::owner_all);
  const GraderPlan reads{.program = program, .library = STDERR_FILENO, .checks = {"reads"}};
  const GraderPlan writes{.program = program, .library = STDERR_FILENO, .checks = {"writes"}};
  std::vector<std::size_t> writers;

  const std::vector<GraderEnd> ends =
      RunGraders({writes, reads}, interrupts_, [&](std::size_t grader, std::string_view line) {
        writers.push_back(grader);
        lines_.emplace_back(line);
      });

  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(DescribeEnd(ends[0]), "exited with status 0");
  EXPECT_EQ(DescribeEnd(ends[1]), "exited with status 4");
  EXPECT_THAT(lines_, ElementsAre("from the other"));
  EXPECT_THAT(writers, ElementsAre(1u));
}

TEST_F(GraderRun, OneThatSaysNothingDoesNotHoldUpTheOthers) {
  GraderPlan silent = Plan("echo \"$1\" >&3; mkfifo \"$0.fifo\"; read -r _ <\"$0.fifo\"");
  silent.silence = std::chrono::milliseconds(300);
  GraderPlan speaks = silent;
  speaks.program = folder_ / "other";
  std::ofstream(speaks.program) << "#!/bin/bash\necho done >&3\n";
  fs::permissions(speaks.program, fs::perms::owner_all);

  const std::vector<GraderEnd> ends =
      RunGraders({silent, speaks}, interrupts_, [](std::size_t, std::string_view) {});

  EXPECT_TRUE(ends[0].was_silent);
  EXPECT_EQ(DescribeEnd(ends[1]), "exited with status 0");
}

TEST_F(GraderRun, NamesAProgramThatCannotBeStarted) {
  try {
    Run({.program = folder_ / "none", .library = STDERR_FILENO});
    FAIL() << "it started";
  } catch (const GraderError& error) {
    EXPECT_EQ(error.what(), "cannot start " + (folder_ / "none").string() +
                                ": ENOENT (No such file or directory)");
  }
}

TEST(Results, GiveNoPointsAfterTheGradersOwnError) {
  ResultsReader reader("pipe");
  reader.AddLine(R"({"type":"end","score":100,"max_score":100})");
  reader.AddLine(R"({"type":"error","message":"no box","fix":""})");
  const LabResult lab = reader.Finish({});
  EXPECT_EQ(lab.error, "no box");
  EXPECT_EQ(lab.score, 0);
  EXPECT_EQ(lab.max_score, 0);
}

TEST(Results, CountOnlyWhatWasChecked) {
  ResultsReader reader("pipe");
  reader.AddLine(R"({"type":"run","grader_version":"1","seed":1,"isolation":{"mode":"full"},
      "exercises":[{"id":"pipe.1","max_points":10},{"id":"pipe.2","max_points":12}],
      "checks":[{"id":"A.B"},{"id":"A.C"}]})");
  reader.AddLine(R"({"type":"start","id":"A.B"})");
  EXPECT_EQ(reader.running(), "A.B");
  reader.AddLine(R"({"type":"check","id":"A.B","exercise":"pipe.2","status":"passed","points":3,
      "max_points":4})");
  reader.AddLine(R"({"type":"end","score":3,"max_score":4})");
  const LabResult lab = reader.Finish({});
  EXPECT_EQ(lab.error, "");
  ASSERT_EQ(lab.exercises.size(), 1u);
  EXPECT_EQ(lab.exercises[0].id, "pipe.2");
  EXPECT_EQ(lab.exercises[0].points, 3);
  EXPECT_EQ(lab.exercises[0].max_points, 4);
}

TEST(Doctor, SaysWhatHelps) {
  EXPECT_EQ(ProbeText("bubblewrap", {false, "is not installed", "./lab setup"}),
            "FAILS  bubblewrap       is not installed\n"
            "                        to fix it: ./lab setup\n");
  EXPECT_EQ(ProbeText("kernel", {true, "Linux 6.1", ""}), "works  kernel           Linux 6.1\n");
}

TEST(Doctor, ProbesEverythingGradingRestsOn) {
  std::vector<std::string> names;
  for (const Probe& probe : AllProbes()) {
    names.push_back(probe.name);
    const ProbeFinding finding = probe.run();
    EXPECT_NE(finding.detail, "") << probe.name;
    EXPECT_EQ(finding.detail.find('\n'), std::string::npos) << probe.name;
  }
  EXPECT_THAT(names, ElementsAre("kernel", "user namespaces", "bubblewrap", "seccomp", "ptrace",
                                 "IPC limits", "Bazel", "C++ compiler"));
}

}  // namespace
}  // namespace ipclab
