"""Monitoring of an application: counters, latencies, requests that took long, and metrics as Prometheus names them."""
