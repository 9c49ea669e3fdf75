#include "common/compile/elf_gate.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <random>
#include <string>

#include "common/compile/testing.h"

namespace ipclab {
namespace {

using testing::HasSubstr;
using testing::Optional;
using testing::StartsWith;

const ElfRules kRules = {{"toy_answer"}, {"popen", "system"}};

std::string Object(const std::string& name) {
  const std::string bytes = FileText(std::string(kToyFolder) + "elf/" + name);
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

// Why the gate refuses the object, "" if it does not.
std::string Refusal(const std::string& bytes, const ElfRules& rules = kRules) {
  return RejectLibrary(bytes, rules).value_or("");
}

// `bytes` with one field of the ELF header changed.
template <typename T>
std::string WithHeader(std::string bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
  return bytes;
}

// The library with `flags` added to its segment of code.
std::string WithCodeFlags(std::string bytes, Elf64_Word flags) {
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    char* const at = bytes.data() + header.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    std::memcpy(&segment, at, sizeof(segment));
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    segment.p_flags |= flags;
    std::memcpy(at, &segment, sizeof(segment));
  }
  return bytes;
}

TEST(ElfGate, LetsALibraryPass) {
  EXPECT_EQ(RejectLibrary(Object("good.so"), kRules), std::nullopt);
}

TEST(ElfGate, ReadsBothKindsOfHashTable) {
  EXPECT_EQ(Refusal(Object("sysv_hash.so")), "");
  EXPECT_THAT(Refusal(Object("sysv_hash.so"), {{"toy_missing"}, {}}),
              StartsWith("toy_missing is not defined"));
}

TEST(ElfGate, NamesEveryMissingFunction) {
  EXPECT_EQ(Refusal(Object("good.so"), {{"toy_answer", "toy_left", "toy_right"}, {}}),
            "toy_left, toy_right are not defined; keep every function of the lab's header in the "
            "file");
}

TEST(ElfGate, VariableIsNoFunction) {
  EXPECT_EQ(Refusal(Object("good.so"), {{"toy_variable"}, {}}),
            "toy_variable is defined, but not as a function");
}

TEST(ElfGate, ImportDoesNotCountAsDefinition) {
  EXPECT_THAT(Refusal(Object("popen.so"), {{"popen"}, {}}), StartsWith("popen is not defined"));
}

TEST(ElfGate, NamesAForbiddenImport) {
  EXPECT_EQ(Refusal(Object("popen.so")), "popen must not be used in this lab");
  EXPECT_EQ(Refusal(Object("popen.so"), {{"toy_answer"}, {"system"}}), "");
}

TEST(ElfGate, RefusesAProgram) {
  EXPECT_EQ(Refusal(Object("program")), "what was built is a program, not a library");
}

TEST(ElfGate, RefusesTextAndNothing) {
  EXPECT_EQ(Refusal("int x;\n"), "what was built is not an ELF file");
  EXPECT_EQ(Refusal(""), "what was built is not an ELF file");
}

TEST(ElfGate, RefusesAnExecutableStack) {
  EXPECT_EQ(Refusal(Object("executable_stack.so")), "the library asks for an executable stack");
}

TEST(ElfGate, RefusesCodeThatCanBeWritten) {
  EXPECT_EQ(Refusal(WithCodeFlags(Object("good.so"), PF_W)),
            "the library asks for memory that is both writable and executable");
}

TEST(ElfGate, RefusesTextRelocations) {
  EXPECT_THAT(Refusal(Object("text_relocation.so")),
              StartsWith("the library has text relocations"));
}

TEST(ElfGate, RefusesFoldersToSearch) {
  EXPECT_EQ(Refusal(Object("rpath.so")), "the library names folders to search (RPATH)");
  EXPECT_EQ(Refusal(Object("runpath.so")), "the library names folders to search (RPATH)");
}

TEST(ElfGate, NamesALibraryThatIsNotThere) {
  EXPECT_EQ(Refusal(Object("other_library.so")),
            "the library needs libseccomp.so.2; only the C and C++ standard libraries are there");
}

TEST(ElfGate, RefusesALibraryThatCallsForAnother) {
  EXPECT_EQ(Refusal(Object("auxiliary.so")),
            "the library asks the loader for another library's help");
}

TEST(ElfGate, RefusesAnotherMachine) {
  const std::string good = Object("good.so");
  const std::string wrong = "the library is built for another kind of machine";

  EXPECT_EQ(Refusal(WithHeader<Elf64_Half>(good, offsetof(Elf64_Ehdr, e_machine), EM_386)), wrong);
  EXPECT_EQ(Refusal(WithHeader<unsigned char>(good, EI_CLASS, ELFCLASS32)), wrong);
  EXPECT_EQ(Refusal(WithHeader<unsigned char>(good, EI_DATA, ELFDATA2MSB)), wrong);
  EXPECT_EQ(Refusal(WithHeader<Elf64_Half>(good, offsetof(Elf64_Ehdr, e_type), ET_REL)),
            "what was built is not a shared object");
}

TEST(ElfGate, RefusesTablesOutsideTheFile) {
  const std::string good = Object("good.so");

  for (const Elf64_Off offset : {Elf64_Off{1} << 40, ~Elf64_Off{0}, Elf64_Off{good.size()}}) {
    EXPECT_THAT(Refusal(WithHeader(good, offsetof(Elf64_Ehdr, e_phoff), offset)),
                HasSubstr("the program header lies outside the file"));
  }
}

// The symbol table stands at the front of the file, so only what is behind it may be missing.
TEST(ElfGate, SurvivesAFileCutOffAnywhere) {
  const std::string good = Object("good.so");

  for (std::size_t length = 0; length < 0x400; ++length) {
    EXPECT_THAT(RejectLibrary(good.substr(0, length), kRules), Optional(StartsWith(""))) << length;
  }
}

// Has no claim of its own but that nothing is read outside the file: run it with --config=asan.
TEST(ElfGate, SurvivesRandomDamage) {
  const std::string good = Object("good.so");
  std::mt19937 random(20261120);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int n = 0; n < 4; ++n) bytes[random() % 0x800] = static_cast<char>(random());
    refused += RejectLibrary(bytes, kRules).has_value();
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace ipclab
