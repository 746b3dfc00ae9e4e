"""Reproducible hypothesis searches."""

from hypothesis import Phase, settings

settings.register_profile("same-each-time", derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("same-each-time")
