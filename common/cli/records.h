// What a student has reached so far: the last results of each lab, kept in .lab/progress.json.
//
//   Remember(workspace, lab_result);
//   std::cout << Overview(workspace, Language::kEnglish);

#ifndef IPCLAB_COMMON_CLI_RECORDS_H_
#define IPCLAB_COMMON_CLI_RECORDS_H_

#include <string>

#include "common/cli/workspace.h"
#include "common/grading/result.h"
#include "common/report/words.h"

namespace ipclab {

// Keeps the result of a whole lab that was graded from the student's own file. Two runs at a time
// do not lose each other's. Throws GraderError.
void Remember(const Workspace& workspace, const LabResult& lab);

// A line for each lab: exercises solved, points, the next thing to do.
std::string Overview(const Workspace& workspace, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_CLI_RECORDS_H_
