"""From frames and host facts to the bytes of ``/metrics``."""
