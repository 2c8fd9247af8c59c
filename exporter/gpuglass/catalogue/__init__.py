"""Every metric, declared once. Imports nothing else of gpuglass."""
