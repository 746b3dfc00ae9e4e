"""The charts: what each one asks (`registry`), its data over time (`series`), and the functions that draw it.

A chart's name is its key in the registry, the beginning of its component ids, and the name of its figure function.
Figure functions are pure: they take rows or a `Line` and return a Plotly figure.
"""
