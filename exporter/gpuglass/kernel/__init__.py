"""The kernel log: its records of XIDs, and who hands them on to an exporter that may not read it.

It may be run with a right that nothing else of ours has, and so imports nothing else.
"""
