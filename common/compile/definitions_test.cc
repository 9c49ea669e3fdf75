#include "common/compile/definitions.h"

#include <gtest/gtest.h>

#include <string>

namespace ipclab {
namespace {

TEST(LineOfDefinition, IsThatOfTheBodyNotOfADeclarationOrACall) {
  const std::string source =
      "int f(int);\n"
      "int g() { return f(1) + f(2); }\n"
      "int f(int n)\n"
      "{ return n; }\n";
  EXPECT_EQ(LineOfDefinition(source, "f"), 3);
  EXPECT_EQ(LineOfDefinition(source, "g"), 2);
}

TEST(LineOfDefinition, SkipsCommentsAndLiterals) {
  const std::string source =
      "// int f() {\n"
      "/* int f() {\n"
      "} */ const char* s = \"int f() {\\\" f() {\"; char c = '\"'; int n = 1'000;\n"
      "const char* r = R\"x(f() { )\" f() {)x\";\n"
      "int f() { return 0; }\n";
  EXPECT_EQ(LineOfDefinition(source, "f"), 5);
}

TEST(LineOfDefinition, TakesWholeNamesOnly) {
  EXPECT_EQ(LineOfDefinition("int my_f() {}\nint f2() {}\nint f() {}\n", "f"), 3);
}

TEST(LineOfDefinition, FindsParametersThatAreFunctionsAndAttributes) {
  EXPECT_EQ(LineOfDefinition("\n[[nodiscard]] int f(int (*body)(int), int n) noexcept {\n", "f"),
            2);
}

TEST(LineOfDefinition, IsZeroForWhatIsNotThere) {
  EXPECT_EQ(LineOfDefinition("int f();\n", "f"), 0);
  EXPECT_EQ(LineOfDefinition("int f(", "f"), 0);
  EXPECT_EQ(LineOfDefinition("\"f() {", "f"), 0);
  EXPECT_EQ(LineOfDefinition("R\"f() {", "f"), 0);
  EXPECT_EQ(LineOfDefinition("f", "f"), 0);
  EXPECT_EQ(LineOfDefinition("", "f"), 0);
  EXPECT_EQ(LineOfDefinition("int f() {}\n", ""), 0);
}

}  // namespace
}  // namespace ipclab
