"""Who is told of alerts: the users' receivers file, checked and published for Alertmanager."""
