"""The picture's side: what runs ashore, from the same package."""
