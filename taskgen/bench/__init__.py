"""Measure a target, compare runs, trust the verdict: suites of cases, runs of them with raw samples, comparisons.

suite -> cases -> runs on the target -> samples -> result (one JSON document) -> comparison with another one.
"""
