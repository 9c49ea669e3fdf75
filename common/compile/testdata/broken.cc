#include "toy.h"

namespace ipclab::toy {

int toy_answer(int question) { return question + one; }

}  // namespace ipclab::toy
