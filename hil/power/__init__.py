"""Power drivers: `command` runs a program, `qemu` resets or restarts an emulated board. The seam is `taskgen.power`."""
