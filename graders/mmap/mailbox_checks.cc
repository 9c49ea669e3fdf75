// Exercise mmap.7: a mailbox for unrelated processes. What it does when nobody is killed.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <sstream>
#include <utility>

#include "graders/mmap/mailbox.h"
#include "labs/mmap/mmap.h"

namespace ipclab {
namespace {

using mmap::Mbox;
using mmap::mbox_close;
using mmap::mbox_destroy;
using mmap::mbox_fetch;
using mmap::mbox_open;
using mmap::mbox_post;

// ---- In the box ---------------------------------------------------------------------------------

// In shared memory, so that a store into it is one that the grader can hold.
class Buffer {
 public:
  explicit Buffer(std::int64_t cap)
      : cap_(static_cast<std::size_t>(cap)),
        size_(cap_ + 16),
        at_(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) throw SystemError(errno, "mmap");
    Clear();
  }
  ~Buffer() { munmap(at_, size_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void Clear() const { std::memset(at_, '#', size_); }
  char* bytes() const { return static_cast<char*>(at_); }
  std::size_t cap() const { return cap_; }
  std::string Text(ssize_t size) const { return {bytes(), static_cast<std::size_t>(size)}; }
  std::string Behind() const { return {bytes() + cap_, size_ - cap_}; }

 private:
  const std::size_t cap_;
  const std::size_t size_;
  void* const at_;
};

// One process's dealings with one mailbox.
class Dealings {
 public:
  explicit Dealings(const Args& args)
      : args_(args),
        path_(args.Bytes("path")),
        text_(args.Bytes("text")),
        buffer_(args.Int("cap")) {}

  // A helper gives back all it took. Not by STUDENT: this call is none of those that are looked at.
  ~Dealings() {
    using Close = int (*)(Mbox*);
    if (m_ != nullptr) reinterpret_cast<Close>(SubmissionSymbol("mbox_close"))(m_);
  }
  Dealings(const Dealings&) = delete;
  Dealings& operator=(const Dealings&) = delete;

  // False if there is no use in going on.
  bool Do(const std::string& step) {
    using std::chrono::steady_clock;
    const auto timeout_ms = static_cast<int>(step.ends_with('0') ? 0 : args_.Int("timeout_ms"));
    const auto begin = steady_clock::now();
    bool timed_out = false;
    if (step == "gate") Gate();
    if (step == "open") return Open();
    if (step.starts_with("post")) {
      timed_out = STUDENT(mbox_post)(m_, text_.data(), text_.size(), timeout_ms) == -1 &&
                  errno == ETIMEDOUT;
    }
    if (step.starts_with("fetch")) {
      timed_out = Fetch(step == "fetch0" ? "got0" : "got", timeout_ms) == -1 && errno == ETIMEDOUT;
    }
    if (step == "close") STUDENT(mbox_close)(std::exchange(m_, nullptr));
    if (step == "destroy") STUDENT(mbox_destroy)(path_.c_str());
    const auto took = steady_clock::now() - begin;
    if (timed_out && took < std::chrono::milliseconds(timeout_ms)) Report("too_early", 1);
    return true;
  }

 private:
  bool Open() {
    const auto slot = static_cast<std::size_t>(args_.Int("slot"));
    return STUDENT(mbox_open)(path_.c_str(), slot, &m_) == 0;
  }
  ssize_t Fetch(const char* key, int timeout_ms) {
    buffer_.Clear();
    const ssize_t got = STUDENT(mbox_fetch)(m_, buffer_.bytes(), buffer_.cap(), timeout_ms);
    const int error = errno;
    Report(key, got >= 0 && got <= static_cast<ssize_t>(buffer_.cap()) ? buffer_.Text(got) : "");
    if (buffer_.Behind() != std::string(buffer_.Behind().size(), '#')) Report("overrun", 1);
    errno = error;
    return got;
  }

  const Args& args_;
  const std::string path_;
  const std::string text_;
  const Buffer buffer_;
  Mbox* m_ = nullptr;
};

HELPER(Mails) {
  const Action disturbs(SIGUSR1, DoNothing);
  const Aside aside(args.Int("aside"));
  Dealings dealings(args);
  const std::string all = args.Bytes("steps");
  const auto again = all.find("again");
  std::istringstream once(all.substr(0, again));
  for (std::string step; once >> step;) {
    if (!dealings.Do(step)) return 1;
  }
  for (std::int64_t round = 0; again != std::string::npos && round < args.Int("rounds"); ++round) {
    std::istringstream steps(all.substr(again + 5));
    for (std::string step; steps >> step;) {
      if (!dealings.Do(step)) return 1;
    }
  }
  return 0;
}

// ---- What else may be at the path ---------------------------------------------------------------

HELPER(PutsThere) {
  const std::string what = args.Bytes("what");
  if (what == "directory") Check(mkdir(kMailbox, 0700), "mkdir");
  if (what == "fifo") Check(mkfifo(kMailbox, 0600), "mkfifo");
  if (what == "file") {
    const Fd file(Check(open(kMailbox, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), "open"));
    WriteHere(file.get(), args.Bytes("bytes"));
  }
  if (what == "nothing" && unlink(kMailbox) == -1) Check(rmdir(kMailbox), "rmdir");
  return 0;
}

HELPER(OpensWithMask) {
  umask(static_cast<mode_t>(args.Int("mask")));
  Mbox* m = nullptr;
  if (STUDENT(mbox_open)(kMailbox, kSlot, &m) == -1) return 1;
  return STUDENT(mbox_close)(m) == 0 ? 0 : 1;
}

// ---- Checks -------------------------------------------------------------------------------------

TEST_F(Mailbox, HandsMessagesOver) {
  Sandbox box(MailWatch());
  for (const std::int64_t size :
       {RandomInt(2, kSlot - 1), std::int64_t{0}, std::int64_t{1}, kSlot}) {
    const std::string text = RandomMessage(static_cast<std::size_t>(size));
    const std::string what = "a message of " + std::to_string(size) + " bytes";
    Helper poster = Mail(box, "open post close", {.text = text});
    EXPECT_THAT(OutcomeOf(poster), Succeeds()) << what;
    EXPECT_THAT(poster.call("mbox_post"), Returned(0)) << what;
    EXPECT_TRUE(box.FileContents(kMailbox).value_or("").find(text) != std::string::npos)
        << what << " was posted, and the file does not hold it";
    Helper fetcher = Mail(box, "open fetch close");
    EXPECT_THAT(OutcomeOf(fetcher), Succeeds()) << what << ", which another process has posted";
    EXPECT_THAT(fetcher.call("mbox_fetch"), Returned(size)) << what;
    EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(text)) << what;
    EXPECT_EQ(fetcher.Reported("overrun", 0), 0) << what << " was stored beyond `cap`";
  }
}

TEST_F(Mailbox, SleepsUntilItsTurn) {
  Sandbox box(MailWatch());
  const std::string one = RandomMessage(30), two = RandomMessage(40), three = RandomMessage(50);
  Helper fetcher = Mail(box, "open fetch close");
  ASSERT_TRUE(SleepsIn(box, fetcher, "mbox_fetch")) << "there is no message";
  Helper first = Mail(box, "open post post close", {.text = one});
  EXPECT_THAT(OutcomeOf(fetcher), Succeeds()) << "it was asleep when a message came";
  EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(one));
  EXPECT_THAT(OutcomeOf(first), Succeeds());

  Helper second = Mail(box, "open post close", {.text = two});
  ASSERT_TRUE(SleepsIn(box, second, "mbox_post")) << "the last message has not been fetched";
  for (const std::string& want : {one, two}) {
    Helper next = Mail(box, "open fetch close");
    EXPECT_THAT(OutcomeOf(next), Succeeds());
    EXPECT_THAT(next.ReportedBytes("got"), SameBytesAs(want));
  }
  EXPECT_THAT(OutcomeOf(second), Succeeds()) << "it was asleep when the last message was fetched";
}

TEST_F(Mailbox, KeepsToItsTime) {
  for (const int timeout_ms : {0, 25}) {
    Sandbox box(MailWatch({Family::kFutex}));
    const std::string time = "timeout_ms is " + std::to_string(timeout_ms);
    const std::string text = RandomMessage(30);
    Helper fetcher = Mail(box, "open fetch", {.timeout_ms = timeout_ms});
    EXPECT_THAT(OutcomeOf(fetcher), ComesToItsEnd()) << time;
    EXPECT_THAT(fetcher.call("mbox_fetch"), FailedWith(ETIMEDOUT)) << time << ", nothing is there";
    Helper poster = Mail(box, "open post post fetch", {.text = text, .timeout_ms = timeout_ms});
    EXPECT_THAT(OutcomeOf(poster), ComesToItsEnd()) << time;
    EXPECT_THAT(poster.call(1), Returned(0)) << time << ", and the mailbox is empty";
    EXPECT_THAT(poster.call(2), FailedWith(ETIMEDOUT)) << time << ", and the mailbox is full";
    EXPECT_THAT(poster.ReportedBytes("got"), SameBytesAs(text)) << time << ", a message is there";
    EXPECT_EQ(fetcher.Reported("too_early", 0) + poster.Reported("too_early", 0), 0)
        << time << ", and it came back before that";
    EXPECT_THAT(WaitsBySettableClock(box), NoneBySettableClock());
  }
}

TEST_F(Mailbox, GoesOnAfterASignal) {
  Sandbox box(MailWatch());
  const std::string one = RandomMessage(30), two = RandomMessage(40);
  Helper fetcher = Mail(box, "open fetch");
  ASSERT_TRUE(SleepsIn(box, fetcher, "mbox_fetch"));
  ASSERT_TRUE(Interrupt(box, fetcher, SIGUSR1));
  EXPECT_TRUE(SleepsIn(box, fetcher, "mbox_fetch")) << "a signal came, and no message";
  Helper poster = Mail(box, "open post", {.text = one});
  EXPECT_THAT(OutcomeOf(poster), Succeeds());
  EXPECT_THAT(OutcomeOf(fetcher), Succeeds());
  EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(one)) << "a signal came before";

  Helper full = Mail(box, "open post post", {.text = two});
  ASSERT_TRUE(SleepsIn(box, full, "mbox_post"));
  ASSERT_TRUE(Interrupt(box, full, SIGUSR1));
  EXPECT_TRUE(SleepsIn(box, full, "mbox_post")) << "a signal came, and the mailbox is full";
  Helper last = Mail(box, "open fetch");
  EXPECT_THAT(OutcomeOf(last), Succeeds());
  EXPECT_THAT(OutcomeOf(full), Succeeds());
  EXPECT_THAT(full.call("mbox_post"), Returned(0)) << "a signal came before";
}

TEST_F(Mailbox, RefusesWhatIsNoMailbox) {
  struct Case {
    const char* name;
    const char* what;
    std::string bytes;
    std::vector<int> errors;
  };
  const Case cases[] = {
      {"a file with other bytes", "file", RandomBytes(20'000), {EPROTO}},
      {"a file that is too short", "file", RandomBytes(3), {EPROTO}},
      {"a file of zeros", "file", std::string(20'000, '\0'), {EPROTO}},
      {"a directory", "directory", "", {EPROTO, EINVAL, EISDIR}},
      {"a FIFO", "fifo", "", {EPROTO, EINVAL}},
  };
  Sandbox box;
  for (const Case& c : cases) {
    const auto put = [&](const std::string& what) {
      Helper putter = box.Start("PutsThere", {{"what", what}, {"bytes", Binary(c.bytes)}});
      EXPECT_THAT(putter.Wait(), Exited(0));
    };
    put(c.what);
    for (const char* const step : {"open", "destroy"}) {
      const std::string what = "mbox_" + std::string(step) + " of " + c.name;
      Helper opener = Mail(box, step);
      EXPECT_THAT(OutcomeOf(opener), ComesToItsEnd()) << what;
      const StudentCall call = opener.call();
      const bool known = std::ranges::count(c.errors, call.error) != 0;
      EXPECT_THAT(call, FailedWith(known ? call.error : c.errors[0])) << what;
      EXPECT_THAT(LeftBehind(box, call), NothingLeftBehind()) << what;
      EXPECT_THAT(box.FileContents(kMailbox).value_or(""), SameBytesAs(c.bytes))
          << "the file after " << what;
      EXPECT_EQ(box.Names().size(), 1U) << "names in the directory after " << what;
    }
    if (testing::Test::HasFailure()) return;
    put("nothing");
  }
}

TEST_F(Mailbox, SaysWhatDoesNotFit) {
  Sandbox box(MailWatch());
  const std::string text = RandomMessage(kSlot);
  Helper poster = Mail(box, "open post", {.text = text + "x"});
  EXPECT_THAT(OutcomeOf(poster), ComesToItsEnd());
  EXPECT_THAT(poster.call("mbox_post"), FailedWith(EMSGSIZE)) << "one byte more than slot_bytes";
  Helper filler = Mail(box, "open post", {.text = text});
  EXPECT_THAT(OutcomeOf(filler), ComesToItsEnd());
  EXPECT_THAT(filler.call("mbox_post"), Returned(0)) << "exactly slot_bytes bytes";
  Helper small = Mail(box, "open fetch", {.cap = kSlot - 1});
  EXPECT_THAT(OutcomeOf(small), ComesToItsEnd());
  EXPECT_THAT(small.call("mbox_fetch"), FailedWith(EMSGSIZE)) << "`cap` is one byte too small";
  EXPECT_EQ(small.Reported("overrun", 0), 0) << "bytes were stored beyond `cap`";
  Helper fetcher = Mail(box, "open fetch");
  EXPECT_THAT(OutcomeOf(fetcher), Succeeds());
  EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(text))
      << "the message that did not fit the buffer of another process";
}

TEST_F(Mailbox, ReportsErrors) {
  struct Case {
    const char* name;
    const char* steps;
    MailOptions options;
    int error;
  };
  const Case cases[] = {
      {"slot_bytes is 0", "open", {.slot = 0, .path = "other"}, EINVAL},
      {"slot_bytes is not that of the mailbox", "open", {.slot = kSlot - 1}, EINVAL},
      {"slot_bytes is not that of the mailbox", "open", {.slot = 100 * kSlot}, EINVAL},
      {"the directory is missing", "open", {.path = "missing/mailbox"}, ENOENT},
      {"nothing is there", "destroy", {.path = "other"}, ENOENT},
  };
  Sandbox box(MailWatch({Family::kMap}));
  Helper maker = Mail(box, "open close");
  EXPECT_THAT(OutcomeOf(maker), Succeeds());
  for (const Case& c : cases) {
    Helper opener = Mail(box, c.steps, c.options);
    EXPECT_THAT(OutcomeOf(opener), ComesToItsEnd()) << c.name;
    EXPECT_THAT(opener.call(), FailedWith(c.error)) << c.name;
    EXPECT_THAT(LeftBehind(box, opener.call()), NothingLeftBehind()) << c.name;
  }
  box.Fail(Family::kMap, ENOMEM, 0);
  for (const char* const path : {"other", kMailbox}) {
    Helper unlucky = Mail(box, "open", {.path = path});
    EXPECT_THAT(OutcomeOf(unlucky), ComesToItsEnd()) << "mmap() fails";
    EXPECT_THAT(unlucky.call(), FailedWith(ENOMEM)) << "mmap() fails";
    EXPECT_THAT(LeftBehind(box, unlucky.call()), NothingLeftBehind()) << "mmap() fails";
  }
}

TEST_F(Mailbox, LeavesOnlyItsFile) {
  const auto names = [](const Sandbox& box) { return NamesLeft(box); };
  for (const int mask : {0, 077, 0111}) {
    Sandbox box;
    Helper opener = box.Start("OpensWithMask", {{"mask", mask}});
    EXPECT_THAT(OutcomeOf(opener), Succeeds());
    EXPECT_THAT(opener.Leftovers(), NothingLeftBehind());
    const std::vector<TreeEntry> entries = box.Names();
    ASSERT_EQ(entries.size(), 1U) << "names in the directory:"
                                  << testing::PrintToString(names(box));
    EXPECT_EQ(entries[0].permissions & 0777, 0600U) << "the permissions of " << entries[0].Name();
  }
  Sandbox box(MailWatch());
  const std::string text = RandomMessage(30);
  const int gate = HoldAtGate(box);
  Helper owner = Mail(box, "open post gate fetch post fetch close", {.text = text});
  EXPECT_TRUE(SomebodyComesTo(box, gate));
  Helper destroyer = Mail(box, "open close destroy");
  EXPECT_TRUE(Finishes(box, destroyer));
  EXPECT_THAT(destroyer.call("mbox_destroy"), Returned(0));
  EXPECT_THAT(destroyer.Leftovers(), NothingLeftBehind());
  EXPECT_EQ(box.Names().size(), 0U)
      << "after mbox_destroy():" << testing::PrintToString(names(box));
  box.Release(gate);
  EXPECT_THAT(OutcomeOf(owner), Succeeds()) << "it had the mailbox open when that was destroyed";
  EXPECT_THAT(owner.ReportedBytes("got"), SameBytesAs(text));
  EXPECT_THAT(owner.call("mbox_close"), Returned(0));
  EXPECT_THAT(owner.Leftovers(), NothingLeftBehind());
}

}  // namespace

Helper Mail(Sandbox& box, const std::string& steps, const MailOptions& options) {
  const auto before = static_cast<std::int64_t>(box.observer().processes().size());
  return box.Start("Mails", {{"steps", Binary(steps)},
                             {"text", Binary(options.text)},
                             {"timeout_ms", options.timeout_ms},
                             {"slot", options.slot},
                             {"cap", options.cap},
                             {"rounds", options.rounds},
                             {"path", Binary(options.path)},
                             {"aside", 1 + 3 * before}});
}

Looping MailAgainAndAgain(Sandbox& box, const std::string& steps, const MailOptions& options) {
  MailOptions more = options;
  more.rounds = 2 * kMostStores;
  return Looping(box, Mail(box, "open again gate " + steps, more));
}

SandboxOptions MailWatch(std::vector<Family> watch) {
  watch.push_back(Family::kSignalSend);
  return {.watch = std::move(watch), .skip_sleeps = true};
}

std::string RandomMessage(std::size_t size) {
  std::string message = RandomBytes(size);
  std::ranges::replace(message, '\0', '0');
  return message;
}

}  // namespace ipclab
