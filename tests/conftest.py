"""The distributions' battery takes many minutes, and two of its checks are being worked on: `make test-slow` runs it."""

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/distributions" in item.nodeid or "test_divergences" in item.nodeid:
            item.add_marker(pytest.mark.slow)
