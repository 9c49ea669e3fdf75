// Exercise shm.3: one writer and one reader.

#include <sys/syscall.h>
#include <unistd.h>

#include "graders/shm/line.h"
#include "labs/shm/shm.h"

namespace ipclab {
namespace {

using shm::kTextSize;
using shm::line_create;
using shm::line_read;
using shm::line_remove;
using shm::line_write;

EXERCISE(Line);

void Kill(pid_t pid) {
  if (kill(pid, SIGKILL) == -1 && errno != ESRCH) throw SystemError(errno, "kill");
}

// ---- Making and removing ------------------------------------------------------------------------

TEST_F(Line, MakesAllOfItAndRemovesAllOfIt) {
  Sandbox box;
  const int other = NewSegment(box, {.key = RandomKey()});
  const std::vector<std::string> before = AllObjects(box);
  const Passing first(box);
  const std::vector<SysvObject> segments = Segments(box);
  EXPECT_THAT(std::ranges::count(segments, first.key(), &SysvObject::key), Is(1))
      << "segments that have the key";
  EXPECT_THAT(OpenToOthers(box), IsForItsUserAlone());

  const std::vector<std::string> made = AllObjects(box);
  for (const key_t key : {first.key(), IPC_PRIVATE}) {
    Helper second = box.Start("CreatesLine", {{"key", key}});
    EXPECT_THAT(second.Wait(), Exited(1));
    EXPECT_THAT(second.call(), FailedWith(key == IPC_PRIVATE ? EINVAL : EEXIST))
        << (key == IPC_PRIVATE ? "the key is IPC_PRIVATE" : "a segment has the key already");
    EXPECT_THAT(AllObjects(box), testing::ElementsAreArray(made)) << "all remains as it is";
  }

  Helper remover = box.Start("RemovesLine", {{"key", first.key()}});
  EXPECT_THAT(OutcomeOf(remover), Succeeds());
  EXPECT_THAT(AllObjects(box), testing::ElementsAreArray(before)) << "what was there before";
  Helper again = box.Start("RemovesLine", {{"key", first.key()}});
  EXPECT_THAT(again.Wait(), Exited(1));
  EXPECT_THAT(again.call(), FailedWith(ENOENT)) << "nothing has the key any more";
  EXPECT_THAT(FindSegment(box, other), IsNotMarked()) << "another segment";
}

TEST_F(Line, LeavesNothingThatIsNotFinished) {
  // The calls that make objects: whichever of them the student's line_create needs.
  for (const Family family : {Family::kSharedMemory, Family::kSemaphores}) {
    for (int nth = 1; nth <= 2; ++nth) {
      Sandbox box({.watch = {family}});
      const auto makes = [](const Event& event) {
        return event.function == "line_create" && event.number != SYS_shmdt &&
               event.number != SYS_shmctl;
      };
      box.AddRule({.family = family, .nth = nth, .where = makes, .answer = -ENOSPC});
      const key_t key = RandomKey();
      Helper creator = box.Start("CreatesLine", {{"key", key}});
      EXPECT_THAT(OutcomeOf(creator), ComesToItsEnd());
      const bool was_met = std::ranges::any_of(box.Calls(family), &Event::injected);
      if (creator.call().value == -1) {
        EXPECT_THAT(creator.call(), FailedWith(ENOSPC)) << "one of its calls failed with it";
        EXPECT_THAT(AllObjects(box), NothingLeftBehind());
      } else {
        EXPECT_FALSE(was_met) << "a call of line_create() failed with ENOSPC, and it returned 0";
      }
      if (!was_met) break;
    }
  }
}

// ---- Passing ------------------------------------------------------------------------------------

TEST_F(Line, PassesEveryLineOnce) {
  for (const bool reader_first : {true, false}) {
    Sandbox box;
    Passing passing(box);
    const std::vector<std::string> lines = RandomLines(30, 200);
    const std::string input = Joined(lines) + "end\n";

    std::optional<Helper> reader;
    std::optional<Helper> writer;
    if (reader_first) reader.emplace(passing.Reader());
    if (!reader_first) writer.emplace(passing.Writer(input));
    EXPECT_TRUE(ComesToRest(box));
    const std::vector<SysvObject> segments = Segments(box);
    EXPECT_THAT(segments, testing::Contains(IsAttached(1)))
        << "one of the two has started, and waits";
    if (reader_first) writer.emplace(passing.Writer(input));
    if (!reader_first) reader.emplace(passing.Reader());

    EXPECT_THAT(OutcomeOf(*writer), Succeeds());
    EXPECT_THAT(OutcomeOf(*reader), Succeeds());
    EXPECT_THAT(reader->output(), SameBytesAs(Joined(lines)))
        << (reader_first ? "The reader started first." : "The writer started first.");
    EXPECT_THAT(writer->call(), Returned(lines.size())) << "lines, and each is a text";
    EXPECT_THAT(reader->call(), Returned(lines.size())) << "lines, and each is a text";
    passing.Remove();
  }
}

// One line and a half, and no end of file.
HELPER(WritesFromASilentPipe) {
  PipeEnds line = MakePipe();
  WriteHere(line.write.get(), args.Bytes("input"));
  return STUDENT(line_write)(KeyOf(args), line.read.get()) == -1 ? 1 : 0;
}

TEST_F(Line, PassesALineAsSoonAsItIsComplete) {
  Sandbox box;
  Passing passing(box);
  const std::string line = RandomWord(20) + "\n";

  Helper reader = passing.Reader();
  box.Start("WritesFromASilentPipe",
            {{"key", passing.key()}, {"input", Binary(line + RandomWord(20))}});

  EXPECT_TRUE(Comes(box, [&] { return reader.output().size() >= line.size(); }))
      << "A line has come, and half of the next. What follows comes late.";
  EXPECT_THAT(reader.output(), SameBytesAs(line));
}

TEST_F(Line, CutsWhatIsTooLong) {
  Sandbox box;
  Passing passing(box);
  std::string text;
  for (const std::size_t size : {kTextSize - 2, kTextSize - 1, kTextSize, kTextSize + 1,
                                 2 * kTextSize - 2, 2 * kTextSize, std::size_t{10000}}) {
    text += RandomWord(size - 1) + "\n" + RandomWord(5) + "\n";
  }

  Helper reader = passing.Reader();
  Helper writer = passing.Writer(text + "end\n");

  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  EXPECT_THAT(reader.output(), SameBytesAs(text)) << "with lines of 4094 to 10000 bytes";
  EXPECT_THAT(reader.call(), Returned(writer.call().value)) << "as many texts as were written";
  EXPECT_THAT(writer.call().value, IsAtLeast(20)) << "texts: 14 lines, some of them in pieces";
}

TEST_F(Line, GoesOnAfterShortCountsAndSignals) {
  Sandbox box({.watch = {Family::kRead, Family::kWrite}});
  box.Fail(Family::kRead, EINTR, 2);
  box.Fail(Family::kWrite, EINTR, 2);
  box.Shorten(Family::kRead, 70);
  box.Shorten(Family::kWrite, 50);
  Passing passing(box);
  const std::vector<std::string> lines = {RandomWord(100) + "\n", RandomWord(10) + "\n",
                                          RandomWord(200) + "\n", RandomWord(5) + "\n"};

  Helper reader = passing.Reader();
  Helper writer = passing.Writer(Joined(lines) + "end\n");

  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  EXPECT_THAT(reader.output(), SameBytesAs(Joined(lines)))
      << "read() gave at most 70 bytes at a time and write() took at most 50; the second call of "
         "each was interrupted by a signal.";
  EXPECT_THAT(writer.call(), Returned(lines.size())) << "lines, and each is a text";
}

struct EndCase {
  std::string input;
  std::string passed;
  int texts;
  const char* what;
};

TEST_F(Line, EndsWithTheLineEnd) {
  const std::string letters(kTextSize - 1, 'x');
  const std::vector<EndCase> cases = {
      {"a\nend\nb\nend\n", "a\n", 1, "there are lines behind \"end\""},
      {"a\nend", "a\n", 1, "\"end\" is the last line and has no newline"},
      {"ending\nthe end\n end\nEND\nen\nd\nendend\nend\n",
       "ending\nthe end\n end\nEND\nen\nd\nendend\n", 7, "some lines only look like \"end\""},
      {"a\nb", "a\nb", 2, "there is no \"end\", and the last line has no newline"},
      {"", "", 0, "there is no input"},
      {letters + "end\nb\nend\n", letters + "end\nb\n", 3, "a piece of a longer line is \"end\""},
  };
  Sandbox box;
  for (const EndCase& end : cases) {
    Passing passing(box);
    Helper reader = passing.Reader();
    Helper writer = passing.Writer(end.input);

    EXPECT_THAT(OutcomeOf(writer), Succeeds()) << end.what;
    EXPECT_THAT(OutcomeOf(reader), Succeeds()) << end.what;
    EXPECT_THAT(reader.output(), SameBytesAs(end.passed)) << end.what;
    EXPECT_THAT(writer.call(), Returned(end.texts)) << end.what;
    EXPECT_THAT(reader.call(), Returned(end.texts)) << end.what;
  }
}

// ---- Orders -------------------------------------------------------------------------------------

TEST_F(Line, OverwritesNothingThatIsBeingRead) {
  Sandbox box({.watch = {Family::kWrite}});
  Passing passing(box);
  const std::vector<std::string> lines = {RandomWord(40) + "\n", RandomWord(40) + "\n",
                                          RandomWord(40) + "\n"};
  Helper reader = passing.Reader();
  const int use = HoldWrite(box, reader);
  Helper writer = passing.Writer(Joined(lines) + "end\n");

  EXPECT_TRUE(SomebodyComesTo(box, use));
  EXPECT_TRUE(ComesToRest(box));  // The writer has gone as far as it may.
  box.Release(use);

  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  EXPECT_THAT(reader.output(), SameBytesAs(Joined(lines)))
      << "The reader was held when it was about to write its first text, and the writer went on as "
         "far as it could.";
}

TEST_F(Line, ShowsNoTextThatIsNotWhole) {
  Sandbox box({.watch = {Family::kSharedMemory, Family::kMap}});
  Passing passing(box);
  const std::string text = RandomWord(100) + "\n";
  Helper writer = passing.Writer(text + "end\n");
  const int store = box.HoldAtStores(writer, "line_write");

  // Between its first store into the segment and its second, if there are two.
  bool between = ReachesStore(box, store);
  if (between) box.Release(store);
  between = between && ReachesStore(box, store);
  Helper reader = passing.Reader();
  EXPECT_TRUE(ComesToRest(box));
  const std::string early = reader.output();
  box.LetRun(store);

  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  const char* const story =
      between ? "The reader came while the writer was held between its first two stores into the "
                "segment: the text was not whole then."
              : "The reader came after the writer.";
  EXPECT_THAT(between ? early : "", IsText("")) << story;
  EXPECT_THAT(reader.output(), SameBytesAs(text)) << story;
}

TEST_F(Line, KeepsTheOrderWhateverTheSchedule) {
  for (const bool slow_writer : {true, false}) {
    Sandbox box(WatchesWakers());
    Passing passing(box);
    const std::vector<std::string> lines = {RandomWord(40) + "\n", RandomWord(30) + "\n",
                                            RandomWord(50) + "\n"};
    Helper reader = passing.Reader();
    Helper writer = passing.Writer(Joined(lines) + "end\n");
    ASSERT_TRUE(GoesStepByStep(box, slow_writer ? writer : reader));

    EXPECT_THAT(OutcomeOf(writer), Succeeds());
    EXPECT_THAT(OutcomeOf(reader), Succeeds());
    EXPECT_THAT(reader.output(), SameBytesAs(Joined(lines)))
        << "Whenever the " << (slow_writer ? "writer" : "reader")
        << " had waited for the other one, or had let it go on, it was held until the other one "
           "had "
           "done all it could.";
  }
}

TEST_F(Line, SleepsUntilItIsWoken) {
  Sandbox box(WatchesWakers());
  Passing passing(box);
  const std::vector<std::string> lines = RandomLines(5, 30);

  Helper reader = passing.Reader();
  ASSERT_TRUE(SleepsUntilWoken(box, reader)) << "there is no text yet";
  ASSERT_TRUE(OthersCanWake(reader)) << "the writer is another process";
  EXPECT_TRUE(Interrupt(box, reader, SIGUSR1));
  ASSERT_TRUE(SleepsUntilWoken(box, reader)) << "there is no text yet; a signal came";
  Helper writer = passing.Writer(Joined(lines) + "end\n");
  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  EXPECT_THAT(reader.output(), SameBytesAs(Joined(lines)));

  Passing other(box);
  Helper early = other.Writer(Joined(lines) + "end\n");
  ASSERT_TRUE(SleepsUntilWoken(box, early)) << "nobody has read the first text yet";
  EXPECT_TRUE(Interrupt(box, early, SIGUSR1));
  ASSERT_TRUE(SleepsUntilWoken(box, early)) << "nobody has read the first text yet; a signal came";
  Helper late = other.Reader();
  EXPECT_THAT(OutcomeOf(early), Succeeds());
  EXPECT_THAT(OutcomeOf(late), Succeeds());
  EXPECT_THAT(late.output(), SameBytesAs(Joined(lines)));
}

// ---- Removing while they work -------------------------------------------------------------------

TEST_F(Line, RemovalEndsAllWaiting) {
  Sandbox box({.watch = {Family::kWrite}});
  const std::string text = "a\nb\nc\nend\n";

  Passing unread(box);
  Helper writer = unread.Writer(text);
  EXPECT_TRUE(ComesToRest(box));
  unread.Remove();
  EXPECT_THAT(writer.Wait(), Exited(1));
  EXPECT_THAT(writer.call(), FailedWith(EIDRM)) << "line_remove() was called while it waited";

  Passing silent(box);
  Helper reader = silent.Reader();
  EXPECT_TRUE(ComesToRest(box));
  silent.Remove();
  EXPECT_THAT(reader.Wait(), Exited(1));
  EXPECT_THAT(reader.call(), FailedWith(EIDRM)) << "line_remove() was called while it waited";

  Passing busy(box);
  Helper slow = busy.Reader();
  const int use = HoldWrite(box, slow);
  Helper other = busy.Writer(text);
  EXPECT_TRUE(SomebodyComesTo(box, use));
  busy.Remove();
  EXPECT_THAT(other.Wait(), Exited(1));
  EXPECT_THAT(other.call(), FailedWith(EIDRM)) << "line_remove() was called while it waited";
  box.Release(use);
  EXPECT_THAT(slow.Wait(), Exited(1));
  EXPECT_THAT(slow.call(), FailedWith(EIDRM)) << "line_remove() was called while it used a text";

  Helper late = box.Start("ReadsLines", {{"key", silent.key()}});
  EXPECT_THAT(late.Wait(), Exited(1));
  EXPECT_THAT(late.call(), FailedWith(ENOENT)) << "nothing has the key any more";
  Helper too = box.Start("WritesLines", {{"key", silent.key()}});
  EXPECT_THAT(too.Wait(), Exited(1));
  EXPECT_THAT(too.call(), FailedWith(ENOENT)) << "nothing has the key any more";
  EXPECT_THAT(AllObjects(box), NothingLeftBehind());
}

TEST_F(Line, RemovalNeedsNobodyWhoIsDead) {
  Sandbox box({.watch = {Family::kWrite, Family::kSharedMemory, Family::kMap}});
  const std::string text = "a\nb\nc\nend\n";

  // Killed while it uses a text: the writer waits for it.
  Passing first(box);
  Helper reader = first.Reader();
  const int use = HoldWrite(box, reader);
  Helper writer = first.Writer(text);
  EXPECT_TRUE(SomebodyComesTo(box, use));
  Kill(reader.pid());
  EXPECT_TRUE(WaitUntilEnded(box, reader.pid()));
  EXPECT_TRUE(ComesToRest(box));
  first.Remove();
  EXPECT_THAT(writer.Wait(), Exited(1));
  EXPECT_THAT(writer.call(), FailedWith(EIDRM))
      << "the reader was killed, then line_remove() called";

  // Killed while it waits for input, having passed one text, or half of one.
  Passing second(box);
  Helper silent = box.Start("WritesFromASilentPipe", {{"key", second.key()}, {"input", "a\nhalf"}});
  EXPECT_TRUE(ComesToRest(box));
  Kill(silent.pid());
  EXPECT_TRUE(WaitUntilEnded(box, silent.pid()));
  Helper alone = second.Reader();
  EXPECT_TRUE(ComesToRest(box));
  second.Remove();
  EXPECT_THAT(alone.Wait(), Exited(1));
  EXPECT_THAT(alone.call(), FailedWith(EIDRM))
      << "the writer was killed, then line_remove() called";

  // Killed in the middle of its stores, with whatever lock it may hold there.
  Passing third(box);
  Helper storing = third.Writer(text);
  const int store = box.HoldAtStores(storing, "line_write");
  if (ReachesStore(box, store)) box.Release(store);
  static_cast<void>(ReachesStore(box, store));
  Kill(storing.pid());
  EXPECT_TRUE(WaitUntilEnded(box, storing.pid()));
  Helper left = third.Reader();
  EXPECT_TRUE(ComesToRest(box));
  third.Remove();
  EXPECT_THAT(left.Wait(), Exited(1));
  EXPECT_THAT(left.call(), FailedWith(EIDRM))
      << "the writer was killed between two stores into the segment, then line_remove() called";
  EXPECT_THAT(AllObjects(box), NothingLeftBehind());
}

TEST_F(Line, LeavesNothingBehind) {
  Sandbox box;
  Passing passing(box);
  Helper reader = passing.Reader();
  Helper writer = passing.Writer("a\nend\n");
  EXPECT_THAT(OutcomeOf(writer), Succeeds());
  EXPECT_THAT(OutcomeOf(reader), Succeeds());
  EXPECT_THAT(LeftBehind(box, writer.call()), NothingLeftBehind()) << "after line_write()";
  EXPECT_THAT(LeftBehind(box, reader.call()), NothingLeftBehind()) << "after line_read()";

  Passing broken(box);
  Helper deaf = box.Start("WritesLines", {{"key", broken.key()}, {"fd", kClosedFd}});
  EXPECT_THAT(deaf.Wait(), Exited(1));
  EXPECT_THAT(deaf.call(), FailedWith(EBADF)) << "in_fd is not open";
  EXPECT_THAT(LeftBehind(box, deaf.call()), NothingLeftBehind()) << "after line_write() has failed";
  Helper source = broken.Writer("a\nend\n");
  Helper mute = box.Start("ReadsLines", {{"key", broken.key()}, {"fd", kClosedFd}});
  EXPECT_THAT(mute.Wait(), Exited(1));
  EXPECT_THAT(mute.call(), FailedWith(EBADF)) << "out_fd is not open";
  EXPECT_THAT(LeftBehind(box, mute.call()), NothingLeftBehind()) << "after line_read() has failed";
  Helper remover = box.Start("RemovesLine", {{"key", broken.key()}});
  EXPECT_THAT(OutcomeOf(remover), Succeeds());
  EXPECT_THAT(LeftBehind(box, remover.call()), NothingLeftBehind()) << "after line_remove()";
  EXPECT_THAT(OutcomeOf(source), ComesToItsEnd());
  passing.Remove();
  EXPECT_THAT(AllObjects(box), NothingLeftBehind());
}

}  // namespace
}  // namespace ipclab
