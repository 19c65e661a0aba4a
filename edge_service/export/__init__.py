"""Measurement and verification: what was recorded, handed out so that others can check it."""
