#include "common/sandbox/helper.h"

#include <dlfcn.h>
#include <unistd.h>

#include <map>

#include "common/sandbox/counters.h"
#include "common/sandbox/registry.h"

// Behind the one instruction that issues markers.
extern "C" const char ipclab_marker_return[];

namespace ipclab {
namespace {

void* g_submission = nullptr;

std::map<std::string, HelperBody, std::less<>>& Helpers() {
  static auto* const helpers = new std::map<std::string, HelperBody, std::less<>>;
  return *helpers;
}

std::map<std::string, ProgramBody, std::less<>>& Programs() {
  static auto* const programs = new std::map<std::string, ProgramBody, std::less<>>;
  return *programs;
}

std::string_view AsText(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string Args::Bytes(const std::string& key) const {
  const nlohmann::json& value = values_.at(key);
  if (value.is_binary()) return std::string(AsText(value.get_binary()));
  return value.get<std::string>();
}

std::int64_t Args::Int(const std::string& key) const { return values_.at(key).get<std::int64_t>(); }

std::int64_t Args::Int(const std::string& key, std::int64_t otherwise) const {
  return values_.contains(key) ? Int(key) : otherwise;
}

__attribute__((noinline)) void SoilStack() {
  unsigned char below[2048];
  for (volatile unsigned char& byte : below) byte = 0xff;
}

// Never inlined, so that the instruction exists once.
__attribute__((noinline, noclone, used)) void Mark(Marker kind, std::string_view data) {
  [[maybe_unused]] long result = kMarkerCall;
#if defined(__x86_64__)
  asm volatile(
      "syscall\n"
      ".global ipclab_marker_return\n"
      "ipclab_marker_return:"
      : "+a"(result)
      : "D"(static_cast<std::uint64_t>(kind)), "S"(data.data()), "d"(data.size())
      : "rcx", "r11", "memory");
#else
#error "markers are written for x86-64 only"
#endif
}

std::uint64_t MarkerAddress() { return reinterpret_cast<std::uint64_t>(ipclab_marker_return); }

void MarkLeave(std::string_view name, std::int64_t value, int error) {
  const auto data = nlohmann::json::to_cbor(nlohmann::json::array({name, value, error}));
  Mark(Marker::kLeave, AsText(data));
}

void Report(const std::string& key, const std::string& value) {
  const int error = errno;
  const std::vector<std::uint8_t> bytes(value.begin(), value.end());
  const auto data =
      nlohmann::json::to_cbor(nlohmann::json::array({key, nlohmann::json::binary(bytes)}));
  Mark(Marker::kReport, AsText(data));
  errno = error;
}

void Report(const std::string& key, std::int64_t value) {
  const int error = errno;
  const auto data = nlohmann::json::to_cbor(nlohmann::json::array({key, value}));
  Mark(Marker::kReport, AsText(data));
  errno = error;
}

bool LoadSubmission(const std::string& path) {
  g_submission = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (g_submission == nullptr) Mark(Marker::kLoadError, dlerror());
  return g_submission != nullptr;
}

const SubmissionCounters* OwnCounters() {
  if (g_submission == nullptr) return nullptr;
  return static_cast<const SubmissionCounters*>(dlsym(g_submission, "ipclab_counters"));
}

void* SubmissionSymbol(const char* name) {
  void* const symbol = g_submission == nullptr ? nullptr : dlsym(g_submission, name);
  if (symbol == nullptr) {
    Mark(Marker::kLoadError, "there is no function " + std::string(name) + "()");
    _exit(126);
  }
  return symbol;
}

RegisterHelper::RegisterHelper(const char* name, HelperBody body) { Helpers()[name] = body; }
RegisterProgram::RegisterProgram(const char* name, ProgramBody body) { Programs()[name] = body; }

HelperBody FindHelper(std::string_view name) {
  const auto found = Helpers().find(name);
  return found == Helpers().end() ? nullptr : found->second;
}

ProgramBody FindProgram(std::string_view argv0) {
  const auto found = Programs().find(argv0.substr(argv0.rfind('/') + 1));
  return found == Programs().end() ? nullptr : found->second;
}

std::vector<std::string> ProgramNames() {
  std::vector<std::string> names;
  for (const auto& [name, body] : Programs()) names.push_back(name);
  return names;
}

}  // namespace ipclab
