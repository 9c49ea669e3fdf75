#include "common/cli/workspace.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/error.h"

namespace ipclab {
namespace {

namespace fs = std::filesystem;

// Number of letters to insert, delete or replace.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Shown(const fs::path& path) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const std::string relative = path.lexically_relative(here).string();
  // Far from home the whole path says more than a row of dots.
  const bool far = relative.starts_with("../../..");
  return error || relative.empty() || far ? path.string() : relative;
}

std::vector<std::string> Workspace::Labs() const {
  std::vector<std::string> labs;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "graders", error)) {
    const std::string name = entry.path().filename();
    if (fs::exists(Rubric(name), error)) labs.push_back(name);
  }
  if (labs.empty()) throw GraderError("no labs under " + (root / "graders").string());
  std::sort(labs.begin(), labs.end());
  return labs;
}

fs::path Workspace::Rubric(const std::string& lab) const {
  return root / "graders" / lab / "rubric.json";
}
fs::path Workspace::Exports(const std::string& lab) const {
  return root / "graders" / lab / "exports.txt";
}
fs::path Workspace::Contract(const std::string& lab) const {
  return root / "labs" / lab / (lab + ".h");
}
fs::path Workspace::Grader(const std::string& lab) const {
  return bin / "graders" / lab / (lab + "_grader");
}
std::string Workspace::StudentFile(const std::string& lab) const {
  return Shown(root / "labs" / lab / (lab + ".cc"));
}
std::string Workspace::SolutionFile(const std::string& lab) const {
  return Shown(root / "solutions" / lab / (lab + ".cc"));
}

Workspace FindWorkspace() {
  const char* const root = std::getenv("IPCLAB_WORKSPACE");
  if (root == nullptr || *root == '\0') {
    throw GraderError("IPCLAB_WORKSPACE is not set; start this program with ./lab");
  }
  const char* const bin = std::getenv("IPCLAB_BIN");
  const fs::path folder = fs::absolute(root);
  return {folder, bin != nullptr && *bin != '\0' ? fs::absolute(bin) : folder / "bazel-bin"};
}

std::string Nearest(std::string_view name, const std::vector<std::string>& names) {
  std::string nearest;
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : names) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace ipclab
