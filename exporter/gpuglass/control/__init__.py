"""The Unix socket through which this machine's root and the exporter's own user command it."""
