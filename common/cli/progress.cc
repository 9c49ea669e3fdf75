#include "common/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/cli/files.h"
#include "common/report/wrap.h"

namespace ipclab {

int TerminalColumns(int fd) {
  if (isatty(fd) != 1) return 0;
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) == -1 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void Progress::Write(std::string_view text) const {
  try {
    WriteAllTo(fd_, text, "standard error");
  } catch (const GraderError&) {
    // Nobody watches any more; that is no reason to give up the run.
  }
}

void Progress::Tick(const std::string& text) {
  if (columns_ == 0) return;
  Write("\r\x1b[K" + Shortened(text, columns_ - 1));
  shown_ = true;
}

void Progress::Step(const std::string& text) {
  if (columns_ == 0) {
    Write(text + "\n");
  } else {
    Tick(text);
  }
}

void Progress::Done(const std::string& text) {
  Clear();
  if (columns_ == 0) Write(text + "\n");
}

void Progress::Clear() {
  if (shown_) Write("\r\x1b[K");
  shown_ = false;
}

}  // namespace ipclab
