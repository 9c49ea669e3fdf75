// What the checks of exercise 7 share: what a QInfo says, and what passes between the box and the
// kernel.
//
//   const auto sets = [&](const Event& event) {
//     return IsCommand(event, IPC_SET) && ReadArgument(event, &status);
//   };

#ifndef IPCLAB_GRADERS_MSGQUEUE_INSIDE_H_
#define IPCLAB_GRADERS_MSGQUEUE_INSIDE_H_

#include <sys/uio.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "graders/msgqueue/expectations.h"
#include "labs/msgqueue/msgqueue.h"

namespace ipclab {

using msgqueue::q_info;
using msgqueue::QInfo;

// ---- In the box ---------------------------------------------------------------------------------

inline void ReportInfo(int qid, const std::string& key) {
  QInfo info;
  std::memset(&info, 0x5a, sizeof info);
  const QInfo untouched = info;
  if (STUDENT(q_info)(qid, &info) != 0) {
    Report(key + "_touched", std::memcmp(&info, &untouched, sizeof info) != 0 ? 1 : 0);
    return;
  }
  Report(key + "_messages", static_cast<std::int64_t>(info.messages));
  Report(key + "_bytes", static_cast<std::int64_t>(info.bytes));
  Report(key + "_max", static_cast<std::int64_t>(info.max_bytes));
  Report(key + "_sender", info.last_sender);
  Report(key + "_receiver", info.last_receiver);
  Report(key + "_mode", info.mode);
  Report(key + "_uid", info.uid);
  Report(key + "_cuid", info.cuid);
}

// ---- In the grader ------------------------------------------------------------------------------

inline int CommandOf(const Event& event) { return static_cast<int>(event.args[1] & 0xff); }

inline bool IsCommand(const Event& event, int command) {
  return event.number == SYS_msgctl && !event.function.empty() && CommandOf(event) == command;
}

// What a task that stands at the entry of msgctl passes as its third argument.
template <typename Data>
bool ReadArgument(const Event& event, Data* data) {
  const iovec here{data, sizeof *data};
  const iovec there{reinterpret_cast<void*>(event.args[2]), sizeof *data};
  return process_vm_readv(event.tid, &here, 1, &there, 1, 0) == sizeof *data;
}

template <typename Data>
bool WriteArgument(const Event& event, Data data) {
  const iovec here{&data, sizeof data};
  const iovec there{reinterpret_cast<void*>(event.args[2]), sizeof data};
  return process_vm_writev(event.tid, &here, 1, &there, 1, 0) == sizeof data;
}

struct Field {
  const char* name;
  std::int64_t value;
};

// Compares what the helper reported as `key` and the field's name.
inline void ExpectFields(const Helper& helper, const std::string& key,
                         const std::vector<Field>& fields, const std::string& what) {
  for (const Field& field : fields) {
    const std::int64_t got = helper.Reported(key + "_" + field.name);
    EXPECT_TRUE(got == field.value)
        << what << ": " << field.name << " is " << got << " instead of " << field.value;
  }
}

inline std::int64_t RandomMode() { return 0600 | RandomInt(1, 077); }

}  // namespace ipclab

#endif  // IPCLAB_GRADERS_MSGQUEUE_INSIDE_H_
