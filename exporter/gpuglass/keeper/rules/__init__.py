"""The users' own rules: checked, and published for vmalert."""
