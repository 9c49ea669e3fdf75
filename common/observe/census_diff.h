// What came, went or changed between two censuses, each thing by its name.
//
//   for (const std::string& leftover : Leftovers(before, after, names)) ADD_FAILURE() << leftover;
//   // "descriptor 5, write end of pipe A, is still open"
//   // "zombie child 7 (not waited for)"
//
// Sets are compared, never counts. The order is fixed: descriptors, children, threads, mappings,
// signals, timers.

#ifndef IPCLAB_COMMON_OBSERVE_CENSUS_DIFF_H_
#define IPCLAB_COMMON_OBSERVE_CENSUS_DIFF_H_

#include <string>
#include <vector>

#include "common/observe/census.h"
#include "common/observe/census_names.h"
#include "common/observe/census_sysv.h"
#include "common/observe/census_tree.h"

namespace ipclab {

// Mappings count if they are shared, or private ones of a file outside the system's libraries: what
// malloc, stacks and libraries add is nobody's leak.
std::vector<std::string> Leftovers(const Census& before, const Census& after, ObjectNames& names);
std::vector<std::string> Leftovers(const std::vector<SysvObject>& before,
                                   const std::vector<SysvObject>& after);
std::vector<std::string> Leftovers(const std::vector<TreeEntry>& before,
                                   const std::vector<TreeEntry>& after);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_OBSERVE_CENSUS_DIFF_H_
