// A box of its own for every check: namespaces, an almost empty root and a trusted process 1.
//
//   BoxOptions options;
//   options.submission = library.get();      // a readable descriptor
//   const std::unique_ptr<Box> box = Box::Take(options);
//   box->StartHelper({"SendsBytes", args, filter}, stdin, stdout, stderr);
//   // everything in the box ends with `box`
//
// Made by bubblewrap (bwrap(1)); namespaces(7). Without `confine` the stage is a plain child with a
// working directory of its own: the practice mode, for machines that allow no namespaces.

#ifndef IPCLAB_COMMON_SANDBOX_BOX_H_
#define IPCLAB_COMMON_SANDBOX_BOX_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/fd.h"

namespace ipclab {

struct BoxOptions {
  int submission = -1;  // The shared object; -1 for a box without one.
  bool shell = false;   // /bin/sh, for popen and the like.
  bool confine = true;
};

struct HelperOrder {
  std::string helper;
  nlohmann::json args = nlohmann::json::object();
  std::string filter;            // From BuildFilter.
  std::map<int, rlim_t> limits;  // By RLIMIT_ number, soft and hard.
  int counters = -1;  // Shared memory, see counters.h; -1 for a submission that has none.
};

class Box {
 public:
  // A box that stands. The next one with the same options is begun at once, so that another
  // processor makes it while a check runs in this one. Throws GraderError if it cannot be made.
  static std::unique_ptr<Box> Take(const BoxOptions& options);
  // Kills the stage, and with it the box. Whoever traces its processes must have let go of them.
  ~Box();
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;

  // Process 1 of the box, as the grader sees it.
  pid_t stage() const { return stage_; }
  std::uint64_t marker_address() const { return marker_address_; }
  // What stands before the paths of the box as its processes use them: nothing, or the scratch
  // folder of the practice mode. Helpers start in prefix() + "/tmp".
  const std::string& prefix() const { return scratch_; }

  // Has the stage fork a helper. The descriptors are duplicated and stay the caller's.
  void StartHelper(const HelperOrder& order, int in, int out, int err);
  // Asks the stage, which answers from inside the box's namespaces.
  std::string Ask(const std::string& question);

 private:
  // Begins it; Greet waits until it stands.
  explicit Box(const BoxOptions& options);
  void Launch(const BoxOptions& options, int control);
  void Greet();
  void Send(char kind, const std::string& text, const std::vector<int>& fds);
  std::string Complaint() const;

  bool confined_;
  bool has_submission_;
  std::string scratch_;  // Of the practice mode; removed with the box.
  Fd control_;
  Fd complaints_;       // Standard error of bubblewrap and stage.
  pid_t monitor_ = -1;  // Our child: bubblewrap, or the stage itself.
  pid_t stage_ = -1;
  std::uint64_t marker_address_ = 0;
};

}  // namespace ipclab

#endif  // IPCLAB_COMMON_SANDBOX_BOX_H_
