"""The command line, and what composes collector, warehouse and dashboard."""
