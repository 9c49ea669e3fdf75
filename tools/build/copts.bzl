"""Compiler flags of every C++ target of this repository."""

IPCLAB_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    # Designated initialisers name what differs from the default.
    "-Wno-missing-field-initializers",
]
