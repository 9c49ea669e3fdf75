// Short names for nameless objects, the same wherever a report speaks of one box.
//
//   ObjectNames names;
//   names.Of("pipe:[4711]")   "pipe A"
//   names.Of("pipe:[4712]")   "pipe B"
//   names.Of("pipe:[4711]")   "pipe A"
//   names.End(descriptor)     "write end of pipe A"

#ifndef IPCLAB_COMMON_OBSERVE_CENSUS_NAMES_H_
#define IPCLAB_COMMON_OBSERVE_CENSUS_NAMES_H_

#include <map>
#include <string>

#include "common/observe/census.h"

namespace ipclab {

class ObjectNames {
 public:
  // Name of the target of a descriptor. Paths stay, made printable and capped.
  std::string Of(const std::string& target);
  // "read end of pipe A", "/tmp/x (open for reading and writing)", "socket B".
  std::string End(const Descriptor& descriptor);

 private:
  std::map<std::string, std::string> names_;
  std::map<std::string, int> used_;  // Letters given, by kind.
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CENSUS_NAMES_H_
