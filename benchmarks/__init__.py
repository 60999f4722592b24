"""Side by side with peers: `make bench` measures this machine and writes docs/benchmarks.md. Not asserted in CI."""
