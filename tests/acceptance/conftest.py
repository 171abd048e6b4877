"""What ends with the tests of the program."""

from collections.abc import Iterator

import pytest

from tests.program import FORKER


@pytest.fixture(autouse=True, scope="session")
def _forker_ends() -> Iterator[None]:
    yield
    FORKER.end()
