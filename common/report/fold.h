// Makes a long picture short enough to be taken in.
//
//   FoldRepeats(picture, language);            "write(4 <pipe A>, ...) x 37"
//   FoldMiddle(picture, kPictureRows, language);   "59 events left out"

#ifndef IPCLAB_COMMON_REPORT_FOLD_H_
#define IPCLAB_COMMON_REPORT_FOLD_H_

#include "common/report/picture.h"

namespace ipclab {

// Equal calls in a row become one; a group of up to eight rows that comes again and again is shown
// once. Two calls are equal if process, name and first argument are.
void FoldRepeats(Picture& picture, Language language);

// Leaves at most `rows` rows: the beginning and, twice as long, the end.
void FoldMiddle(Picture& picture, std::size_t rows, Language language);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_FOLD_H_
