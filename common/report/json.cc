#include "common/report/json.h"

#include <nlohmann/json.hpp>

#include "common/report/dump.h"

namespace ipclab {

std::string ToJson(const RunResult& run) { return Dump(nlohmann::json(run), 2); }

}  // namespace ipclab
