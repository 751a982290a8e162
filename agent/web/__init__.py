"""The operator's page: its own process, loopback only, read-only."""
