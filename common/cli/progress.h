// Says how far a long run is: one live line on a terminal, plain lines otherwise.
//
//   Progress progress(STDERR_FILENO);
//   progress.Step("pipe: compiling");                    // a line of its own, or the live line
//   progress.Tick("pipe: 12 of 63 SendToChild.Blocks");  // only ever the live line
//   progress.Done("pipe: 62 / 100 points");              // takes the place of the live line

#ifndef IPCLAB_COMMON_CLI_PROGRESS_H_
#define IPCLAB_COMMON_CLI_PROGRESS_H_

#include <string>
#include <string_view>

namespace ipclab {

// Columns of the terminal behind `fd`, or 0 if it is none. See ioctl_tty(2).
int TerminalColumns(int fd);

class Progress {
 public:
  explicit Progress(int fd) : fd_(fd), columns_(TerminalColumns(fd)) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Step(const std::string& text);
  void Tick(const std::string& text);
  void Done(const std::string& text);
  void Clear();

 private:
  void Write(std::string_view text) const;

  int fd_;
  int columns_;
  bool shown_ = false;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_PROGRESS_H_
