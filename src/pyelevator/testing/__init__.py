"""Public helpers for tests: conformance suites to subclass, servers to start, hypothesis strategies.

Needs the extra ``testing`` (pytest, hypothesis).
"""
