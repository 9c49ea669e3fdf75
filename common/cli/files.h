// Files that are there whole or not at all.
//
//   CheckWritable("result.json");            // before the work: UsageError if it cannot be done
//   WriteAtomically("result.json", text);    // after it

#ifndef IPCLAB_COMMON_CLI_FILES_H_
#define IPCLAB_COMMON_CLI_FILES_H_

#include <filesystem>
#include <string_view>

namespace ipclab {

// Throws UsageError unless `path` is a regular file or does not exist yet, in a folder that may be
// written. Changes nothing.
void CheckWritable(const std::filesystem::path& path);

// Writes a new file beside `path` and renames it, so that a reader never sees half of it. Throws
// GraderError; `path` then is as it was. See rename(2).
void WriteAtomically(const std::filesystem::path& path, std::string_view text);

// write(2) until all is written. Throws GraderError that names `what`.
void WriteAllTo(int fd, std::string_view text, std::string_view what);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_FILES_H_
