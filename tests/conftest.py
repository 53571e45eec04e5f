"""Our plugin is loaded here and not by its entry point (`-p no:taskgen` in pyproject.toml): coverage sees it then."""

import sys

# Whoever runs pytest without our addopts has it already.
pytest_plugins = ["pytester"] + (["taskgen.pytest_plugin"] if "taskgen.pytest_plugin" not in sys.modules else [])
