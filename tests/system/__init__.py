"""The daemon as a whole, with real brokers, ports and processes around it."""
