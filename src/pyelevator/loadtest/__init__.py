"""Load tests: processes that work at the same time, and the workloads that ``elevator bench`` and `make bench` run."""
