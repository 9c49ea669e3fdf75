// The pictures as SVG, to stand in a page that has report.css.
//
//   ToSvg(DrawPicture(check, language), "picture-3", check.id, language)
//   ToSvg(DrawWaits(check, language), "waits-3", check.id, language)
//
// `id` is unique in the page; the names of the title and the description begin with it. `check` is
// named in the description. Colours come from classes, so that light, dark and print differ;
// nothing in the picture refers to anything outside of it.

#ifndef IPCLAB_COMMON_REPORT_SVG_H_
#define IPCLAB_COMMON_REPORT_SVG_H_

#include <string>
#include <string_view>

#include "common/report/picture.h"
#include "common/report/wait_picture.h"
#include "common/report/words.h"

namespace ipclab {

std::string ToSvg(const Picture& picture, std::string_view id, std::string_view check,
                  Language language);
std::string ToSvg(const WaitPicture& picture, std::string_view id, std::string_view check,
                  Language language);

// How much is done, from 0 to 1; for the eye only.
std::string BarSvg(double share);

}  // namespace ipclab

#endif  // IPCLAB_COMMON_REPORT_SVG_H_
