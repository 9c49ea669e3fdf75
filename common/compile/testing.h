// For the tests of this folder: compiles texts against the toy lab.
//
//   const Compiled compiled = CompileToy("#include \"toy.h\"\n...");

#ifndef IPCLAB_COMMON_COMPILE_TESTING_H_
#define IPCLAB_COMMON_COMPILE_TESTING_H_

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "common/compile/compile.h"

namespace ipclab {

inline constexpr char kToyFolder[] = "common/compile/testdata/";

// What a library of the toy lab needs, to be followed by what is wrong with it.
inline constexpr char kToyFunctions[] = R"(#include "toy.h"
int ipclab::toy::toy_answer(int question) { return question + 1; }
int ipclab::toy::toy_count(const char* text) { return text[0]; }
)";

inline LabContract ToyContract() {
  return ReadContract("toy", std::string(kToyFolder) + "toy.h",
                      std::string(kToyFolder) + "exports.txt");
}

inline Compiled CompileToy(const std::string& text, const CompileOptions& options = {}) {
  return CompileSubmission(ToyContract(), {"labs/toy/toy.cc", text}, options);
}

inline std::string FileText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Opened anew, so that nobody's offset moves.
inline std::string LibraryText(const Compiled& compiled) {
  return FileText("/proc/self/fd/" + std::to_string(compiled.library.get()));
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_TESTING_H_
