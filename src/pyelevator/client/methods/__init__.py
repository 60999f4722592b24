"""The methods of clients, each written once for sync and async."""
