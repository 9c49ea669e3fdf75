#!/bin/sh
# schema_test.sh SCRIPT SCHEMA EXAMPLE_PROGRAM
exec /usr/bin/python3 "$@"
