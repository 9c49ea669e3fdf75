#include "common/grading/session.h"

#include <algorithm>

namespace ipclab {

Session& Session::Get() {
  static Session* const session = new Session;
  return *session;
}

std::int64_t RandomInt(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(Session::Get().random);
}

std::string RandomBytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::generate(bytes.begin(), bytes.end(), [] { return static_cast<char>(RandomInt(0, 255)); });
  return bytes;
}

std::string RandomWord(std::size_t length) {
  std::string word(length, '\0');
  std::generate(word.begin(), word.end(), [] { return static_cast<char>(RandomInt('a', 'z')); });
  return word;
}

}  // namespace ipclab
