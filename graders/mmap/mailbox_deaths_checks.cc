// Exercise mmap.7, second part: what others see of a process that is in the middle of something,
// and what they do when it is killed there.

#include <signal.h>

#include <map>
#include <optional>

#include "graders/mmap/mailbox.h"

namespace ipclab {
namespace {

// ---- In the middle of something -----------------------------------------------------------------

const std::vector<Family> kOpening = {Family::kOpen,  Family::kMap,  Family::kResize,
                                      Family::kName,  Family::kStat, Family::kWrite,
                                      Family::kFcntl, Family::kMode};

TEST_F(Mailbox, IsReadyForWhoeverComesFirst) {
  Sandbox box(MailWatch(kOpening));
  Helper alone = Mail(box, "open", {.path = "alone"});
  ASSERT_THAT(OutcomeOf(alone), Succeeds()) << "the first one opens it";
  std::map<Family, int> counts;
  for (const Event& step : std::vector<Event>(box.events())) {
    if (step.kind != Event::Kind::kCall || step.function != "mbox_open") continue;
    const int nth = ++counts[step.family];
    const std::string path = "mailbox-" + std::to_string(counts.size()) + "-" + std::to_string(nth);
    const std::string what = "one process stands in mbox_open(), before call " +
                             std::to_string(nth) + " of " + std::string(FamilyName(step.family)) +
                             ", and another one opens the mailbox as well";
    const std::string text = RandomMessage(30);
    Helper slow = Mail(box, "open fetch", {.path = path});
    const auto where = [pid = slow.pid()](const Event& event) {
      return event.pid == pid && event.function == "mbox_open";
    };
    const int rule = box.AddRule({.family = step.family, .nth = nth, .where = where, .hold = true});
    EXPECT_TRUE(SomebodyComesTo(box, rule)) << "before call " << nth;
    Helper fast = Mail(box, "open post", {.text = text, .path = path});
    static_cast<void>(EndsOrRests(box, fast));  // Or it waits for the other one.
    box.Release(rule);
    EXPECT_THAT(OutcomeOf(fast), Succeeds()) << what;
    EXPECT_THAT(OutcomeOf(slow), Succeeds()) << what << " and posts a message";
    EXPECT_THAT(slow.ReportedBytes("got"), SameBytesAs(text)) << what << " and posts a message";
    if (testing::Test::HasFailure()) return;
  }
}

TEST_F(Mailbox, LosesNoWakeUp) {
  Sandbox box(MailWatch({Family::kFutex}));
  const std::string text = RandomMessage(20);
  Looping fetcher = MailAgainAndAgain(box, "fetch");
  ASSERT_TRUE(fetcher.Returns());
  Looping poster = MailAgainAndAgain(box, "post", {.text = text});
  ASSERT_TRUE(poster.Returns());
  AtEachStore(box, fetcher, "mbox_fetch", poster, [&](const std::string& when) {
    EXPECT_THAT(poster.call("mbox_post"), Returned(0)) << when;
    EXPECT_THAT(fetcher.helper().ReportedBytes("got"), SameBytesAs(text)) << when;
  });
}

// Two sleep until there is room, and are held when they have just been woken. Before they do
// anything another process comes and sleeps until there is a message; or nobody does, and they go
// on one after the other, for there is room for one only.
TEST_F(Mailbox, WakesWhoCanGoOn) {
  for (const bool fetcher_comes : {true, false}) {
    Sandbox box(MailWatch({Family::kFutex}));
    const std::string texts[] = {RandomMessage(20), RandomMessage(30), RandomMessage(40)};
    Helper first = Mail(box, "open post", {.text = texts[0]});
    EXPECT_THAT(OutcomeOf(first), Succeeds());
    std::vector<Helper> posters;
    std::vector<int> woken;
    for (const std::string& text : {texts[1], texts[2]}) {
      posters.push_back(Mail(box, "open post", {.text = text}));
      woken.push_back(box.AddRule({.family = Family::kFutex,
                                   .where = WaitsInFutex(posters.back(), "mbox_post"),
                                   .hold = true,
                                   .after = true}));
      ASSERT_TRUE(SleepsIn(box, posters.back(), "mbox_post"));
    }
    Helper fetcher = Mail(box, "open fetch");
    EXPECT_TRUE(Finishes(box, fetcher));
    EXPECT_TRUE(ComesToRest(box));
    std::optional<Helper> late;
    if (fetcher_comes) {
      late.emplace(Mail(box, "open fetch"));
      static_cast<void>(EndsOrRests(box, *late));
    }
    for (std::size_t i = 0; i < posters.size(); ++i) {
      box.Release(woken[i]);
      if (!fetcher_comes) static_cast<void>(EndsOrRests(box, posters[i]));
    }
    if (!late) late.emplace(Mail(box, "open fetch"));
    EXPECT_THAT(OutcomeOf(*late), Succeeds())
        << (fetcher_comes ? "it waited for a message, as others did for room"
                          : "two waited for room, and go on one after the other");
    Helper last = Mail(box, "open fetch");
    EXPECT_THAT(OutcomeOf(last), Succeeds()) << "two have posted, and one message was fetched";
    for (Helper& poster : posters) EXPECT_THAT(OutcomeOf(poster), Succeeds());
    if (testing::Test::HasFailure()) return;
  }
}

TEST_F(Mailbox, ShowsNoHalfMessage) {
  Sandbox box(MailWatch());
  const std::string text = RandomMessage(24);
  Looping fetcher = MailAgainAndAgain(box, "fetch0");
  ASSERT_TRUE(fetcher.Returns());
  Helper poster = Mail(box, "open post", {.text = text});
  const int rule = box.HoldAtStores(poster, "mbox_post");
  const auto fetches = [&] {
    fetcher.Go();
    return fetcher.Returns() && fetcher.call("mbox_fetch").value != -1;
  };
  bool got = false;
  int store = 0;
  for (; !got && ReachesStore(box, rule); ++store) {
    got = fetches();
    if (!fetcher.AtGate()) break;  // It waits for the other one.
    box.Release(rule);
  }
  box.LetRun(rule);
  EXPECT_TRUE(Finishes(box, poster));
  EXPECT_TRUE(fetcher.Returns() && (got || fetcher.call("mbox_fetch").value != -1 || fetches()))
      << "a message was posted, and is not there";
  EXPECT_THAT(fetcher.helper().ReportedBytes("got0"), SameBytesAs(text))
      << "fetched while a process was in mbox_post(), before its store number " << store
      << " to shared memory, or thereafter";
}

// So long that no copy can have it all in registers.
TEST_F(Mailbox, FreesTheSlotLast) {
  Sandbox box(MailWatch());
  constexpr std::int64_t kLong = 1200;
  const auto options = [&](const std::string& text) {
    return MailOptions{.text = text, .slot = kLong, .cap = kLong};
  };
  const std::string one = RandomMessage(kLong), two = RandomMessage(kLong);
  Helper first = Mail(box, "open post", options(one));
  ASSERT_TRUE(Finishes(box, first));
  Looping poster = MailAgainAndAgain(box, "post0", options(two));
  ASSERT_TRUE(poster.Returns());
  Helper fetcher = Mail(box, "open fetch", options(""));
  const int rule = box.HoldAtStores(fetcher, "mbox_fetch");
  const auto posts = [&] {
    poster.Go();
    return poster.Returns() && poster.call("mbox_post").value == 0;
  };
  bool posted = false;
  while (!posted && ReachesStore(box, rule)) {
    posted = posts();
    if (!poster.AtGate()) break;  // It waits for the other one.
    box.Release(rule);
  }
  box.LetRun(rule);
  EXPECT_TRUE(Finishes(box, fetcher));
  EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(one))
      << "what was fetched while another process tried to post the next message";
  EXPECT_TRUE(poster.Returns() && (posted || poster.call("mbox_post").value == 0 || posts()))
      << "the message was fetched, and there is no room for the next one";
  Helper last = Mail(box, "open fetch0", options(""));
  EXPECT_TRUE(Finishes(box, last));
  EXPECT_THAT(last.ReportedBytes("got0"), SameBytesAs(two)) << "the next message";
}

// ---- Killed in the middle of something ----------------------------------------------------------

// Starts a process for each store to shared memory that it makes in `function`, and kills it before
// that store; `next` then does a round, and `check` looks at what it has met. The last process is
// not killed. Stops at the first failure.
void KillAtEachStore(Sandbox& box, const std::function<Helper()>& start,
                     const std::string& function, Looping& next,
                     const std::function<void(bool killed, const std::string& when)>& check) {
  bool killed = true;
  for (int store = 0; killed && store < kMostStores && !testing::Test::HasFailure(); ++store) {
    Helper victim = start();
    const int rule = box.HoldAtStores(victim, function);
    killed = ComesToStore(box, rule, store);
    const std::string when = !killed ? "nobody was killed"
                                     : "a process was killed in " + function +
                                           "(), before its store number " +
                                           std::to_string(store + 1) + " to shared memory";
    if (killed) {
      victim.Signal(SIGKILL);
      EXPECT_TRUE(Ends(box, victim.pid()));
    } else {
      box.LetRun(rule);
      EXPECT_TRUE(Finishes(box, victim)) << when;
    }
    next.Go();
    if (next.Returns()) {
      check(killed, when);
    } else {
      EXPECT_THAT(OutcomeOf(next.helper()), ComesToItsEnd()) << when;
      ADD_FAILURE() << when << ", and the next one does not come to its end";
    }
  }
}

// That message, whole or not at all; not at all only if its process was killed.
testing::AssertionResult FoundWhole(const Looping& next, std::size_t nth_last, bool killed,
                                    const std::string& text, const std::string& found) {
  const auto& calls = next.helper().process().calls;
  const StudentCall& fetch = calls.at(calls.size() - nth_last);
  if (fetch.value == -1 && fetch.error == ETIMEDOUT && killed) return testing::AssertionSuccess();
  if (fetch.value == -1) return testing::AssertionFailure() << DescribeCall(fetch);
  if (found == text) return testing::AssertionSuccess();
  return testing::AssertionFailure() << DescribeDifference(text, found);
}

TEST_F(Mailbox, GoesOnWhenAPosterIsKilled) {
  Sandbox box(MailWatch());
  const std::string one = RandomMessage(24), two = RandomMessage(30);
  Looping next = MailAgainAndAgain(box, "fetch0 post fetch", {.text = two});
  ASSERT_TRUE(next.Returns());
  const auto start = [&] { return Mail(box, "open post", {.text = one}); };
  KillAtEachStore(box, start, "mbox_post", next, [&](bool killed, const std::string& when) {
    EXPECT_TRUE(FoundWhole(next, 3, killed, one, next.helper().ReportedBytes("got0")))
        << when << "; this is about its message";
    EXPECT_THAT(next.call("mbox_post"), Returned(0)) << when;
    EXPECT_THAT(next.helper().ReportedBytes("got"), SameBytesAs(two)) << when;
  });
}

TEST_F(Mailbox, GoesOnWhenAFetcherIsKilled) {
  Sandbox box(MailWatch());
  const std::string text = RandomMessage(24);
  Looping next = MailAgainAndAgain(box, "fetch0 post", {.text = text});
  ASSERT_TRUE(next.Returns());
  next.Go();
  ASSERT_TRUE(next.Returns());
  const auto start = [&] { return Mail(box, "open fetch"); };
  KillAtEachStore(box, start, "mbox_fetch", next, [&](bool, const std::string& when) {
    EXPECT_TRUE(FoundWhole(next, 2, true, text, next.helper().ReportedBytes("got0")))
        << when << "; this is about the message it was fetching";
    EXPECT_THAT(next.call("mbox_post"), Returned(0)) << when;
  });
}

}  // namespace
}  // namespace ipclab
