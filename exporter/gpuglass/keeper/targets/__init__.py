"""The users' targets: checked, and published for vmagent."""
