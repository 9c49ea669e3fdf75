// Where a source file defines a function.
//
//   LineOfDefinition("int f();\nint f() {}\n", "f")   2

#ifndef IPCLAB_COMMON_COMPILE_DEFINITIONS_H_
#define IPCLAB_COMMON_COMPILE_DEFINITIONS_H_

#include <string_view>

namespace ipclab {

// The first line on which `function` stands in front of its parameters and a body, from 1; 0 if
// there is none, and for an empty name. Reads the text, not the language: comments, literals and
// declarations are skipped, macros are not expanded. Takes time linear in the text.
int LineOfDefinition(std::string_view source, std::string_view function);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_DEFINITIONS_H_
