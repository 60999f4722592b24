"""Tables of PostgreSQL that hold the pairs of databases, and the statements that read and write them."""
