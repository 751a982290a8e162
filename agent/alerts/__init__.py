"""Zones, rules and the life of alerts. Pure."""
