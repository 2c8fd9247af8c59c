"""How unit tests run."""

from hypothesis import settings

# Other work on the machine makes an example slow, not wrong.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
