#include "common/report/json.h"

#include <nlohmann/json.hpp>

namespace ipclab {

std::string ToJson(const RunResult& run) {
  return nlohmann::json(run).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace ipclab
