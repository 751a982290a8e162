"""Drivers: one file per device protocol, bytes in, measurements out. `table.py` knows them by name."""
