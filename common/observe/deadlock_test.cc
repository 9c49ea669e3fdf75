// Processes that can never go on because of pipes, and what the proof says about them.

#include "common/observe/deadlock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "common/observe/poll.h"
#include "common/observe/proc.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST(Deadlock, OfAReaderThatHoldsItsOwnWriteEnd) {
  const Forked parent([] {
    StartAfresh();
    return ReadByte(OpenPipe().read_end);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in read() on descriptor 3, pipe A, for bytes or end of file; "
            "the write end of pipe A is still open in process 1 itself (descriptor 4), so end of "
            "file can never come.");
}

TEST(Deadlock, OfAChildThatKeptTheWriteEndItInherited) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    const pid_t child = ForkFrom([&] { return ReadByte(pipe.read_end); });
    close(pipe.read_end);
    close(pipe.write_end);
    return WaitForChild(child);
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 2 (child 2) waits in read() on descriptor 3, pipe A, for bytes or end of file; "
      "the write end of pipe A is still open in process 2 itself (descriptor 4), so end of "
      "file can never come. Process 1 (parent) waits in wait4() for process 2.");
}

TEST(Deadlock, OfAParentThatWaitsBeforeItClosesItsWriteEnd) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    const pid_t child = ForkFrom([&] {
      close(pipe.write_end);
      return ReadByte(pipe.read_end);
    });
    close(pipe.read_end);
    return WaitForChild(child);
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 2 (child 2) waits in read() on descriptor 3, pipe A, for bytes or end of file; "
      "the write end of pipe A is open in process 1 (parent) (descriptor 4). Process 1 waits "
      "in wait4() for process 2. They wait for each other, so neither can go on.");
}

TEST(Deadlock, OfTwoProcessesThatBothReadFirst) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe down = OpenPipe(), up = OpenPipe();
    ForkFrom([&] {
      close(down.write_end);
      close(up.read_end);
      return ReadByte(down.read_end);
    });
    close(down.read_end);
    close(up.write_end);
    return ReadByte(up.read_end);
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 1 (parent) waits in read() on descriptor 5, pipe A, for bytes or end of file; "
      "the write end of pipe A is open in process 2 (child 2) (descriptor 6). Process 2 waits "
      "in read() on descriptor 3, pipe B, for bytes or end of file; the write end of pipe B is "
      "open in process 1 (descriptor 4). They wait for each other, so neither can go on.");
}

TEST(Deadlock, OfAParentThatWaitsForTheWriterOfAFullPipe) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    const pid_t child = ForkFrom([&] {
      close(pipe.read_end);
      FillPipe(pipe.write_end);
      return WriteByte(pipe.write_end);
    });
    close(pipe.write_end);
    return WaitForChild(child);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 2 (child 2) waits in write() on descriptor 4, pipe A, for room, because it is "
            "full; the read end of pipe A is open in process 1 (parent) (descriptor 3). Process 1 "
            "waits in wait4() for process 2. They wait for each other, so neither can go on.");
}

TEST(Deadlock, OfAWriterThatIsItsOwnOnlyReader) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    FillPipe(pipe.write_end);
    return WriteByte(pipe.write_end);
  });

  EXPECT_EQ(ProvedDeadlock(parent.pid()),
            "Process 1 (parent) waits in write() on descriptor 4, pipe A, for room, because it is "
            "full; the read end of pipe A is still open in process 1 itself (descriptor 3), so "
            "nobody else will make room.");
}

TEST(Deadlock, OfAPipelineWithAStrayEndInItsMiddle) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe first = OpenPipe(), second = OpenPipe();
    const auto middle = [&] {
      close(first.write_end);
      while (ReadByte(first.read_end) == 0) {
      }
      return ReadByte(second.read_end);  // Its own write end is still open.
    };
    const auto last = [&] {
      close(first.read_end);
      close(first.write_end);
      close(second.write_end);
      return ReadByte(second.read_end);
    };
    ForkFrom(middle);
    ForkFrom(last);
    for (int fd = 3; fd <= 6; ++fd) close(fd);
    while (wait(nullptr) > 0) {
    }
    return 0;
  });

  EXPECT_EQ(
      ProvedDeadlock(parent.pid()),
      "Process 2 (child 2) waits in read() on descriptor 5, pipe A, for bytes or end of file; "
      "the write end of pipe A is still open in process 2 itself (descriptor 6), so end of "
      "file can never come. Process 1 (parent) waits in wait4() for any child (process 2 and "
      "process 3 (child 3)) to end. Process 3 waits in read() on descriptor 5, pipe A, for "
      "bytes or end of file; the write end of pipe A is open in process 2 (descriptor 6).");
}

TEST(Deadlock, OfAThirdStageThatWaitsForTheParentsCopyOfAnEnd) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe first = OpenPipe(), second = OpenPipe();
    ForkFrom([&] {
      close(first.write_end);
      close(second.read_end);
      return ReadByte(first.read_end);
    });
    const pid_t last = ForkFrom([&] {
      close(first.read_end);
      close(first.write_end);
      close(second.write_end);
      return ReadByte(second.read_end);
    });
    close(first.write_end);
    close(first.read_end);
    return WaitForChild(last);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              EndsWith("They wait for each other, so neither can go on."));
}

TEST(Deadlock, OfThreeProcessesInACircle) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe a = OpenPipe(), b = OpenPipe(), c = OpenPipe();
    const auto keep = [](int read_end, int write_end) {
      for (int fd = 3; fd <= 8; ++fd) {
        if (fd != read_end && fd != write_end) close(fd);
      }
      return ReadByte(read_end);
    };
    ForkFrom([&] { return keep(a.read_end, b.write_end); });
    ForkFrom([&] { return keep(b.read_end, c.write_end); });
    return keep(c.read_end, a.write_end);
  });

  EXPECT_THAT(ProvedDeadlock(parent.pid()),
              EndsWith("They wait for each other in a circle, so none of them can go on."));
}

TEST(Deadlock, OfAThreadThatReadsWhatItsOwnProcessShouldWrite) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    std::thread reader([&] { ReadByte(pipe.read_end); });
    reader.join();
    return 0;
  });

  const std::string text = ProvedDeadlock(parent.pid());
  EXPECT_THAT(text,
              HasSubstr(", waits in read() on descriptor 3, pipe A, for bytes or end of file; "
                        "the write end of pipe A is still open in process 1 itself "
                        "(descriptor 4)."));
  EXPECT_THAT(text, HasSubstr("waits in futex() for a lock"));
  EXPECT_THAT(text, EndsWith("Nobody is left who could end this."));
}

TEST(Deadlock, OfManyProcessesNamesAFewAndCountsTheRest) {
  const Forked parent([] {
    StartAfresh();
    const RawPipe pipe = OpenPipe();
    for (int i = 0; i < 11; ++i) ForkFrom([&] { return ReadByte(pipe.read_end); });
    return ReadByte(pipe.read_end);
  });
  ASSERT_TRUE(PollUntil([&] { return ProcessTree(parent.pid()).size() == 12; }));

  const std::string text = ProvedDeadlock(parent.pid());
  EXPECT_THAT(text, HasSubstr(" and others, so end of file can never come."));
  EXPECT_THAT(text, EndsWith(" 4 more waits hang on these."));
}

}  // namespace
}  // namespace ipclab
