"""Makes a C++ source of a style sheet: embed_style.py STYLE.css >style.cc

The text between <style> and </style> is what the hash is taken of, to the last byte.
"""

import base64
import hashlib
import sys


def main():
    with open(sys.argv[1], "rb") as file:
        style = file.read()
    text = style.decode("ascii")
    if "</" in text or ')css"' in text:
        sys.exit("a style sheet must not end its element or the string it is kept in")
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    print(f'''#include "common/report/style.h"

namespace ipclab {{

std::string_view ReportStyle() {{
  return R"css({text})css";
}}

std::string_view ReportStyleHash() {{ return "sha256-{digest}"; }}

}}  // namespace ipclab''')


if __name__ == "__main__":
    main()
