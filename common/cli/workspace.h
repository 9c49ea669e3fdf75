// Where everything lies: the folder with labs/, graders/ and solutions/.
//
//   const Workspace workspace = FindWorkspace();
//   for (const std::string& lab : workspace.Labs()) ...
//   workspace.StudentFile("pipe")            // "../labs/pipe/pipe.cc", as the user would type it

#ifndef IPCLAB_COMMON_CLI_WORKSPACE_H_
#define IPCLAB_COMMON_CLI_WORKSPACE_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ipclab {

struct Workspace {
  std::filesystem::path root;  // Absolute.
  std::filesystem::path bin;   // Where Bazel put what it built.

  // Names of the labs that have a grader, sorted.
  std::vector<std::string> Labs() const;

  std::filesystem::path Rubric(const std::string& lab) const;
  std::filesystem::path Exports(const std::string& lab) const;
  std::filesystem::path Contract(const std::string& lab) const;
  std::filesystem::path Grader(const std::string& lab) const;
  // Relative to the current folder if that is short.
  std::string StudentFile(const std::string& lab) const;
  std::string SolutionFile(const std::string& lab) const;
};

// `path` as the user would type it: relative to the current folder if that is short.
std::string Shown(const std::filesystem::path& path);

// From IPCLAB_WORKSPACE and IPCLAB_BIN, which ./lab sets. Throws GraderError.
Workspace FindWorkspace();

// The one of `names` that `name` most likely means, or "" if none is close.
std::string Nearest(std::string_view name, const std::vector<std::string>& names);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_WORKSPACE_H_
