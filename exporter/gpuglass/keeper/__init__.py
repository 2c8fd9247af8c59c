"""What runs on the monitoring host beside vmagent and the storage: a set of duties."""
