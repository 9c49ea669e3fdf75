// Prints an example run as JSON, for the test of the schema: example_json mixed|broken|refused

#include <cstdio>
#include <string>

#include "common/report/examples.h"
#include "common/report/json.h"

int main(int argc, char** argv) {
  const std::string which = argc == 2 ? argv[1] : "";
  if (which != "mixed" && which != "broken" && which != "refused") return 2;
  const ipclab::RunResult run = which == "mixed"    ? ipclab::MixedRun()
                                : which == "broken" ? ipclab::BrokenCodeRun()
                                                    : ipclab::RefusedRun();
  return std::puts(ipclab::ToJson(run).c_str()) < 0;
}
