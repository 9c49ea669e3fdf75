#include <cstdio>

extern "C" std::FILE* toy_answer(const char* command) { return popen(command, "r"); }
