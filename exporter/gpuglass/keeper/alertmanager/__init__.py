"""Alertmanager: its alerts, and the silences that we make there."""
