from hypothesis import settings

# The first example pays for imports and thread pools, so a time limit for each would fail on a busy machine.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
