"""What needs a kernel of its own: `make test-vm`."""
