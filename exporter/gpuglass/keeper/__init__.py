"""What runs on the monitoring host: it validates the users' targets and publishes them."""
