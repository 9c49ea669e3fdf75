#include "common/compile/elf_gate.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>

#include "common/base/text.h"

namespace ipclab {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "name this machine's EM_ constant"
#endif

constexpr std::string_view kAllowedLibraries[] = {"libc.so.6", "libgcc_s.so.1", "libm.so.6",
                                                  "libstdc++.so.6"};
constexpr std::string_view kLoaderPrefix = "ld-linux";

// Leaves the gate with a reason.
struct Rejected {
  std::string reason;
};

constexpr char kDamaged[] = "the library is damaged: ";

// A copy of the T at `offset`; copying keeps unaligned offsets harmless.
template <typename T>
T ReadAt(std::string_view bytes, std::uint64_t offset, const char* what) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    throw Rejected{kDamaged + std::string(what) + " lies outside the file"};
  }
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// The table of T at `offset`, `count` entries long.
template <typename T>
std::vector<T> TableAt(std::string_view bytes, std::uint64_t offset, std::uint64_t count,
                       const char* what) {
  if (count > bytes.size() / sizeof(T)) {
    throw Rejected{kDamaged + std::string(what) + " is longer than the file"};
  }
  std::vector<T> table;
  table.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    table.push_back(ReadAt<T>(bytes, offset + i * sizeof(T), what));
  }
  return table;
}

class Library {
 public:
  explicit Library(std::string_view bytes) : bytes_(bytes) {
    ReadHeader();
    segments_ = TableAt<Elf64_Phdr>(bytes_, header_.e_phoff, header_.e_phnum, "the program header");
    ReadDynamic();
  }

  const std::vector<Elf64_Phdr>& segments() const { return segments_; }
  const std::vector<Elf64_Dyn>& dynamic() const { return dynamic_; }

  std::string String(std::uint64_t index) const {
    if (index >= strings_.size()) throw Rejected{kDamaged + std::string("a name has no text")};
    const std::string_view rest = strings_.substr(index);
    const std::size_t end = rest.find('\0');
    if (end == std::string_view::npos) throw Rejected{kDamaged + std::string("a name has no end")};
    return std::string(rest.substr(0, end));
  }

  std::vector<Elf64_Sym> Symbols() const {
    const auto table = Find(DT_SYMTAB);
    if (!table) return {};
    return TableAt<Elf64_Sym>(bytes_, FileOffset(*table), SymbolCount(), "the symbol table");
  }

 private:
  void ReadHeader() {
    if (bytes_.substr(0, SELFMAG) != std::string_view(ELFMAG, SELFMAG)) {
      throw Rejected{"what was built is not an ELF file"};
    }
    header_ = ReadAt<Elf64_Ehdr>(bytes_, 0, "the ELF header");
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB ||
        header_.e_machine != kMachine) {
      throw Rejected{"the library is built for another kind of machine"};
    }
    if (header_.e_type != ET_DYN) throw Rejected{"what was built is not a shared object"};
    if (header_.e_phnum > 0 && header_.e_phentsize != sizeof(Elf64_Phdr)) {
      throw Rejected{kDamaged + std::string("odd program header size")};
    }
  }

  void ReadDynamic() {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_DYNAMIC) continue;
      dynamic_ = TableAt<Elf64_Dyn>(bytes_, segment.p_offset, segment.p_filesz / sizeof(Elf64_Dyn),
                                    "the dynamic section");
    }
    const auto end = std::find_if(dynamic_.begin(), dynamic_.end(),
                                  [](const Elf64_Dyn& entry) { return entry.d_tag == DT_NULL; });
    dynamic_.erase(end, dynamic_.end());
    if (dynamic_.empty()) throw Rejected{"what was built is not a shared object"};

    const auto table = Find(DT_STRTAB);
    const auto size = Find(DT_STRSZ);
    if (!table || !size) throw Rejected{kDamaged + std::string("no names")};
    const std::uint64_t offset = FileOffset(*table);
    if (offset > bytes_.size() || *size > bytes_.size() - offset) {
      throw Rejected{kDamaged + std::string("the names lie outside the file")};
    }
    strings_ = bytes_.substr(offset, *size);
  }

  std::optional<std::uint64_t> Find(Elf64_Sxword tag) const {
    for (const Elf64_Dyn& entry : dynamic_) {
      if (entry.d_tag == tag) return entry.d_un.d_val;
    }
    return std::nullopt;
  }

  // Where the loader will find `address`: the file's section table may tell another story.
  std::uint64_t FileOffset(std::uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz) {
        return segment.p_offset + (address - segment.p_vaddr);
      }
    }
    throw Rejected{kDamaged + std::string("a table lies outside every segment")};
  }

  // The dynamic section does not say how many symbols there are; the hash tables do.
  std::uint64_t SymbolCount() const {
    if (const auto hash = Find(DT_HASH)) {
      return ReadAt<Elf64_Word>(bytes_, FileOffset(*hash) + sizeof(Elf64_Word), "the hash table");
    }
    const auto hash = Find(DT_GNU_HASH);
    if (!hash) throw Rejected{kDamaged + std::string("no hash table")};
    return GnuHashCount(FileOffset(*hash));
  }

  // Buckets hold the first symbol of a chain; the last entry of a chain has its lowest bit set.
  std::uint64_t GnuHashCount(std::uint64_t offset) const {
    const auto head = TableAt<Elf64_Word>(bytes_, offset, 4, "the hash table");
    const std::uint64_t buckets = head[0];
    const std::uint64_t first = head[1];
    const std::uint64_t bucket_at = offset + 4 * sizeof(Elf64_Word) + head[2] * sizeof(Elf64_Xword);
    std::uint64_t last = 0;
    for (const Elf64_Word start :
         TableAt<Elf64_Word>(bytes_, bucket_at, buckets, "the hash table")) {
      last = std::max<std::uint64_t>(last, start);
    }
    if (last < first) return first;  // Nothing is exported; the imports come first.
    const std::uint64_t chain_at = bucket_at + buckets * sizeof(Elf64_Word);
    for (;; ++last) {
      const auto hash = ReadAt<Elf64_Word>(bytes_, chain_at + (last - first) * sizeof(Elf64_Word),
                                           "the hash table");
      if ((hash & 1) != 0) return last + 1;
    }
  }

  std::string_view bytes_;
  Elf64_Ehdr header_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Dyn> dynamic_;
  std::string_view strings_;
};

void CheckSegments(const Library& library) {
  bool stack_named = false;
  for (const Elf64_Phdr& segment : library.segments()) {
    if (segment.p_type == PT_INTERP) throw Rejected{"what was built is a program, not a library"};
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) != 0 &&
        (segment.p_flags & PF_X) != 0) {
      throw Rejected{"the library asks for memory that is both writable and executable"};
    }
    if (segment.p_type != PT_GNU_STACK) continue;
    stack_named = true;
    if ((segment.p_flags & PF_X) != 0) throw Rejected{"the library asks for an executable stack"};
  }
  // Without the segment the loader makes the stack executable.
  if (!stack_named) throw Rejected{"the library asks for an executable stack"};
}

bool Allowed(const std::string& needed) {
  return needed.compare(0, kLoaderPrefix.size(), kLoaderPrefix) == 0 ||
         std::find(std::begin(kAllowedLibraries), std::end(kAllowedLibraries), needed) !=
             std::end(kAllowedLibraries);
}

void CheckDynamic(const Library& library) {
  for (const Elf64_Dyn& entry : library.dynamic()) {
    switch (entry.d_tag) {
      case DT_TEXTREL:
        throw Rejected{"the library has text relocations; do not write assembly that needs them"};
      case DT_FLAGS:
        if ((entry.d_un.d_val & DF_TEXTREL) == 0) break;
        throw Rejected{"the library has text relocations; do not write assembly that needs them"};
      case DT_RPATH:
      case DT_RUNPATH:
        throw Rejected{"the library names folders to search (RPATH)"};
      case DT_AUXILIARY:
      case DT_FILTER:
      case DT_AUDIT:
      case DT_DEPAUDIT:
        throw Rejected{"the library asks the loader for another library's help"};
      case DT_NEEDED:
        if (Allowed(library.String(entry.d_un.d_val))) break;
        throw Rejected{"the library needs " + Printable(library.String(entry.d_un.d_val), 100) +
                       "; only the C and C++ standard libraries are there"};
      default:
        break;
    }
  }
}

void CheckSymbols(const Library& library, const ElfRules& rules) {
  std::set<std::string> functions;
  std::set<std::string> others;
  std::set<std::string> imports;
  for (const Elf64_Sym& symbol : library.Symbols()) {
    const std::string name = library.String(symbol.st_name);
    const unsigned bind = ELF64_ST_BIND(symbol.st_info);
    if (bind != STB_GLOBAL && bind != STB_WEAK) continue;
    if (symbol.st_shndx == SHN_UNDEF) {
      imports.insert(name);
    } else if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC) {
      functions.insert(name);
    } else {
      others.insert(name);
    }
  }

  std::vector<std::string> missing;
  for (const std::string& name : rules.required) {
    if (others.count(name) != 0) throw Rejected{name + " is defined, but not as a function"};
    if (functions.count(name) == 0) missing.push_back(name);
  }
  if (!missing.empty()) {
    throw Rejected{Join(missing, ", ") + (missing.size() == 1 ? " is" : " are") +
                   " not defined; keep every function of the lab's header in the file"};
  }
  for (const std::string& name : rules.forbidden) {
    if (imports.count(name) != 0) throw Rejected{name + " must not be used in this lab"};
  }
}

}  // namespace

std::optional<std::string> RejectLibrary(std::string_view bytes, const ElfRules& rules) {
  try {
    const Library library(bytes);
    CheckSegments(library);
    CheckDynamic(library);
    CheckSymbols(library, rules);
    return std::nullopt;
  } catch (const Rejected& rejected) {
    return rejected.reason;
  }
}

}  // namespace ipclab
