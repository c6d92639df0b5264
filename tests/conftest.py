"""No sentence encoder in the tests, unless they ask for it: it would be fetched into every home folder.

How long one example of a property test takes, and how fast examples are made, depends on what else the
machine does; time is tested where it is the subject.

Modules live as long as the process, and torch's hold objects by the hundred thousand: the garbage collector
leaves them out.
"""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("DLM_ENCODER", "off")
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
gc.disable()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    yield
    gc.freeze()
    gc.enable()
