#!/bin/sh
# summary_test.sh TEST SCRIPT
exec /usr/bin/python3 "$@"
