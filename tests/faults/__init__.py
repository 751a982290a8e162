"""The fault matrix: what is reported, how soon, how it recovers, what is lost."""
