#!/usr/bin/python3
"""What Bazel's downloaded CoverageOutputGenerator does for C++, for Bazel 4.2.3 without network."""

import argparse
import glob
import gzip
import json
import os


class Lcov:
    def __init__(self):
        self.files = {}

    def file(self, name):
        return self.files.setdefault(name, {"da": {}, "fn": {}, "br": {}})

    def gcov_json(self, path, keep):
        with gzip.open(path, "rt") as f:
            data = json.load(f)
        for entry in data["files"]:
            if not keep(entry["file"]):
                continue
            out = self.file(entry["file"])
            for fn in entry["functions"]:
                old = out["fn"].get(fn["name"], (fn["start_line"], 0))
                out["fn"][fn["name"]] = (old[0], old[1] + fn["execution_count"])
            for line in entry["lines"]:
                no = line["line_number"]
                out["da"][no] = out["da"].get(no, 0) + line["count"]
                for i, br in enumerate(line["branches"]):
                    out["br"][(no, 0, i)] = out["br"].get((no, 0, i), 0) + br["count"]

    def lcov(self, path):
        out = None
        with open(path) as f:
            for line in f:
                tag, _, rest = line.rstrip("\n").partition(":")
                if tag == "SF":
                    out = self.file(rest)
                elif out is None:
                    continue
                elif tag == "FN":
                    no, name = rest.split(",", 1)
                    out["fn"].setdefault(name, (int(no), 0))
                elif tag == "FNDA":
                    count, name = rest.split(",", 1)
                    no, old = out["fn"].get(name, (0, 0))
                    out["fn"][name] = (no, old + int(count))
                elif tag == "DA":
                    no, count = rest.split(",")[:2]
                    out["da"][int(no)] = out["da"].get(int(no), 0) + int(count)
                elif tag == "BRDA":
                    no, block, br, count = rest.split(",")
                    key = (int(no), int(block), int(br))
                    out["br"][key] = out["br"].get(key, 0) + (0 if count == "-" else int(count))

    def write(self, path):
        with open(path, "w") as f:
            for name in sorted(self.files):
                e = self.files[name]
                f.write("SF:%s\n" % name)
                for fn, (no, _) in sorted(e["fn"].items()):
                    f.write("FN:%d,%s\n" % (no, fn))
                for fn, (_, count) in sorted(e["fn"].items()):
                    f.write("FNDA:%d,%s\n" % (count, fn))
                f.write("FNF:%d\nFNH:%d\n" % (len(e["fn"]), sum(1 for _, c in e["fn"].values() if c)))
                for (no, block, br), count in sorted(e["br"].items()):
                    f.write("BRDA:%d,%d,%d,%d\n" % (no, block, br, count))
                f.write("BRF:%d\nBRH:%d\n" % (len(e["br"]), sum(1 for c in e["br"].values() if c)))
                for no, count in sorted(e["da"].items()):
                    f.write("DA:%d,%d\n" % (no, count))
                f.write("LH:%d\nLF:%d\nend_of_record\n" % (sum(1 for c in e["da"].values() if c), len(e["da"])))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--coverage_dir")
    p.add_argument("--reports_file")
    p.add_argument("--output_file", required=True)
    p.add_argument("--source_file_manifest")
    args, _ = p.parse_known_args()
    sources = set()
    if args.source_file_manifest:
        with open(args.source_file_manifest) as f:
            sources = {line.strip() for line in f}
    result = Lcov()
    if args.coverage_dir:
        for path in glob.glob(os.path.join(args.coverage_dir, "**", "*.gcov.json.gz"), recursive=True):
            result.gcov_json(path, lambda name: name in sources)
    if args.reports_file:
        with open(args.reports_file) as f:
            for path in f.read().split():
                if os.path.getsize(path):
                    result.lcov(path)
    result.write(args.output_file)


if __name__ == "__main__":
    main()
