"""The camera's path on rendered video."""
