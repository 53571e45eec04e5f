"""The suites that taskgen brings, one module each: copy one, change it, and name it `--suite path/file.py:SUITE`."""
