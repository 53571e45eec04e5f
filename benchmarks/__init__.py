"""Ratios against peers, measured in interleaved runs; each module is a command, `python -m benchmarks.NAME`."""
