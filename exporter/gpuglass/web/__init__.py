"""The HTTP side: ``/metrics``, health and the landing page."""
