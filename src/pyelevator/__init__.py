"""pyelevator."""
