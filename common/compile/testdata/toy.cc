#include "toy.h"

#include <string>

namespace ipclab::toy {

int toy_answer(int question) { return question + 1; }

int toy_count(const char* text) { return static_cast<int>(std::string(text).size()); }

}  // namespace ipclab::toy
