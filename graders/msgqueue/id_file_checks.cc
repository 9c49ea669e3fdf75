// Exercise msgqueue.1 too: the id of a queue in a file.

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/grading/exercise.h"
#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {
namespace {

using msgqueue::q_from_file;
using msgqueue::q_private;

EXERCISE(IdFile);

constexpr const char* kIdFile = "queue.id";

void WriteFile(const char* path, std::string_view text) {
  const Fd fd(Check(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open"));
  WriteHere(fd.get(), text);
}

std::string ReadFile(const char* path) {
  const Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  return fd.get() == -1 ? "no such file" : ReadHere(fd.get());
}

// What stands there under the name of the id file, as seen from outside.
struct Sight {
  ino_t inode = 0;
  std::int64_t size = -1;  // -1: nothing.
  mode_t permissions = 0;

  bool operator==(const Sight& other) const { return inode == other.inode && size == other.size; }
};

Sight Look(const Sandbox& box) {
  for (const TreeEntry& entry : box.Names()) {
    if (entry.path == std::string("/tmp/") + kIdFile) {
      return {entry.inode, entry.size, entry.permissions};
    }
  }
  return {};
}

HELPER(MakesAPrivateQueue) {
  umask(022);
  const std::string before = args.Bytes("before");
  if (!before.empty()) WriteFile(kIdFile, before);
  Gate();
  const int qid = STUDENT(q_private)(kIdFile, static_cast<mode_t>(args.Int("mode")));
  Report("text", ReadFile(kIdFile));
  Report("want", std::to_string(qid) + "\n");
  return 0;
}

MATCHER(IsReadableForAll, "the file has mode 0644 less the umask 022") {
  *result_listener << "mode 0" << std::oct << arg.permissions;
  return arg.permissions == 0644;
}

// Stops `caller` at the end of its next call that could touch a file.
std::vector<int> StopAfterNextCall(Sandbox& box, const Helper& caller) {
  std::vector<int> gates;
  for (const Family family : {Family::kOpen, Family::kWrite, Family::kClose}) {
    const auto where = [pid = caller.pid()](const Event& event) {
      return event.pid == pid && !event.function.empty();
    };
    gates.push_back(box.AddRule({.family = family, .where = where, .hold = true, .after = true}));
  }
  return gates;
}

// What somebody sees who looks before q_private(), after each such call in it, and in the end.
std::vector<Sight> LookOnTheWay(Sandbox& box, const Helper& caller, int start) {
  std::vector<int> gates = {start};
  const auto held = [&] { return !box.observer().AllHeld().empty(); };
  std::vector<Sight> sights;
  do {
    if (!Comes(box, [&] { return held() || caller.call().returned; })) break;
    sights.push_back(Look(box));
    const std::vector<int> passed = std::exchange(gates, StopAfterNextCall(box, caller));
    for (const int gate : passed) box.Release(gate);
  } while (!caller.call().returned && caller.process().alive);
  return sights;
}

TEST_F(IdFile, TellsTheIdInOnePiece) {
  Sandbox box({.watch = {Family::kOpen, Family::kWrite, Family::kClose, Family::kSignalSend}});
  const std::string longer = RandomWord(20) + "\n";
  for (const std::string& before : {std::string(), longer}) {
    const std::int64_t mode = RandomInt(1, 077) | 0600;
    const int start = HoldAtGate(box);
    Helper caller = box.Start("MakesAPrivateQueue", {{"before", before}, {"mode", mode}});
    const std::vector<Sight> sights = LookOnTheWay(box, caller, start);

    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
    const auto queue = QueueOf(box, caller.call().value);
    ASSERT_TRUE(queue && queue->key == 0)
        << DescribeCall(caller.call()) << ", and that is no queue without a key";
    EXPECT_THAT(*queue, HasMode(mode, "the queue"));
    EXPECT_THAT(caller.ReportedBytes("text"), IsText(caller.ReportedBytes("want")));
    for (const Sight& sight : sights) {
      EXPECT_TRUE(sight == sights.front() || sight == sights.back())
          << "somebody looks for " << kIdFile << " between two of your calls, and finds "
          << (sight.size == -1 ? "no file" : "a file of " + Count(sight.size, "byte"))
          << ": neither what was there before nor all that is there in the end";
    }
    EXPECT_THAT(sights.back(), IsReadableForAll());
    EXPECT_THAT(NamesLeft(box), testing::ElementsAre(std::string("file /tmp/") + kIdFile))
        << "files beside it are left";
  }
}

HELPER(FindsQueues) {
  const OwnQueue queue;
  OwnQueue removed;
  Report("id", queue.id());
  const std::string live = std::to_string(queue.id());
  const std::string stale = std::to_string(removed.id()) + "\n";
  removed.Remove();
  STUDENT(q_from_file)("nowhere");
  for (const std::string& text : {live + "\n", stale, std::string(), live, live + "x\n",
                                  std::string("-1\n"), live + "99999999999\n"}) {
    WriteFile(kIdFile, text);
    STUDENT(q_from_file)(kIdFile);
  }
  unlink(kIdFile);
  return 0;
}

TEST_F(IdFile, FindsTheQueueByItsIdFile) {
  Sandbox box;

  Helper caller = box.Start("FindsQueues");

  EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd());
  EXPECT_THAT(caller.call(0), FailedWith(ENOENT)) << "there is no file";
  EXPECT_THAT(caller.call(1), Returned(caller.Reported("id")));
  EXPECT_THAT(caller.call(2), FailedWith(ENOENT)) << "the queue has been removed";
  EXPECT_THAT(caller.call(3), FailedWith(EBADMSG)) << "the file is empty";
  EXPECT_THAT(caller.call(4), FailedWith(EBADMSG)) << "the newline is missing: half a number?";
  EXPECT_THAT(caller.call(5), FailedWith(EBADMSG)) << "a letter stands behind the number";
  EXPECT_THAT(caller.call(6), FailedWith(EBADMSG)) << "the number is -1";
  EXPECT_THAT(caller.call(7), FailedWith(EBADMSG)) << "no id has so many digits";
  EXPECT_THAT(caller.Leftovers(), NothingLeftBehind());
}

HELPER(MakesAPrivateQueueIn) {
  Check(mkdir("taken", 0700), "mkdir");
  WriteFile(kIdFile, args.Bytes("before"));
  STUDENT(q_private)(args.Bytes("path").c_str(), 0600);
  Report("text", ReadFile(kIdFile));
  unlink(kIdFile);
  rmdir("taken");
  return 0;
}

TEST_F(IdFile, LeavesNoQueueWithoutItsFile) {
  struct Row {
    const char* what;
    const char* path;
    Family family;  // kNone: nothing is made to fail.
    int error;
  };
  constexpr Row kRows[] = {{"no file can be opened", kIdFile, Family::kOpen, EMFILE},
                           {"nothing can be written", kIdFile, Family::kWrite, ENOSPC},
                           {"there is no such directory", "no/way", Family::kNone, ENOENT},
                           {"a directory has this name", "taken", Family::kNone, 0}};
  Sandbox box({.watch = {Family::kOpen, Family::kWrite}});
  for (const Row& row : kRows) {
    const std::string before = RandomWord(20);
    Helper caller = box.Start("MakesAPrivateQueueIn", {{"before", before}, {"path", row.path}});
    if (row.family != Family::kNone) {
      const auto where = [family = row.family, pid = caller.pid()](const Event& event) {
        const bool opens = event.number != SYS_unlink && event.number != SYS_unlinkat;
        return event.pid == pid && !event.function.empty() && (family != Family::kOpen || opens);
      };
      box.AddRule({.family = row.family, .nth = 0, .where = where, .answer = -row.error});
    }

    EXPECT_THAT(OutcomeOf(caller), ComesToItsEnd()) << row.what;
    if (row.error != 0) {
      EXPECT_THAT(caller.call(), FailedWith(row.error)) << row.what;
    } else {
      EXPECT_THAT(caller.call(), Fails()) << row.what;
    }
    EXPECT_THAT(SysvLeft(box), NothingLeftBehind()) << row.what;
    EXPECT_THAT(NamesLeft(box), NothingLeftBehind()) << row.what;
    EXPECT_THAT(caller.Leftovers(), NothingLeftBehind()) << row.what;
    EXPECT_THAT(caller.ReportedBytes("text"), IsText(before))
        << row.what << ", and the former file has changed";
  }
}

}  // namespace
}  // namespace ipclab
