"""Licensing evidence: the rules, the flags, and a labelled fleet that measures them."""
