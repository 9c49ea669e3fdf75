// Compiles a submission for a build: the command behind tools/build/submission.bzl.
//
//   compile_submission --lab pipe --header pipe.h --exports exports.txt --source pipe.cc
//       --shown labs/pipe/pipe.cc --out libpipe.so --diagnostics pipe.txt
//   compile_submission --source solution.cc --precompile headers.gch
//   compile_submission ... --counted-as labs/pipe/pipe.cc   // Counts which of its lines run.
//
// With --precompile it makes headers that --precompiled takes for patches of that source.
//
// Ends with 0 if there is a library, 1 if the submission is at fault, 2 if the call or its files
// are, 3 if compiling was not possible. With --allow-failure a submission at fault gives an empty
// library and 0, so that one student's mistake does not end the build of a class.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "common/base/error.h"
#include "common/compile/compile.h"

namespace ipclab {
namespace {

enum ExitCode { kBuilt = 0, kRefused = 1, kUsage = 2, kImpossible = 3 };

struct Order {
  std::string lab;
  std::string header;
  std::string exports;
  std::string source;
  std::string shown;
  std::string out;
  std::string diagnostics;
  std::string precompile;
  std::string precompiled;
  std::string counted_as;
  bool allow_failure = false;
  bool allow_unjailed = false;
};

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw GraderError("cannot write " + path);
}

// A build lists its inputs by name and hands them over as links; what they may be is its business.
std::string Resolved(const std::string& path) {
  std::error_code unresolved;
  const auto file = std::filesystem::canonical(path, unresolved);
  return unresolved ? path : file.string();
}

ExitCode Run(const Order& order) {
  Source source = ReadSource(Resolved(order.source));
  source.shown_path = order.shown.empty() ? order.source : order.shown;
  CompileOptions options;
  options.allow_unjailed = order.allow_unjailed;
  if (!order.precompile.empty()) {
    WriteText(order.precompile, PrecompileHeaders(source, options));
    return kBuilt;
  }
  options.counted_as = order.counted_as;
  if (!order.precompiled.empty()) options.precompiled = Resolved(order.precompiled);
  const Compiled compiled =
      CompileSubmission(ReadContract(order.lab, order.header, order.exports), source, options);

  const std::string said =
      (compiled.reason.empty() ? "" : compiled.reason + "\n") + compiled.diagnostics;
  if (!order.allow_failure) std::cerr << said;
  if (!order.diagnostics.empty()) WriteText(order.diagnostics, said);
  if (compiled.outcome == CompileOutcome::kOk) {
    const std::string library = "/proc/self/fd/" + std::to_string(compiled.library.get());
    std::filesystem::copy_file(library, order.out,
                               std::filesystem::copy_options::overwrite_existing);
    return kBuilt;
  }
  if (!order.allow_failure) return kRefused;
  WriteText(order.out, "");
  return kBuilt;
}

int Main(int argc, char** argv) {
  CLI::App app("Compiles a submission in a jail into a shared object.");
  Order order;
  app.add_option("--precompile", order.precompile, "make this file of its headers, no library");
  const CLI::Option* const for_a_library[] = {
      app.add_option("--lab", order.lab, "name of the lab"),
      app.add_option("--header", order.header, "the lab's contract, a header"),
      app.add_option("--exports", order.exports, "functions the library must define"),
      app.add_option("--out", order.out, "the library")};
  app.add_option("--source", order.source, "the submission")->required();
  app.add_option("--shown", order.shown, "how messages name the submission");
  app.add_option("--diagnostics", order.diagnostics, "a file for what the compiler says");
  app.add_option("--precompiled", order.precompiled, "headers made by --precompile");
  app.add_option("--counted-as", order.counted_as, "count which lines run; what reports call them");
  app.add_flag("--allow-failure", order.allow_failure, "give an empty library on failure");
  app.add_flag("--allow-unjailed", order.allow_unjailed, "practice: go on without a jail");
  try {
    app.parse(argc, argv);
    for (const CLI::Option* option : for_a_library) {
      if (order.precompile.empty() && option->empty()) throw CLI::RequiredError(option->get_name());
    }
    return Run(order);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kBuilt : kUsage;
  } catch (const UsageError& error) {
    std::cerr << error.what() << "\n";
    return kUsage;
  } catch (const std::exception& error) {
    std::cerr << "compile_submission: " << error.what() << "\n";
    return kImpossible;
  }
}

}  // namespace
}  // namespace ipclab

int main(int argc, char** argv) { return ipclab::Main(argc, argv); }
