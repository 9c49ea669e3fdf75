// The contract of a lab that exists only in tests.

#ifndef IPCLAB_COMMON_COMPILE_TESTDATA_TOY_H_
#define IPCLAB_COMMON_COMPILE_TESTDATA_TOY_H_

namespace ipclab::toy {
extern "C" {

int toy_answer(int question);
int toy_count(const char* text);

}  // extern "C"
}  // namespace ipclab::toy

#endif  // IPCLAB_COMMON_COMPILE_TESTDATA_TOY_H_
