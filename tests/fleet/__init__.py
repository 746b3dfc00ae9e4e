"""A synthetic stream of beacons, and an independent count of what the read API must answer about it."""
