// The contract of a made-up lab, for the test of what a submission that counts its lines counts.

#ifndef IPCLAB_COMMON_GRADING_TESTDATA_COUNTED_H_
#define IPCLAB_COMMON_GRADING_TESTDATA_COUNTED_H_

namespace ipclab::counted {

extern "C" {

// Lets a process come to its end in one of several ways; see counted.cc.
int ends(const char* how);

}  // extern "C"

}  // namespace ipclab::counted

#endif  // IPCLAB_COMMON_GRADING_TESTDATA_COUNTED_H_
