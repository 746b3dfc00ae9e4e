"""Licensing evidence: the facts about installs and keys, the rules that judge them, and the flags they raise."""
