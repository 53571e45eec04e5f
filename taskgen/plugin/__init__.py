"""The parts of the pytest plugin: `taskgen.pytest_plugin` imports each of them when it is needed, and not before."""
