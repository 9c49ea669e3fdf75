#include "common/compile/counting.h"

namespace ipclab {
namespace {

constexpr char kCodeName[] = "ipclab_counters.c";
constexpr char kLayoutName[] = "ipclab_counters.ld";

// Writes what gcov(1) reads. The format is the compiler's own affair, so its library does it.
constexpr char kCode[] = R"(#include <gcov.h>
#include <stdlib.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))
extern const struct gcov_info *const ipclab_info_begin[] HIDDEN;
extern const struct gcov_info *const ipclab_info_end[] HIDDEN;
extern char ipclab_counters_begin[] HIDDEN;
extern char ipclab_counters_end[] HIDDEN;

struct out {
  int fd;
  int failed;
};

static void name(const char *path, void *out) {
  (void)path;
  (void)out;
}

static void dump(const void *data, unsigned size, void *to) {
  struct out *const out = to;
  const char *bytes = data;
  while (size > 0 && !out->failed) {
    const ssize_t written = write(out->fd, bytes, size);
    if (written <= 0) {
      out->failed = 1;
    } else {
      bytes += written;
      size -= (unsigned)written;
    }
  }
}

static void *memory(unsigned size, void *out) {
  (void)out;
  return malloc(size);
}

static int write_counts(int fd) {
  struct out out = {fd, 0};
  for (const struct gcov_info *const *info = ipclab_info_begin; info != ipclab_info_end; ++info) {
    __gcov_info_to_gcda(*info, name, dump, memory, &out);
  }
  return out.failed ? -1 : 0;
}

const struct {
  void *begin;
  void *end;
  int (*write_counts)(int fd);
} ipclab_counters = {ipclab_counters_begin, ipclab_counters_end, write_counts};
)";

// Added to the linker's own script, see "INSERT" in its manual. 4 MiB are as much as
// MakeCounters provides.
constexpr char kLayout[] = R"(SECTIONS {
  .ipclab_info : {
    HIDDEN(ipclab_info_begin = .);
    KEEP(*(.gcov_info))
    HIDDEN(ipclab_info_end = .);
  }
} INSERT AFTER .data;
SECTIONS {
  .ipclab_counters : ALIGN(CONSTANT(MAXPAGESIZE)) {
    HIDDEN(ipclab_counters_begin = .);
    *(.bss.__gcov0.*)
    . = ALIGN(CONSTANT(MAXPAGESIZE));
    HIDDEN(ipclab_counters_end = .);
  }
  ASSERT(SIZEOF(.ipclab_counters) <= 4M, "too much code to count its lines")
} INSERT AFTER .bss;
)";

// $0 is the result, $1 the folder of the sources, $2 the lab, $3 a name for its file; "$@" then is
// the compiler. A file without a function has no notes, and fails at the gate. It is compiled in a
// folder of the name that the report is made in.
constexpr char kScript[] = R"(
at=${0%/*} from=$1 lab=$2 name=$3
shift 3
mkdir "$at/report"
cd "$at/report"
"$@" -O0 -fprofile-arcs -ftest-coverage -fprofile-update=atomic \
  -fprofile-info-section=.gcov_info -fdata-sections \
  -fno-builtin-fork -fno-builtin-execl -fno-builtin-execle -fno-builtin-execlp \
  -fno-builtin-execv -fno-builtin-execve -fno-builtin-execvp \
  "-fprofile-prefix-map=$from/$lab.cc=$name" "-fprofile-note=$at/$lab.gcno" \
  -c "$from/$lab.cc" -o "$at/$lab.o"
[ ! -e "$at/$lab.gcno" ] || objcopy --add-section ".ipclab_notes=$at/$lab.gcno" "$at/$lab.o"
gcc -O1 -fPIC -c "$from/ipclab_counters.c" -o "$at/ipclab_counters.o"
cd "$at"
"$@" -shared -Wl,-z,defs -Wl,-z,now -Wl,-z,noexecstack -Wl,--exclude-libs,ALL \
  "-Wl,-T,$from/ipclab_counters.ld" "$lab.o" ipclab_counters.o -lgcov -o "$0"
)";

}  // namespace

std::vector<JailFile> CountingFiles() { return {{kCodeName, kCode}, {kLayoutName, kLayout}}; }

std::vector<std::string> CountingCommand(const std::vector<std::string>& compiler,
                                         const std::string& lab, const std::string& name,
                                         const Workplace& at) {
  std::vector<std::string> argv = {"/bin/sh", "-ec", kScript, at.result, at.folder, lab, name};
  argv.insert(argv.end(), compiler.begin(), compiler.end());
  return argv;
}

}  // namespace ipclab
