// Keeps a bounded part of a text that a stranger can make as long as he likes.
//
//   CappedText text;
//   text.Append(chunk);           // any number of times
//   text.head(); text.tail();     // its first 64 KiB, its last 4 KiB

#ifndef IPCLAB_COMMON_COMPILE_CAPPED_TEXT_H_
#define IPCLAB_COMMON_COMPILE_CAPPED_TEXT_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace ipclab {

class CappedText {
 public:
  static constexpr std::size_t kHeadBytes = 64 << 10;
  static constexpr std::size_t kTailBytes = 4 << 10;

  void Append(std::string_view text) {
    total_ += text.size();
    const std::size_t first = std::min(text.size(), kHeadBytes - head_.size());
    head_ += text.substr(0, first);
    tail_ += text.substr(first);
    if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  }
  const std::string& head() const { return head_; }
  // Bytes between head and tail that were not kept.
  std::size_t dropped() const { return total_ - head_.size() - tail_.size(); }
  const std::string& tail() const { return tail_; }

 private:
  std::string head_;
  std::string tail_;
  std::size_t total_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_CAPPED_TEXT_H_
