"""Benchmarks: each figure beside a floor that is measured in the same run, because machines differ and are shared."""
