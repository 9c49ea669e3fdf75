// Looks at a shared object before anyone loads it.
//
//   if (const auto reason = RejectLibrary(bytes, {{"send_to_child"}, {"popen"}})) Refuse(*reason);
//
// Feedback first (a missing function is named), defence second: what gets through still runs only
// in the box. The bytes are a stranger's, so every offset and length in them is checked. See
// elf(5).

#ifndef IPCLAB_COMMON_COMPILE_ELF_GATE_H_
#define IPCLAB_COMMON_COMPILE_ELF_GATE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

struct ElfRules {
  std::vector<std::string> required;   // Functions it must define and export.
  std::vector<std::string> forbidden;  // Functions it must not import.
};

// Why `bytes` is not an acceptable shared object of this machine, in one line; nothing if it is.
std::optional<std::string> RejectLibrary(std::string_view bytes, const ElfRules& rules);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_COMPILE_ELF_GATE_H_
