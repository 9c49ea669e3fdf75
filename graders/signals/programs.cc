// The programs that the box holds in /bin.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "common/sandbox/helper.h"

namespace ipclab {
namespace {

// exits CODE.
PROGRAM(exits) { return argc > 1 ? std::atoi(argv[1]) : 0; }

}  // namespace
}  // namespace ipclab
