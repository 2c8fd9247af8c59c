"""The long-term tiers: windows of raw samples, rolled up once they are closed."""
