"""Programs to instrument, break and watch."""
