"""Contacts, AIS and reported targets to one picture of vessels. Pure."""
