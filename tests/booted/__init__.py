"""The package and the service in a booted Debian 12."""
