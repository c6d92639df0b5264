"""No sentence encoder in the tests, unless they ask for it: it would be fetched into every home folder."""

import os

os.environ.setdefault("DLM_ENCODER", "off")
