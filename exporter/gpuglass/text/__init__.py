"""Files that people write: read and replaced whole, and YAML whose lines are known."""
