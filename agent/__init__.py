"""Vigía: the agent on a coastal sensor box (distribution `vigia`, command `vigia`)."""

__version__ = "0.1.0"
