// JSON as any reader takes it, and as no log takes for anything else.
//
//   Dump(nlohmann::ordered_json{{"a", 1}})    {"a":1}
//   Dump(json, 2)                             indented by two spaces

#ifndef IPCLAB_COMMON_REPORT_DUMP_H_
#define IPCLAB_COMMON_REPORT_DUMP_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ipclab {

// Bytes that are not UTF-8 become U+FFFD. "##[" within a string is written "#\u0023[", because
// GitHub's runner takes it for a command wherever in a line it stands.
template <typename Json>
std::string Dump(const Json& json, int indent = -1) {
  constexpr std::string_view kCommand = "##[";
  std::string text = json.dump(indent, ' ', false, Json::error_handler_t::replace);
  for (std::size_t at = 0; (at = text.find(kCommand, at)) != std::string::npos;) {
    text.replace(at, kCommand.size(), "#\\u0023[");
  }
  return text;
}

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_DUMP_H_
