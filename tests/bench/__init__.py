"""Benchmarks. Each figure is compared with a floor of the same run, because machines differ and are shared."""
