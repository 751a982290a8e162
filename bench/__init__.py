"""Measurements that need more than a box carries: other people's programs, recordings, truth."""
