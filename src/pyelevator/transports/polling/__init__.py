"""Waiting for descriptors: for one, or for many."""
