#!/bin/sh
# Every check of a rubric must be the one that some mistake is caught by.
#
#   every_check_is_proved.sh RUBRIC PATCH...
set -eu

exec /usr/bin/python3 - "$@" <<'EOF'
import json
import sys

rubric = json.load(open(sys.argv[1], encoding="utf-8"))
checks = [check["id"] for exercise in rubric["exercises"] for check in exercise["checks"]]
caught_by = {}
for path in sys.argv[2:]:
    for line in open(path, encoding="utf-8"):
        if line.startswith("Caught-by: "):
            caught_by.setdefault(line.split(": ", 1)[1].strip(), []).append(path)
unproved = [check for check in checks if check not in caught_by]
for check in unproved:
    print(f"no mistake is caught by {check}: add a patch to mistakes/ with this line:\n"
          f"  Caught-by: {check}")
print(f"{len(checks) - len(unproved)} of {len(checks)} checks are proved by "
      f"{len(sys.argv) - 2} mistakes")
sys.exit(1 if unproved or not checks else 0)
EOF
