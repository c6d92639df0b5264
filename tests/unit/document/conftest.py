"""Settings of the property tests."""

from hypothesis import settings

# How long one example takes depends on what else the machine does; time is tested where it is the subject.
settings.register_profile("document", deadline=None)
settings.load_profile("document")
