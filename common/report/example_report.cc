// Prints an example run in a format, for tests: example_report FORMAT RUN [LANGUAGE]
//
// FORMAT may also be "trace", or "diagrams": all Mermaid diagrams of the run, as a JSON array of
// strings. Exit status 4: the report is withheld, standard error says why.

#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/report/breakout_run.h"
#include "common/report/examples.h"
#include "common/report/format.h"
#include "common/report/mermaid.h"
#include "common/report/trace.h"

namespace {

const std::map<std::string, std::function<ipclab::RunResult()>> kRuns = {
    {"perfect", ipclab::PerfectRun},
    {"mixed", ipclab::MixedRun},
    {"half", ipclab::HalfDoneRun},
    {"broken", ipclab::BrokenCodeRun},
    {"refused", ipclab::RefusedRun},
    {"practice", ipclab::PracticeRun},
    {"hostile", ipclab::HostileRun},
    {"breakout", ipclab::BreakoutRun},
    {"nothing", [] { return ipclab::RunResult{.isolation = {.mode = "full"}}; }},
};

bool Print(std::FILE* file, const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
}

std::string Diagrams(const ipclab::RunResult& run, ipclab::Language language) {
  nlohmann::json diagrams = nlohmann::json::array();
  for (const ipclab::LabResult& lab : run.labs) {
    for (const ipclab::CheckResult& check : lab.checks) {
      const ipclab::Picture events = ipclab::DrawPicture(check, language);
      const ipclab::WaitPicture waits = ipclab::DrawWaits(check, language);
      if (!events.empty()) diagrams.push_back(ToMermaid(events, language));
      if (!waits.empty()) diagrams.push_back(ToMermaid(waits, language));
    }
  }
  return diagrams.dump();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || kRuns.count(argv[2]) == 0) return 2;
  const ipclab::RunResult run = kRuns.at(argv[2])();
  const std::string format = argv[1];
  if (format == "trace") return Print(stdout, ipclab::ToChromeTrace(run)) ? 0 : 1;
  const ipclab::Language language = ipclab::LanguageOf(argc > 3 ? argv[3] : "en");
  if (format == "diagrams") return Print(stdout, Diagrams(run, language)) ? 0 : 1;
  if (ipclab::FindFormat(format) == nullptr) return 2;
  ipclab::FormatOptions options;
  options.style.language = language;
  options.classroom50 = {.classroom = "os-2026",
                         .assignment = "demo",
                         .owner = "ada",
                         .submission = "submit/2026-11-20T10-00-00Z-a1b2c3d",
                         .commit = "https://example.org/c",
                         .release = "https://example.org/r",
                         .review = "https://example.org/d"};
  const ipclab::Document document = ipclab::FindFormat(format)->write(run, options);
  if (!document.withheld.empty()) return Print(stderr, document.withheld + "\n") ? 4 : 1;
  return Print(stdout, document.text) ? 0 : 1;
}
