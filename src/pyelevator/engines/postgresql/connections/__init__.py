"""Connections to the servers of a PostgreSQL cluster: opened, pooled, watched, and what their errors mean."""
