"""Faults at random moments, beside clients that post: `make faults` for hours, `tests/end_to_end` for a minute."""
