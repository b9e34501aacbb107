from collections.abc import Iterator

import pytest

from tests.playbook import Playbook


@pytest.fixture
def story() -> Iterator[Playbook]:
    told = Playbook()
    yield told
    told.check()  # here, so that no story can forget it
