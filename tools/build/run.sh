#!/bin/sh
# Runs a program as a Bazel test: run.sh PROGRAM [ARGUMENT...]
exec "$@"
