// What checks have done by somebody who is none of the student's functions.

#include "common/sandbox/helper.h"
#include "graders/msgqueue/expectations.h"

namespace ipclab {
namespace {

HELPER(MakesAQueue) {
  const int mode = static_cast<int>(args.Int("mode"));
  const int qid = Check(msgget(IPC_PRIVATE, IPC_CREAT | mode), "msgget");
  if (args.Int("capacity") > 0) SetCapacity(qid, static_cast<unsigned long>(args.Int("capacity")));
  Report("qid", qid);
  return 0;
}

HELPER(PutsAMessage) {
  PutRaw(static_cast<int>(args.Int("qid")), args.Int("type"), args.Bytes("data"));
  return 0;
}

HELPER(TakesAMessage) {
  const auto taken = TakeRaw(static_cast<int>(args.Int("qid")), args.Int("type"));
  if (taken) Report("data", *taken);
  return taken ? 0 : 1;
}

HELPER(RemovesAQueue) {
  Check(msgctl(static_cast<int>(args.Int("qid")), IPC_RMID, nullptr), "msgctl(IPC_RMID)");
  return 0;
}

}  // namespace
}  // namespace ipclab
