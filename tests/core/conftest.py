from collections.abc import Iterator

import pytest

from bridge.core.asks import Wait
from bridge.core.reviews import Review
from tests.core.stories import NAME, NO_IDE, WAIT, proposed, saved, shown, tell
from tests.playbook import CODE, Playbook, asks, bring_up


@pytest.fixture
def story() -> Iterator[Playbook]:
    told = Playbook()
    yield told
    told.check()  # here, so that no story can forget it


@pytest.fixture
def on_page(story: Playbook) -> Review:
    """A story in which there is no IDE, and ANN waits for a review that is on the page."""
    record = proposed(story)
    story >> asks(WAIT, 2) << tell("page", reason=NO_IDE)
    return record


@pytest.fixture
def in_ide(story: Playbook) -> Review:
    """A story in which CODE shows a review by request 3, and ANN waits."""
    record = proposed(story, CODE)
    bring_up(story)
    record = shown(record, 3)
    story.quietly(saved(record))
    story >> asks(WAIT, 2) << tell("ide", NAME)
    return record


@pytest.fixture
def two(story: Playbook, in_ide: Review) -> tuple[Review, Review]:
    """The same, and a second review is queued behind the first; ANN waits for it too."""
    second = proposed(story, CODE, id_="r2")
    story >> asks(Wait(review_id="r2"), 4) << tell("queued", NAME, "another diff is open there", of="r2")
    return in_ide, second
