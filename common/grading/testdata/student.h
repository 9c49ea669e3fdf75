// The contract of a made-up lab, for the tests of common/grading.

#ifndef IPCLAB_COMMON_GRADING_TESTDATA_STUDENT_H_
#define IPCLAB_COMMON_GRADING_TESTDATA_STUDENT_H_

namespace ipclab::made_up {

extern "C" {

int not_written();
// Does one of many things, right or wrong; see student.cc.
int does(const char* what);

}  // extern "C"

}  // namespace ipclab::made_up

#endif  // IPCLAB_COMMON_GRADING_TESTDATA_STUDENT_H_
