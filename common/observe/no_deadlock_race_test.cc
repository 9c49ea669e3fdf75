// Processes that run, end, come and go while they are looked at: never a deadlock.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/observe/blocked.h"
#include "common/observe/deadlock.h"
#include "common/observe/poll.h"
#include "common/observe/testing/forked.h"
#include "common/observe/testing/gate.h"
#include "common/observe/testing/world.h"

namespace ipclab {
namespace {

constexpr int kManyLooks = 1000;

// A gate whose pipe is also held by the child, so that nothing shows that it is served from
// outside.
TEST(NoDeadlock, WhenAProcessRanBetweenTheTwoLooks) {
  const Gate gate;
  const Forked process([&] {
    for (;;) gate.Wait();
    return 0;
  });
  ASSERT_TRUE(gate.HasArrived(process.pid()));
  World world{.processes = {process.pid()}};
  ASSERT_TRUE(FindDeadlock(world).has_value());
  const auto switches = [&] { return ReadStatus(process.pid())->voluntary_switches; };

  // Names are asked for between the two looks.
  bool ran = false;
  world.name = [&](pid_t) {
    const auto before = switches();
    gate.Open();
    ran = PollUntil([&] { return switches() > before; }) && gate.HasArrived(process.pid());
    return std::string();
  };

  EXPECT_FALSE(FindDeadlock(world).has_value());
  EXPECT_TRUE(ran);
}

TEST(NoDeadlock, WhenAProcessEndedBetweenTheTwoLooks) {
  const Forked process([] {
    StartAfresh();
    return ReadByte(OpenPipe().read_end);
  });
  ASSERT_TRUE(WaitUntilBlockedIn(process.pid(), {SYS_read}));
  World world{.processes = {process.pid()}};
  ASSERT_TRUE(FindDeadlock(world).has_value());

  world.name = [&](pid_t) {
    Check(kill(process.pid(), SIGKILL), "kill");
    EXPECT_TRUE(PollUntil([&] { return ReadStatus(process.pid())->ended(); }));
    return std::string();
  };

  EXPECT_FALSE(FindDeadlock(world).has_value());
}

// Each of them sleeps most of the time, and often all seem to.
void PassBallAround(int players) {
  StartAfresh();
  std::vector<RawPipe> pipes;
  for (int i = 0; i < players; ++i) pipes.push_back(OpenPipe());
  const auto play = [&](int i) {
    for (;;) {
      if (ReadByte(pipes[static_cast<std::size_t>(i)].read_end) != 0) return 1;
      if (WriteByte(pipes[static_cast<std::size_t>((i + 1) % players)].write_end) != 0) return 1;
    }
  };
  for (int i = 1; i < players; ++i) ForkFrom([&] { return play(i); });
  if (WriteByte(pipes[0].write_end) == 0) play(0);
}

TEST(NoDeadlock, WhileProcessesPassAByteAround) {
  for (const int players : {2, 3, 5}) {
    const Forked process([&] { return PassBallAround(players), 1; });
    const auto everybody = static_cast<std::size_t>(players);
    ASSERT_TRUE(PollUntil([&] { return ProcessTree(process.pid()).size() == everybody; }));
    const World world = WorldOf(process.pid());

    for (int look = 0; look < kManyLooks; ++look) {
      ASSERT_FALSE(FindDeadlock(world).has_value()) << players << " players, look " << look;
    }
  }
}

TEST(NoDeadlock, WhileASignalIsAnsweredByASignal) {
  const Forked process([] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    const auto play = [&](pid_t partner) {
      for (;;) {
        if (kill(partner, SIGUSR1) != 0 || sigwaitinfo(&set, nullptr) == -1) return 1;
      }
    };
    const pid_t parent = getpid();
    return play(ForkFrom([&] { return play(parent); }));
  });
  ASSERT_TRUE(PollUntil([&] { return ProcessTree(process.pid()).size() == 2; }));
  const World world = WorldOf(process.pid());

  for (int look = 0; look < kManyLooks; ++look) {
    ASSERT_FALSE(FindDeadlock(world).has_value()) << "look " << look;
  }
}

TEST(NoDeadlock, WhileChildrenComeAndGo) {
  const Forked process([] {
    for (;;) {
      const pid_t child = ForkFrom([] { return 0; });
      if (waitpid(child, nullptr, 0) != child) return 1;
    }
  });

  for (int look = 0; look < kManyLooks; ++look) {
    const World world{.processes = ProcessTree(process.pid())};
    ASSERT_FALSE(FindDeadlock(world).has_value()) << "look " << look;
  }
}

}  // namespace
}  // namespace ipclab
