#include "common/compile/coverage.h"

#include <sys/mman.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <string_view>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/compile/counting.h"
#include "common/compile/jail.h"

namespace ipclab {
namespace {

constexpr char kTable[] = "table.txt";
constexpr char kCobertura[] = "cobertura.xml";
constexpr std::size_t kMessage = 1000;

// $0 is the result, $1 the folder of the inputs, the rest the names of the files: name number N
// belongs to N.so and N.gcda. gcov and gcovr work where the sources are, as if they had been
// compiled there. The result is, for each file: its size, its name, a newline and its bytes.
constexpr char kScript[] = R"sh(
at=${0%/*} from=$1
shift
mkdir -p "$at/report" "$at/out"
cd "$at/report"
n=0 filters=
for name; do
  mkdir -p ".counts/$n" "$(dirname -- "$name")"
  cp "$from/$name" "$name"
  cp "$from/$n.gcda" ".counts/$n/counts.gcda"
  objcopy --dump-section ".ipclab_notes=.counts/$n/counts.gcno" "$from/$n.so" "$at/rest"
  # gcov takes counts that it cannot read for lines that did not run.
  said=$(gcov -n -o ".counts/$n" ".counts/$n/counts.gcno" 2>&1 >"$at/rest") || :
  case $said in *counts.gcda:*) printf '%s: %s\n' "$name" "$said"; exit 1 ;; esac
  filters="$filters -f $(printf '%s\n' "$name" | sed 's/[.+]/\\&/g')\$"
  n=$((n + 1))
done
gcovr -r . $filters --exclude-throw-branches --exclude-unreachable-branches \
  --source-encoding utf-8 --html-title "IPC Labs: lines that the checks reach" \
  --txt "$at/out/table.txt" --html-details "$at/out/index.html" --xml "$at/out/cobertura.xml" \
  .counts
cd "$at/out"
for file in *; do
  printf '%s %s\n' "$(wc -c <"$file")" "$file"
  cat "$file"
done >"$0"
)sh";

std::string LibraryBytes(int library) {
  // Opened anew, so that nobody's offset moves.
  std::ifstream in("/proc/self/fd/" + std::to_string(library), std::ios::binary);
  std::ostringstream bytes;
  if (!(bytes << in.rdbuf())) throw GraderError("cannot read the library whose lines were counted");
  return bytes.str();
}

// A page's name becomes a path, and whoever parsed the counts made it.
bool IsPlainName(std::string_view name) {
  for (const char c : name) {
    const bool fine =
        std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-' || c == '+';
    if (!fine) return false;
  }
  return !name.empty() && name[0] != '.';
}

std::map<std::string, std::string> Unpacked(std::string_view bundle) {
  std::map<std::string, std::string> files;
  while (!bundle.empty()) {
    const std::size_t end = bundle.find('\n');
    if (end == std::string_view::npos) throw GraderError("a report on coverage has no end");
    std::istringstream line{std::string(bundle.substr(0, end))};
    std::size_t size = 0;
    std::string name;
    if (!(line >> size >> name) || !IsPlainName(name) || size > bundle.size() - end - 1) {
      throw GraderError("a report on coverage is damaged: " + Printable(line.str(), 100));
    }
    files[name] = bundle.substr(end + 1, size);
    bundle.remove_prefix(end + 1 + size);
  }
  return files;
}

std::string Taken(std::map<std::string, std::string>& files, const char* name) {
  const auto file = files.extract(name);
  if (file.empty()) throw GraderError(std::string("gcovr made no ") + name);
  return file.mapped();
}

std::string PrintableLines(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines += Printable(text.substr(0, end), 10'000) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

std::string NameInReport(const std::string& path) {
  std::string name;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == "." || part == "..") continue;
    for (char& c : part) {
      const bool fine = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                        c == '+' || (c == '-' && &c != part.data());
      if (!fine) c = '_';
    }
    name += (name.empty() ? "" : "/") + part;
  }
  return name.empty() ? "submission.cc" : name;
}

Fd MakeCounters() {
  constexpr off_t kBytes = 4 << 20;  // The linker script in counting.cc says so too.
  Fd memory(
      Check(memfd_create("ipclab-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create"));
  Check(ftruncate(memory.get(), kBytes), "ftruncate");
  Check(fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW),
        "fcntl(F_ADD_SEALS)");
  return memory;
}

CoverageReport ReportCoverage(const std::vector<CountedFile>& files,
                              const CompileOptions& options) {
  if (files.empty()) throw GraderError("there is nothing to report the coverage of");
  JailJob job;
  job.limits = options.limits;
  std::vector<std::string> names;
  for (const CountedFile& file : files) {
    const std::string number = std::to_string(names.size());
    names.push_back(NameInReport(file.counted_as));
    job.files.push_back({names.back(), file.text});
    job.files.push_back({number + ".so", LibraryBytes(file.library)});
    job.files.push_back({number + ".gcda", file.counts});
  }
  job.command = [&](const Workplace& at) {
    std::vector<std::string> argv = {"/bin/sh", "-ec", kScript, at.result, at.folder};
    argv.insert(argv.end(), names.begin(), names.end());
    return argv;
  };
  bool jailed = true;
  const JailRun run = RunJailed(job, options.allow_unjailed, jailed);
  if (run.exit_code != 0) {
    throw GraderError("gcovr could not report the coverage: " +
                      Printable(run.messages.head() + run.messages.tail(), kMessage));
  }
  std::map<std::string, std::string> made = Unpacked(run.result);
  CoverageReport report;
  report.table = PrintableLines(Taken(made, kTable));
  report.cobertura = Taken(made, kCobertura);
  report.pages = std::move(made);
  if (!report.pages.contains("index.html")) throw GraderError("gcovr made no index.html");
  return report;
}

}  // namespace ipclab
