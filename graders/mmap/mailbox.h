// Mailboxes, as the checks of exercise 7 see them.
//
//   Helper poster = Mail(box, "open post close", {.text = text});
//   Helper fetcher = Mail(box, "open fetch close");
//   EXPECT_THAT(fetcher.ReportedBytes("got"), SameBytesAs(text));

#ifndef IPCLAB_GRADERS_MMAP_MAILBOX_H_
#define IPCLAB_GRADERS_MMAP_MAILBOX_H_

#include <string>
#include <vector>

#include "graders/mmap/sharing.h"

namespace ipclab {

EXERCISE(Mailbox);

constexpr char kMailbox[] = "mailbox";
constexpr std::int64_t kSlot = 200;

struct MailOptions {
  std::string text = "";
  int timeout_ms = -1;
  std::int64_t slot = kSlot;
  std::int64_t cap = kSlot;
  int rounds = 1;
  std::string path = kMailbox;
};

// A process that does one thing after the other with a mailbox: open, post, fetch, close, destroy,
// gate; fetch0 and post0 with the timeout 0. It has its mailbox at an address of its own, and stops
// with exit status 1 when it cannot open it. With more than one round, all behind the word "again"
// is done that often.
Helper Mail(Sandbox& box, const std::string& steps, const MailOptions& options = {});

// The same for ever, with a gate before each round.
Looping MailAgainAndAgain(Sandbox& box, const std::string& steps, const MailOptions& options = {});

// A box that watches these families and Family::kSignalSend, and in which nobody can buy time.
SandboxOptions MailWatch(std::vector<Family> watch = {});

// A text in which no byte is 0: the memory of a new mailbox may well be.
std::string RandomMessage(std::size_t size);

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MMAP_MAILBOX_H_
