// What only the checks of the fifo lab say: names in the box, and who writes into a FIFO.
//
//   const std::string path = PutFifo(box);                 // Made by a helper that knows no more.
//   EXPECT_THAT(WhatIsAt(box, path), IsText("a FIFO with mode 0600"));
//   EXPECT_TRUE(BytesInto(box, path) >= bytes.size());     // By the trace of write calls.

#ifndef IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_
#define IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_

#include <signal.h>

#include <string>
#include <vector>

#include "common/grading/outcomes.h"
#include "common/grading/steering.h"

namespace ipclab {

// Puts something new into the box's work directory and returns its name, which is drawn at random:
// "fifo", "file" (with some content), "directory", "link to fifo" or "dangling link". The helper
// is in fifo_make_checks.cc.
inline std::string Put(Sandbox& box, const std::string& kind, int mode = 0600) {
  const std::string path = RandomWord(8);
  Helper puts = box.Start("Puts", {{"kind", kind}, {"path", path}, {"mode", mode}});
  if (puts.Wait().code != 0) throw GraderError("there is no " + kind);
  return path;
}

inline std::string PutFifo(Sandbox& box) { return Put(box, "fifo"); }

// As another process finds it: "a FIFO with mode 0600", "a file of 12 bytes", "nothing".
inline std::string WhatIsAt(Sandbox& box, const std::string& path) {
  Helper looks = box.Start("LooksAt", {{"path", path}});
  looks.Wait();
  return looks.ReportedBytes("there");
}

inline bool IsAt(const Event& event, const std::string& path) {
  return event.target.ends_with("/" + path);
}

// The calls of a family that students' functions made on this FIFO.
inline std::vector<Event> CallsOn(const Sandbox& box, Family family, const std::string& path) {
  std::vector<Event> calls = box.Calls(family);
  std::erase_if(calls, [&](const Event& event) { return !IsAt(event, path); });
  return calls;
}

// How many bytes students' functions wrote into it. The box must watch Family::kWrite and, since
// splice(2) writes too, Family::kSplice.
inline std::size_t BytesInto(const Sandbox& box, const std::string& path) {
  std::size_t bytes = 0;
  for (const Family family : {Family::kWrite, Family::kSplice}) {
    for (const Event& event : CallsOn(box, family, path)) {
      if (event.Succeeded()) bytes += static_cast<std::size_t>(*event.result);
    }
  }
  return bytes;
}

// How often SIGPIPE reached a process.
inline int SigpipesDelivered(const Sandbox& box) {
  int count = 0;
  for (const Event& event : box.events()) {
    count += event.kind == Event::Kind::kSignal && event.status == SIGPIPE ? 1 : 0;
  }
  return count;
}

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_FIFO_EXPECTATIONS_H_
