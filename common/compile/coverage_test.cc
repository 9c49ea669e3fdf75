#include "common/compile/coverage.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

#include "common/base/error.h"
#include "common/compile/testing.h"

namespace ipclab {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::StartsWith;

constexpr char kName[] = "labs/toy/toy.cc";
constexpr char kText[] = R"(#include "toy.h"
int ipclab::toy::toy_answer(int question) {
  if (question == 7) {
    return -1;
  }
  return question + 1;
}
int ipclab::toy::toy_count(const char* text) {
  return text[0];
}
)";

CompileOptions Counting() {
  CompileOptions options;
  options.counted_as = kName;
  return options;
}

// As in common/sandbox/counters.h, which this package does not depend on.
struct Counters {
  std::uint64_t* begin;
  std::uint64_t* end;
  int (*write_counts)(int fd);
};

// A library that counts, loaded into this process: the text is ours.
class Loaded {
 public:
  explicit Loaded(const std::string& text) : compiled_(CompileToy(text, Counting())) {
    const std::string path = "/proc/self/fd/" + std::to_string(compiled_.library.get());
    library_.reset(dlopen(path.c_str(), RTLD_NOW));
    if (library_ == nullptr) throw GraderError(compiled_.reason + compiled_.diagnostics);
  }
  int Answer(int question) {
    return reinterpret_cast<int (*)(int)>(dlsym(library_.get(), "toy_answer"))(question);
  }
  const Counters& counters() const {
    return *static_cast<const Counters*>(dlsym(library_.get(), "ipclab_counters"));
  }
  CountedFile Counted() const {
    const Fd file(Check(memfd_create("counts", MFD_CLOEXEC), "memfd_create"));
    EXPECT_EQ(counters().write_counts(file.get()), 0);
    return {kName, kText, compiled_.library.get(),
            FileText("/proc/self/fd/" + std::to_string(file.get()))};
  }

 private:
  struct Close {
    void operator()(void* library) const { dlclose(library); }
  };
  Compiled compiled_;
  std::unique_ptr<void, Close> library_;
};

TEST(CountingLibrary, DoesWhatItsFunctionsSay) {
  Loaded library(kText);
  EXPECT_EQ(library.Answer(41), 42);
  EXPECT_EQ(library.Answer(7), -1);
}

TEST(CountingLibrary, HasItsCountersInPagesOfTheirOwnThatSharedMemoryCanReplace) {
  Loaded library(kText);
  const Counters& own = library.counters();
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  EXPECT_EQ(reinterpret_cast<std::uint64_t>(own.begin) % page, 0u);
  EXPECT_EQ(reinterpret_cast<std::uint64_t>(own.end) % page, 0u);
  ASSERT_LT(own.begin, own.end);

  const Fd memory = MakeCounters();
  const auto size = static_cast<std::size_t>(own.end - own.begin) * sizeof(*own.begin);
  ASSERT_NE(mmap(own.begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory.get(), 0),
            MAP_FAILED);
  EXPECT_EQ(library.Answer(41), 42);
  std::string counted(size, '\0');
  ASSERT_EQ(pread(memory.get(), counted.data(), size, 0), static_cast<ssize_t>(size));
  EXPECT_NE(counted, std::string(size, '\0'));
}

// Hooks would write files where a check looks for leftovers, and make other calls than the student.
TEST(CountingLibrary, HasNothingOfGcovAtRunTime) {
  const std::string bytes = LibraryText(
      CompileToy(std::string("#include <unistd.h>\n") + kText +
                     "int starts() { return fork() == 0 ? execl(\"/x\", \"x\", nullptr) : 0; }\n",
                 Counting()));
  EXPECT_THAT(bytes, AllOf(HasSubstr("fork"), HasSubstr("execl")));
  EXPECT_THAT(bytes, AllOf(Not(HasSubstr("__gcov_fork")), Not(HasSubstr("__gcov_execl"))));
}

TEST(CountingLibrary, IsOnlyMadeIfAskedFor) {
  EXPECT_THAT(LibraryText(CompileToy(kText)), Not(HasSubstr("ipclab_counters")));
}

TEST(CountingLibrary, HasTheErrorsThatTheOrdinaryOneHas) {
  for (const std::string text :
       {"#include \"toy.h\"\nint x = y;\n", "int nowhere();\nint use() { return nowhere(); }\n",
        "// Nothing at all.\n",
        "#include <cstdio>\nFILE* use() { return popen(\"\", \"r\"); }\n"}) {
    const std::string all = text.starts_with("#include \"toy.h\"") ? text : kToyFunctions + text;
    const Compiled ordinary = CompileToy(all);
    const Compiled counting = CompileToy(all, Counting());
    EXPECT_EQ(counting.outcome, ordinary.outcome) << all;
    EXPECT_EQ(counting.reason, ordinary.reason) << all;
    EXPECT_EQ(counting.diagnostics, ordinary.diagnostics) << all;
  }
}

TEST(CountingLibrary, WithoutAnyFunctionIsRefusedForThat) {
  EXPECT_THAT(CompileToy("// Nothing at all.\n", Counting()).reason,
              StartsWith("labs/toy/toy.cc: toy_answer, toy_count are not defined"));
}

TEST(Coverage, NamesTheLinesThatNobodyReached) {
  Loaded library(kText);
  library.Answer(41);
  const CoverageReport report = ReportCoverage({library.Counted()}, {});
  EXPECT_THAT(report.table, HasSubstr("labs/toy/toy.cc "));
  EXPECT_THAT(report.table, HasSubstr(" 4,8-9\n"));
  EXPECT_THAT(report.pages, Contains(Key("index.html")));
  EXPECT_THAT(report.cobertura, AllOf(HasSubstr("filename=\"labs/toy/toy.cc\""),
                                      HasSubstr("<line number=\"4\" hits=\"0\""),
                                      HasSubstr("<line number=\"6\" hits=\"1\"")));
}

TEST(Coverage, PagesShowTheStudentsText) {
  Loaded library(kText);
  std::string all;
  for (const auto& [name, page] : ReportCoverage({library.Counted()}, {}).pages) all += page;
  EXPECT_THAT(all, HasSubstr("toy_answer"));
}

TEST(Coverage, IsTheSameWithoutAJailWhereThatIsAllowed) {
  Loaded library(kText);
  library.Answer(7);
  CompileOptions options;
  options.allow_unjailed = true;
  EXPECT_EQ(ReportCoverage({library.Counted()}, options).table,
            ReportCoverage({library.Counted()}, {}).table);
}

TEST(Coverage, OfSeveralFilesIsOneReport) {
  Loaded library(kText);
  library.Answer(41);
  CountedFile other = library.Counted();
  other.counted_as = "labs/toy/toy.cc";
  const CoverageReport report = ReportCoverage({library.Counted(), other}, {});
  EXPECT_THAT(report.cobertura, HasSubstr("<line number=\"6\" hits=\"2\""));
}

// gcov itself would take such lines for lines that did not run.
TEST(Coverage, OfCountsThatCannotBeReadIsAnError) {
  Loaded library(kText);
  CountedFile file = library.Counted();
  for (const std::string& counts : {std::string(), std::string("PASSED"), [&] {
                                      std::string other = file.counts;
                                      other[8] ^= 1;  // Made from another source.
                                      return other;
                                    }()}) {
    file.counts = counts;
    try {
      ReportCoverage({file}, {});
      ADD_FAILURE() << "no error for " << counts.size() << " bytes";
    } catch (const GraderError& error) {
      EXPECT_THAT(error.what(), AllOf(StartsWith("gcovr could not report the coverage: "),
                                      HasSubstr("labs/toy/toy.cc: .counts/0/counts.gcda:")));
    }
  }
}

TEST(Coverage, OfALibraryThatDoesNotCountIsAnError) {
  const Compiled compiled = CompileToy(kText);
  Loaded library(kText);
  CountedFile file = library.Counted();
  file.library = compiled.library.get();
  EXPECT_THROW(ReportCoverage({file}, {}), GraderError);
  EXPECT_THROW(ReportCoverage({}, {}), GraderError);
}

TEST(NameInReport, IsARelativePathThatNeedsNoQuotes) {
  EXPECT_EQ(NameInReport("labs/pipe/pipe.cc"), "labs/pipe/pipe.cc");
  EXPECT_EQ(NameInReport("../../labs/./pipe//pipe.cc"), "labs/pipe/pipe.cc");
  EXPECT_EQ(NameInReport("/class/Ada L.;$(x)/pipe.cc"), "class/Ada_L.___x_/pipe.cc");
  EXPECT_EQ(NameInReport("-rf/a-b.cc"), "_rf/a-b.cc");
  EXPECT_EQ(NameInReport("../.."), "submission.cc");
}

TEST(MakeCounters, GivesMemoryThatNobodyCanTakeAway) {
  const Fd memory = MakeCounters();
  EXPECT_EQ(ftruncate(memory.get(), 0), -1);
  EXPECT_EQ(fcntl(memory.get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace ipclab
