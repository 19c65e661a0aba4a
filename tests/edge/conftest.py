"""Properties draw the same examples with each run, so that a change is judged by itself. ``explore`` draws new ones:

    .venv/bin/pytest tests/edge -p no:homeassistant -n 2 -q --hypothesis-profile explore

What that finds becomes an example of its test.
"""

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("same")
