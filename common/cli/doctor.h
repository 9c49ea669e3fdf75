// `lab doctor`: what grading needs of this machine, tried one by one.
//
//   return RunDoctor();                                    // prints, 0 if all works
//   for (const Probe& probe : AllProbes()) probe.run();    // one Finding each

#ifndef IPCLAB_COMMON_CLI_DOCTOR_H_
#define IPCLAB_COMMON_CLI_DOCTOR_H_

#include <string>
#include <vector>

namespace ipclab {

struct ProbeFinding {
  bool works = false;
  std::string detail;  // What was found, or why it does not work.
  std::string fix;     // The one command that helps; empty if it works or nothing is known.
};

struct Probe {
  std::string name;
  ProbeFinding (*run)();
};

const std::vector<Probe>& AllProbes();

// A line for each probe, and one more with the fix where one does not work.
std::string ProbeText(const std::string& name, const ProbeFinding& finding);

// The exit status: 0 if everything works, else 1.
int RunDoctor();

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_DOCTOR_H_
