// Every watched call of every exercise fails once: the solution reports it, leaks nothing and does
// not hang.

#include "common/grading/sweep.h"

#include <gmock/gmock.h>

#include "common/grading/around.h"
#include "common/sandbox/helper.h"
#include "labs/fifo/fifo.h"

namespace ipclab {
namespace {

using namespace fifo;  // NOLINT(google-build-using-namespace): all of the lab is swept.

const std::vector<Family> kWatched = {
    Family::kPipe,  Family::kOpen,   Family::kDup,  Family::kFcntl, Family::kRead,
    Family::kWrite, Family::kSplice, Family::kPoll, Family::kWait,  Family::kSignalWait};

void ExpectSound(const std::string& helper) {
  for (const std::string& fault : SweepErrors(helper, {.watch = kWatched})) ADD_FAILURE() << fault;
}

}  // namespace
}  // namespace ipclab
