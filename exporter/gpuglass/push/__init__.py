"""A worker that pushes, seen from the worker: what it was given, and whether the host takes it."""
