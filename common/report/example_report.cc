// Prints what is made of an example run, for the test in a browser:
// example_report html|diagrams mixed|broken|refused|hostile [en|zh]
//
// "diagrams" are all Mermaid diagrams of the run, as a JSON array of strings.

#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/report/examples.h"
#include "common/report/hostile_run.h"
#include "common/report/html.h"
#include "common/report/mermaid.h"

namespace ipclab {
namespace {

std::string Diagrams(const RunResult& run, Language language) {
  nlohmann::json diagrams = nlohmann::json::array();
  for (const LabResult& lab : run.labs) {
    for (const CheckResult& check : lab.checks) {
      const Picture events = DrawPicture(check, language);
      const WaitPicture waits = DrawWaits(check, language);
      if (!events.empty()) diagrams.push_back(ToMermaid(events, language));
      if (!waits.empty()) diagrams.push_back(ToMermaid(waits, language));
    }
  }
  return diagrams.dump();
}

int Main(int argc, char** argv) {
  static const std::map<std::string, std::function<RunResult()>> kRuns = {{"mixed", MixedRun},
                                                                          {"broken", BrokenCodeRun},
                                                                          {"refused", RefusedRun},
                                                                          {"hostile", HostileRun}};
  const std::string format = argc > 1 ? argv[1] : "";
  const auto run = kRuns.find(argc > 2 ? argv[2] : "");
  if (run == kRuns.end() || (format != "html" && format != "diagrams")) return 2;
  const Language language = LanguageOf(argc > 3 ? argv[3] : "en");
  const std::string out =
      format == "html" ? ToHtml(run->second(), language) : Diagrams(run->second(), language);
  return std::fputs(out.c_str(), stdout) < 0;
}

}  // namespace
}  // namespace ipclab

int main(int argc, char** argv) { return ipclab::Main(argc, argv); }
