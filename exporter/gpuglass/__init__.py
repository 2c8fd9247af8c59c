"""gpuglass: self-hosted, Prometheus-native monitoring for NVIDIA GPUs."""

__version__ = "0.1.0.dev0"
