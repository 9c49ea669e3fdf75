#include "common/grading/grader.h"

int main(int argc, char** argv) { return ipclab::GraderMain(argc, argv); }
