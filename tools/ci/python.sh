#!/bin/sh
# python.sh SCRIPT [ARGUMENT...]: a test that is written in Python
exec /usr/bin/python3 "$@"
