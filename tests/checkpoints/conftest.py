import copy

import pytest


@pytest.fixture(scope="session")
def put():
    """Return a function that changes a key of a config, or takes it away where the value is ..."""

    def put(config, name, value):
        changed = section = copy.deepcopy(config)
        *parents, last = name.split(".")
        for part in parents:
            section = section[part]
        if value is ...:
            del section[last]
        else:
            section[last] = value
        return changed

    return put
