#include "common/compile/diagnostics.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <string_view>

#include "common/base/error.h"
#include "common/base/text.h"

namespace ipclab {
namespace {

constexpr std::size_t kLineLimit = 2000;

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

void ReplaceFolder(std::string& text, const std::string& folder, const ShownNames& names) {
  ReplaceAll(text, folder + "/" + names.lab + ".cc", names.source);
  ReplaceAll(text, folder + "/" + names.lab + ".h", names.lab + ".h");
}

// The linker knows the code by the name of a temporary file, which differs each time:
// "/tmp/ccXy12Za.o: in function `f':" becomes "pipe.o: in function `f':".
void ReplaceObjects(std::string& text, const std::string& folder, const std::string& object) {
  constexpr std::size_t kRandom = 6;
  for (const std::string& prefix : {std::string("/tmp/cc"), folder + "/cc"}) {
    for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) {
      const std::size_t end = at + prefix.size() + kRandom;
      if (text.compare(std::min(end, text.size()), 2, ".o") == 0) {
        text.replace(at, end + 2 - at, object);
      }
      at += 1;
    }
  }
}

bool Says(const CappedText& messages, std::initializer_list<std::string_view> phrases) {
  for (const std::string* part : {&messages.head(), &messages.tail()}) {
    for (const std::string_view phrase : phrases) {
      if (part->find(phrase) != std::string::npos) return true;
    }
  }
  return false;
}

// Only how the compiler driver and the linker speak of their own programs' ends: the C locale is
// set in the jail.
bool ProcessorTimeOver(const CappedText& messages) {
  return Says(messages, {"CPU time limit exceeded signal terminated program",
                         "terminated with signal 24 [CPU time limit exceeded]"});
}

bool FileTooLarge(const CappedText& messages) {
  return Says(messages, {"File size limit exceeded signal terminated program",
                         "terminated with signal 25 [File size limit exceeded]", "File too large",
                         "No space left on device"});
}

bool MemoryOver(const CappedText& messages) {
  return Says(messages, {": out of memory allocating ", "virtual memory exhausted",
                         "memory exhausted", "Cannot allocate memory", "std::bad_alloc"});
}

}  // namespace

std::string ShownDiagnostics(const CappedText& messages, const ShownNames& names) {
  std::string text = messages.head();
  if (messages.dropped() > 0 || !messages.tail().empty()) {
    const std::size_t more = messages.dropped() + messages.tail().size();
    text += "\n... (" + Count(static_cast<long long>(more), "byte") + " more)\n";
  }
  // Without a jail, only the linker speaks of kJailFolder. Never replace twice: the student's path
  // may itself contain what is looked for.
  ReplaceFolder(text, kJailFolder, names);
  if (names.folder != kJailFolder) ReplaceFolder(text, names.folder, names);
  ReplaceObjects(text, names.folder, names.lab + ".o");
  ReplaceAll(text, "{standard input}", "assembler code of " + names.source);

  std::string shown;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    shown += Printable(std::string_view(text).substr(start, end - start), kLineLimit) + "\n";
    start = end + 1;
  }
  return shown;
}

std::optional<std::string> LimitReached(const JailRun& run, const CompileLimits& limits) {
  const auto mib = [](std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  if (run.timed_out) {
    return "took more than " + std::to_string(limits.wall.count() / 1000) + " s";
  }
  if (run.flooded) return "gave a library of more than " + mib(limits.file_bytes);
  if (run.exit_code == 0) return std::nullopt;
  if (ProcessorTimeOver(run.messages)) {
    return "took more than " + std::to_string(limits.cpu.count()) + " s of processor time";
  }
  if (FileTooLarge(run.messages)) return "gave a file of more than " + mib(limits.file_bytes);
  if (MemoryOver(run.messages)) return "took more than " + mib(limits.memory_bytes) + " of memory";
  return std::nullopt;
}

bool LinkerFailed(const CappedText& messages) { return Says(messages, {"collect2: error: ld "}); }

void CheckOurPart(const JailRun& run) {
  constexpr int kCouldNotRead = 125;  // These three by convention of sh(1); see jail.cc.
  constexpr int kCouldNotExecute = 126;
  constexpr int kNotFound = 127;
  if (run.exit_code == kCouldNotRead || run.exit_code == kCouldNotExecute ||
      run.exit_code == kNotFound) {
    throw GraderError("the compiler did not run: " + Printable(run.messages.head(), 500));
  }
  // Limits end the compiler's programs, never the driver that reports their end.
  if (run.exit_code > 128) {
    throw GraderError("the compiler was ended by " + SignalName(run.exit_code - 128));
  }
  // A limit ends in SIGXCPU or SIGXFSZ. SIGKILL is the kernel's, for want of memory.
  if (Says(run.messages,
           {"Killed signal terminated program", "terminated with signal 9 [Killed]"})) {
    throw GraderError("the compiler was killed; most likely the machine is out of memory");
  }
}

}  // namespace ipclab
