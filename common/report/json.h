// A run as JSON: the format that result.schema.json describes.
//
//   std::cout << ToJson(run) << "\n";

#ifndef IPCLAB_COMMON_REPORT_JSON_H_
#define IPCLAB_COMMON_REPORT_JSON_H_

#include <string>

#include "common/grading/result.h"

namespace ipclab {

// Indented by two spaces. Bytes that are not UTF-8 become U+FFFD, so that any reader can parse it.
std::string ToJson(const RunResult& run);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_JSON_H_
