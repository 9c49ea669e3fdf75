#include "common/report/format.h"

#include <algorithm>

#include "common/report/formats/formats.h"
#include "common/report/html.h"
#include "common/report/json.h"
#include "common/report/markdown.h"

namespace ipclab {
namespace {

Document Text(const RunResult& run, const FormatOptions& options) {
  return {.text = ToText(run, options.style)};
}

Document Json(const RunResult& run, const FormatOptions&) { return {.text = ToJson(run) + "\n"}; }

Document Html(const RunResult& run, const FormatOptions& options) {
  return {.text = ToHtml(run, options.style.language)};
}

Document Markdown(const RunResult& run, const FormatOptions& options) {
  return {.text = ToMarkdown(run, options.style.language, options.limit)};
}

}  // namespace

const std::vector<Format>& Formats() {
  static const std::vector<Format> kFormats = {
      {"text", "what a student reads in a terminal", Text},
      {"json", "everything, as common/report/result.schema.json describes it", Json},
      {"html", "one page with pictures, for people", Html},
      {"markdown", "the summary of a job, for GitHub", Markdown},
      {"junit", "JUnit XML, for CI servers", WriteJUnit},
      {"github", "annotations of a GitHub Actions job, and its summary", WriteGitHub},
      {"github-classroom", "GitHub Classroom's autograding reporter", WriteGitHubClassroom},
      {"classroom50", "Classroom 50's result.json", WriteClassroom50, Classroom50Lacks},
      {"gradescope", "Gradescope's results.json", WriteGradescope},
      {"autolab", "Autolab: the text, then its line of scores", WriteAutolab},
      {"prairielearn", "PrairieLearn's results.json", WritePrairieLearn},
      {"exercism", "results.json of an Exercism test runner, version 3", WriteExercism},
  };
  return kFormats;
}

const Format* FindFormat(std::string_view name) {
  const std::vector<Format>& formats = Formats();
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const Format& format) { return format.name == name; });
  return found == formats.end() ? nullptr : &*found;
}

}  // namespace ipclab
