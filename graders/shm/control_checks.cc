// Exercise shm.3, second half: line_control.

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "graders/shm/line.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::line_control;

EXERCISE(Control);

constexpr char kContent[] = "not empty";
// What the programs `reads` and `writes` do.
constexpr char kTellsErrno[] = "the program exits with the errno (43: EIDRM, 2: ENOENT) when its ";

// "fails 3" as an argv; "" as one without any word. LIBRARY stands for the path of the submission.
class Argv {
 public:
  explicit Argv(const std::string& command) {
    std::istringstream words(command);
    for (std::string word; words >> word;) {
      words_.push_back(word == "LIBRARY" ? Library() : word);
    }
    for (const std::string& word : words_) pointers_.push_back(word.c_str());
    pointers_.push_back(nullptr);
  }
  const char* const* get() const { return pointers_.data(); }

 private:
  static std::string Library() {
    Dl_info info{};
    if (dladdr(SubmissionSymbol("line_read"), &info) == 0) throw GraderError("dladdr failed");
    return info.dli_fname;
  }

  std::vector<std::string> words_;
  std::vector<const char*> pointers_;
};

int CallControl(const Args& args) {
  const Argv reader(args.Bytes("reader"));
  const Argv writer(args.Bytes("writer"));
  int statuses[3] = {0x7f7f7f7f, 0x7f7f7f7f, 0x7f7f7f7f};
  const int result =
      STUDENT(line_control)(args.Bytes("file").c_str(), reader.get(), writer.get(), statuses);
  Report("reader", statuses[0]);
  Report("writer", statuses[1]);
  return result == 0 ? 0 : 1;
}

HELPER(Controls) {
  const Action handler(SIGUSR1, DoNothing);
  return CallControl(args);
}

// With a key file that is there before, and if it is wanted, a segment that has its key.
HELPER(ControlsWithAFile) {
  const std::string file = args.Bytes("file");
  const Fd fd(Check(open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644), "open"));
  WriteHere(fd.get(), kContent);
  const key_t key = Check(ftok(file.c_str(), 0x27), "ftok");
  Report("key", static_cast<std::int64_t>(static_cast<unsigned>(key)));
  if (args.Int("taken", 0) == 1) Check(shmget(key, 10, IPC_CREAT | IPC_EXCL | 0600), "shmget");
  return CallControl(args);
}

nlohmann::json Picture(const std::string& reader, const std::string& writer,
                       const std::string& file) {
  return {{"reader", reader}, {"writer", writer}, {"file", file}};
}

std::string NewFile() { return "key_" + RandomWord(8); }

// Holds the program when it has been started and has not done anything yet. (Held before its exec,
// a child of vfork would hold its parent too.)
int HoldStartOf(Sandbox& box, const std::string& program) {
  const auto where = [program](const Event& event) {
    return event.detail.find(program) != std::string::npos;
  };
  return box.AddRule({.family = Family::kExec, .where = where, .hold = true, .after = true});
}

// Without what there may be in /dev/shm.
std::vector<TreeEntry> FilesIn(const Sandbox& box) {
  std::vector<TreeEntry> files = box.Names();
  std::erase_if(files, [](const TreeEntry& file) { return !file.path.starts_with("/tmp/"); });
  return files;
}

std::vector<std::string> ChildrenLeft(const Sandbox& box, const Helper& caller) {
  std::vector<std::string> left;
  for (const Process& process : box.Children()) {
    if (process.alive && process.pid != caller.pid()) {
      left.push_back("a process that runs " + process.program);
    }
  }
  return left;
}

std::vector<std::string> AllLeft(Sandbox& box, const Helper& caller) {
  std::vector<std::string> all = LeftBehind(box, caller.call());
  for (std::string& name : SysvLeft(box)) all.push_back(std::move(name));
  for (std::string& name : NamesLeft(box)) all.push_back(std::move(name));
  for (std::string& child : ChildrenLeft(box, caller)) all.push_back(std::move(child));
  return all;
}

// ---- Running both -------------------------------------------------------------------------------

TEST_F(Control, RunsAReaderAndAWriter) {
  Sandbox box;
  const std::string text = Joined(RandomLines(20, 100));

  Helper caller = box.Start("Controls", Picture("reads LIBRARY", "writes LIBRARY", NewFile()),
                            {.input = text + "end\n"});

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(caller.output(), SameBytesAs(text))
      << "from the writer's input to the reader's output";
  EXPECT_THAT(StatusOf(caller, "reader"), SaysExit(0)) << "statuses[0]";
  EXPECT_THAT(StatusOf(caller, "writer"), SaysExit(0)) << "statuses[1]";
  for (const char* program : {"reads", "writes"}) {
    const std::vector<Process> running = RunningProgram(box, program);
    ASSERT_EQ(running.size(), 1u) << "processes that run " << program;
    EXPECT_THAT(running[0].parent, Is(caller.pid()))
        << "the parent of " << program << ": the caller";
    EXPECT_THAT(StraysAtExec(box, running[0]), NoStrays());
  }
  EXPECT_THAT(AllLeft(box, caller), NothingLeftBehind());
}

// "tells reader 27001f03: there is a segment" for each program, in the order of the words.
struct Told {
  std::string word;
  std::string key;
  bool segment = false;
};

std::vector<Told> WhatWasTold(const std::string& output) {
  std::vector<Told> all;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    Told told;
    words >> name >> told.word >> told.key;
    if (told.key.ends_with(':')) told.key.pop_back();
    told.segment = line.ends_with("there is a segment");
    all.push_back(told);
  }
  std::ranges::sort(all, {}, &Told::word);
  return all;
}

TEST_F(Control, HandsTheKeyToBothPrograms) {
  Sandbox box;
  const std::string file = NewFile();

  Helper caller = box.Start("ControlsWithAFile", Picture("tells reader", "tells writer", file));

  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  const std::vector<Told> told = WhatWasTold(caller.output());
  ASSERT_EQ(told.size(), 2u) << "programs that have run. They wrote: " << caller.output();
  for (const Told& one : told) {
    char* end = nullptr;
    const auto key = static_cast<std::int64_t>(std::strtoul(one.key.c_str(), &end, 16));
    EXPECT_THAT(key, Is(caller.Reported("key")))
        << "The last argument of the " << one.word << " is \"" << one.key
        << "\", and was read as a number in hexadecimal digits. It should be ftok(key_file, 0x27).";
    EXPECT_TRUE(*end == '\0' && one.key.find_first_of("xX") == std::string::npos)
        << "\"" << one.key << "\" is more than hexadecimal digits";
    EXPECT_TRUE(one.segment) << "the " << one.word << " found no segment with this key";
  }
  EXPECT_THAT(box.FileContents(file).value_or("(no file)"), IsText(kContent))
      << "what the key file holds, which was there before";
}

TEST_F(Control, ReportsHowEachHasEnded) {
  Sandbox box;
  const auto code = RandomInt(1, 100);
  const std::string failing = "fails " + std::to_string(code);

  Helper first = box.Start("Controls", Picture(failing, "fails 0", NewFile()));
  EXPECT_THAT(OutcomeOf(first), Succeeds());
  EXPECT_THAT(StatusOf(first, "reader"), SaysExit(static_cast<int>(code))) << "statuses[0]";
  EXPECT_THAT(StatusOf(first, "writer"), SaysExit(0)) << "statuses[1]";

  Helper second = box.Start("Controls", Picture("fails 0", "no_such_program", NewFile()));
  EXPECT_THAT(OutcomeOf(second), Succeeds());
  EXPECT_THAT(StatusOf(second, "reader"), SaysExit(0)) << "statuses[0]";
  EXPECT_THAT(StatusOf(second, "writer"), SaysExit(127)) << "statuses[1]; there is no such program";
  EXPECT_FALSE(AnyChildStrayed(box)) << "a child came back into the caller's code";
  EXPECT_THAT(AllLeft(box, second), NothingLeftBehind());
}

TEST_F(Control, LetsAReaderFinish) {
  Sandbox box({.watch = {Family::kExec}});
  const int start = HoldStartOf(box, "reads");

  Helper caller = box.Start("Controls", Picture("reads LIBRARY", "writes LIBRARY", NewFile()),
                            {.input = "end\n"});

  ASSERT_TRUE(SomebodyComesTo(box, start));
  EXPECT_TRUE(ComesToRest(box));
  const std::vector<TreeEntry> files = FilesIn(box);
  ASSERT_EQ(files.size(), 1u) << "files while the programs run: the key file";
  EXPECT_THAT(files[0].permissions & 0777, Is(0600)) << "the mode of the key file that was made";
  EXPECT_THAT(StatusOf(box, "writes"), SaysExit(0))
      << "how the writer has ended, before the reader's program begins";
  EXPECT_TRUE(Interrupt(box, caller, SIGUSR1));
  EXPECT_TRUE(ComesToRest(box));
  box.Release(start);
  EXPECT_THAT(OutcomeOf(caller), Succeeds());
  EXPECT_THAT(StatusOf(caller, "reader"), SaysExit(0))
      << "statuses[0]. The writer had passed \"end\" and ended long before, with exit code 0.";
  EXPECT_THAT(StatusOf(caller, "writer"), SaysExit(0)) << "statuses[1]";
}

// ---- When one fails -----------------------------------------------------------------------------

TEST_F(Control, EndsTheWaitForAPartnerThatFailed) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string text = "a\nb\nc\nend\n";

  Helper lonely = box.Start("Controls", Picture("reads LIBRARY", "no_such_program", NewFile()));
  EXPECT_THAT(OutcomeOf(lonely), Succeeds()) << "the writer is no program";
  EXPECT_THAT(StatusOf(lonely, "writer"), SaysExit(127)) << "statuses[1]";
  // Whether it was started before the removal or after it.
  EXPECT_THAT(StatusOf(lonely, "reader"), testing::AnyOf(SaysExit(EIDRM), SaysExit(ENOENT)))
      << "statuses[0]: " << kTellsErrno << "line_read() fails, for line_remove() was called";

  Helper unread =
      box.Start("Controls", Picture("fails 3", "writes LIBRARY", NewFile()), {.input = text});
  EXPECT_THAT(OutcomeOf(unread), Succeeds()) << "the reader has failed";
  EXPECT_THAT(StatusOf(unread, "reader"), SaysExit(3)) << "statuses[0]";
  EXPECT_THAT(StatusOf(unread, "writer"), testing::AnyOf(SaysExit(EIDRM), SaysExit(ENOENT)))
      << "statuses[1]: " << kTellsErrno << "line_write() fails, for line_remove() was called";
  EXPECT_THAT(AllLeft(box, unread), NothingLeftBehind());

  // Killed in the middle of a text.
  const auto by_reader = [&box](const Event& event) {
    return box.observer().process(event.pid).program == "reads";
  };
  const int use = box.AddRule({.family = Family::kWrite, .where = by_reader, .hold = true});
  Helper caller =
      box.Start("Controls", Picture("reads LIBRARY", "writes LIBRARY", NewFile()), {.input = text});
  ASSERT_TRUE(SomebodyComesTo(box, use));
  const pid_t reader = *box.observer().Held(use).begin();
  EXPECT_TRUE(ComesToRest(box));
  kill(reader, SIGKILL);
  EXPECT_THAT(OutcomeOf(caller), Succeeds()) << "the reader was killed while it used a text";
  EXPECT_THAT(StatusOf(caller, "reader"), SaysKilledBy(SIGKILL)) << "statuses[0]";
  EXPECT_THAT(StatusOf(caller, "writer"), SaysExit(EIDRM))
      << "statuses[1]: " << kTellsErrno << "line_write() fails, for line_remove() was called";
  EXPECT_THAT(AllLeft(box, caller), NothingLeftBehind());
}

TEST_F(Control, CleansUpWhatItCannotFinish) {
  const auto call = [](Sandbox& box, const nlohmann::json& picture, int error, const char* why) {
    Helper caller = box.Start("Controls", picture);
    EXPECT_THAT(caller.Wait(), Exited(1));
    EXPECT_THAT(caller.call(), FailedWith(error)) << why;
    EXPECT_THAT(AllLeft(box, caller), NothingLeftBehind()) << why;
  };
  {
    Sandbox box;
    call(box, Picture("", "tells a", NewFile()), EINVAL, "reader[0] is null");
    call(box, Picture("tells a", "", NewFile()), EINVAL, "writer[0] is null");
    call(box, Picture("tells a", "tells b", "nowhere/key"), ENOENT,
         "there is no directory for the key file");
  }
  for (const int nth : {1, 2}) {
    Sandbox box({.watch = {Family::kFork}});
    box.Fail(Family::kFork, EAGAIN, nth);
    call(box, Picture("stays", "stays", NewFile()), EAGAIN,
         nth == 1 ? "the first fork failed" : "the second fork failed");
  }
  Sandbox box;
  auto picture = Picture("tells a", "tells b", NewFile());
  picture["taken"] = 1;
  Helper second = box.Start("ControlsWithAFile", picture);
  EXPECT_THAT(second.Wait(), Exited(1));
  EXPECT_THAT(second.call(), FailedWith(EEXIST)) << "a segment has the key already";
  EXPECT_THAT(Segments(box).size(), Is(1)) << "segments: the one that was there";
  EXPECT_THAT(NamesLeft(box).size(), Is(1)) << "names: the key file that was there";
  EXPECT_THAT(second.output(), IsText("")) << "no program was started";
}

}  // namespace
}  // namespace ipclab
