"""The points of a run, all labs together: points=, max-points= and percent=, one a line.

    totals.py result.json

Fails if a lab could not be graded: a sum without it would be no total.
"""

import json
import sys
from fractions import Fraction


def number(value):
    """Two decimals at most, cut off: 99.999 percent are not 100."""
    hundredths = int(value * 100)
    return f"{hundredths / 100:g}" if hundredths % 100 else str(hundredths // 100)


def totals(run):
    if run["schema"] != "ipclab/result/v1":
        raise ValueError(f"unknown schema {run['schema']!r}")
    # Code that does not compile is graded without being run.
    ran = any(check["status"] != "skipped" for lab in run["labs"] for check in lab["checks"])
    if run["isolation"]["mode"] != "full" and (ran or run["isolation"]["mode"] != "none"):
        raise ValueError("not graded in full isolation")
    errors = [lab["lab"] for lab in run["labs"] if lab["error"]]
    if errors or not run["labs"]:
        raise ValueError(f"not graded: {errors}")
    points = sum(Fraction(str(lab["score"])) for lab in run["labs"])
    most = sum(Fraction(str(lab["max_score"])) for lab in run["labs"])
    if most <= 0:
        raise ValueError("nothing was checked")
    return points, most, 100 * points / most


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        values = totals(json.load(file))
    for name, value in zip(("points", "max-points", "percent"), values):
        print(f"{name}={number(value)}")
