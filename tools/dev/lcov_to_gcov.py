#!/usr/bin/python3
"""Turns what `bazel coverage` collects into files that every gcovr reads.

  lcov_to_gcov.py coverage.dat WORKSPACE FOLDER

Writes one .gcov file (gcov(1)) for each source of the workspace into FOLDER. gcovr's own JSON would
be shorter, but each version of gcovr wants another one.
"""

import collections
import os
import sys


def read_lcov(lines):
    """The hits of each line of each file: {file: {number: hits}}."""
    hits = collections.defaultdict(collections.Counter)
    current = None
    for line in lines:
        tag, _, rest = line.rstrip("\n").partition(":")
        if tag == "SF":
            current = hits[rest]
        elif tag == "DA" and current is not None:
            number, count = rest.split(",")[:2]
            current[int(number)] += int(count)
    return hits


def gcov_lines(name, source, hits):
    """The lines of a .gcov file: hits, number and text of each line of `source`."""
    yield f"        -:    0:Source:{name}\n"
    for number, text in enumerate(source, start=1):
        if number not in hits:
            count = "-"
        else:
            count = str(hits[number]) if hits[number] > 0 else "#####"
        yield f"{count:>9}:{number:>5}:{text.rstrip()}\n"


def main():
    """Converts; a report about nothing is an error."""
    lcov, workspace, folder = sys.argv[1:]
    with open(lcov, encoding="utf-8") as file:
        hits = read_lcov(file)
    written = 0
    for name in sorted(hits):
        path = os.path.join(workspace, name)
        if not os.path.isfile(path):  # Made by the build, or another repository's.
            continue
        with open(path, encoding="utf-8") as source:
            lines = list(gcov_lines(name, source, hits[name]))
        out = os.path.join(folder, name.replace("/", "#") + ".gcov")
        with open(out, "w", encoding="utf-8") as file:
            file.writelines(lines)
        written += 1
    if written == 0:
        sys.exit(f"lcov_to_gcov: {lcov} names no file of {workspace}")


if __name__ == "__main__":
    main()
