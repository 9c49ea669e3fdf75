// Turns a run as JSON, on standard input, into a report: render html|markdown [en|zh] [LIMIT]

#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "common/report/html.h"

int main(int argc, char** argv) {
  const std::string format = argc > 1 ? argv[1] : "";
  const ipclab::Language language = ipclab::LanguageOf(argc > 2 ? argv[2] : "en");
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || (format != "html" && format != "markdown")) return 2;
  const auto run = json.get<ipclab::RunResult>();
  const std::string out = format == "html" ? ipclab::ToHtml(run, language) : "";
  return std::fputs(out.c_str(), stdout) < 0;
}
