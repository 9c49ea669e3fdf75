#include "common/observe/busy_wait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "common/observe/blocked.h"
#include "common/observe/poll.h"
#include "common/observe/proc.h"
#include "common/observe/testing/forked.h"

namespace ipclab {
namespace {

using std::chrono::milliseconds;

int Spin() {
  const std::atomic<bool> stop = false;
  while (!stop) {
  }
  return 0;
}

TEST(BusyWait, FindsAProcessThatComputes) {
  const Forked sleeper([] { return pause(); });
  const Forked spinner(Spin);
  const BusyWait busy(milliseconds(20));

  std::optional<Spinner> found;
  ASSERT_TRUE(PollUntil([&] {
    found = busy.Sample({sleeper.pid(), spinner.pid()});
    return found.has_value();
  }));

  EXPECT_EQ(found->pid, spinner.pid());
  EXPECT_EQ(found->inner_pid, spinner.pid());
  EXPECT_GE(found->used, milliseconds(20));
}

TEST(BusyWait, AddsUpThreads) {
  const Forked spinner([] {
    std::thread(Spin).detach();
    return pause();
  });
  const BusyWait busy(milliseconds(20));

  EXPECT_TRUE(PollUntil([&] { return busy.Sample({spinner.pid()}).has_value(); }));
}

TEST(BusyWait, DoesNotCountTimeAsleep) {
  const Forked sleeper([] { return pause(); });
  const Forked spinner(Spin);
  ASSERT_TRUE(WaitUntilBlockedIn(sleeper.pid(), {SYS_pause, SYS_ppoll}));
  const std::optional<std::chrono::nanoseconds> before = CpuTime(sleeper.pid());
  ASSERT_TRUE(PollUntil([&] { return *CpuTime(spinner.pid()) > milliseconds(50); }));

  EXPECT_EQ(CpuTime(sleeper.pid()), before);
  EXPECT_EQ(BusyWait(milliseconds(50)).Sample({sleeper.pid()}), std::nullopt);
}

TEST(BusyWait, DoesNotCountWhatTheProcessUsedForOthers) {
  const Forked spinner(Spin);
  const BusyWait busy(milliseconds(20));
  ASSERT_TRUE(PollUntil([&] { return *CpuTime(spinner.pid()) > milliseconds(30); }));

  EXPECT_EQ(busy.Sample({spinner.pid()}, {{spinner.pid(), *CpuTime(spinner.pid())}}), std::nullopt);
}

TEST(BusyWait, IgnoresAProcessThatIsGone) {
  Forked process([] { return 0; });
  process.Wait();

  EXPECT_EQ(CpuTime(process.pid()), std::nullopt);
  EXPECT_EQ(BusyWait(milliseconds(0)).Sample({process.pid()}), std::nullopt);
}

TEST(Spinner, IsExplainedWithItsProcessorTime) {
  const Spinner spinner{.pid = 4711, .inner_pid = 3, .used = milliseconds(1040)};

  EXPECT_EQ(
      spinner.Explain("child of open_session"),
      "Process 3 (child of open_session) has used 1.0 s of processor time and still computes. "
      "It tries again and again instead of sleeping in a call until something happens.");
  EXPECT_THAT(spinner.Explain(""), testing::StartsWith("Process 3 has used 1.0 s"));
}

}  // namespace
}  // namespace ipclab
