"""Backups of an installation: what is stored, what people wrote, and what was made for them."""
