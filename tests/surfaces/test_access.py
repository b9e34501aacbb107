import json

import pytest

from bridge.surfaces.access import Access, Keys


def entered(access: Access, review: str = "r1") -> tuple[str, Keys]:
    page, code = access.invite(review)
    keys = access.exchange(page, code)
    assert keys
    return page, keys


def test_a_code_opens_its_page_once() -> None:
    access = Access(4000)
    page, code = access.invite("r1")
    keys = access.exchange(page, code)
    assert keys
    assert access.review_for(page, keys.cookie, keys.secret) == "r1"
    assert access.exchange(page, code) is None


def test_a_review_has_one_page_and_any_number_of_codes() -> None:
    access = Access(4000)
    invitations = [access.invite("r1") for _ in range(3)]
    assert len({page for page, _ in invitations}) == 1
    assert all(access.exchange(page, code) for page, code in invitations)


def test_a_second_tab_does_not_lock_out_the_first() -> None:
    """The browser has one cookie for both: the newer."""
    access = Access(4000)
    page, first = entered(access)
    _, second = entered(access)
    assert access.review_for(page, second.cookie, first.secret) == "r1"


def test_neither_key_opens_alone_nor_another_page() -> None:
    access = Access(4000)
    page, keys = entered(access, "r1")
    other, others = entered(access, "r2")
    for name, cookie, secret in [
        (page, keys.cookie, ""),
        (page, "", keys.secret),
        (page, keys.secret, keys.cookie),
        (page, others.cookie, keys.secret),
        (page, keys.cookie, others.secret),
        (page, others.cookie, others.secret),
        (other, keys.cookie, keys.secret),
        ("no-such-page", keys.cookie, keys.secret),
    ]:
        assert access.review_for(name, cookie, secret) is None


@pytest.mark.parametrize("token", ["", "x", "é" * 43, "x" * 43, "x" * 10_000, "\ud800" * 43, "x" * 42 + "\n"])
def test_a_strange_token_is_only_wrong(token: str) -> None:
    access = Access(4000)
    page, keys = entered(access)
    access.invite("r1")
    assert access.exchange(page, token) is None
    assert access.review_for(page, token, keys.secret) is None
    assert access.review_for(page, keys.cookie, token) is None


def test_another_page_does_not_take_the_code() -> None:
    access = Access(4000)
    page, code = access.invite("r1")
    other, _ = access.invite("r2")
    assert access.exchange(other, code) is None
    assert access.exchange(page, code)


def test_the_end_of_a_review_ends_its_codes_at_once_and_its_page_at_the_next_start() -> None:
    access = Access(4000)
    page, keys = entered(access)
    _, code = access.invite("r1")
    access.end("r1")
    assert access.exchange(page, code) is None
    assert access.review_for(page, keys.cookie, keys.secret) == "r1"
    restarted = Access.from_state(access.to_state())
    assert restarted == Access(4000)


def test_access_survives_in_the_journal_without_any_token() -> None:
    access = Access(4000)
    page, keys = entered(access)
    _, code = access.invite("r1")
    journal = json.dumps(access.to_state())
    assert not [token for token in (*keys, code) if token in journal]
    restarted = Access.from_state(json.loads(journal))
    assert restarted
    assert restarted.port == 4000
    assert restarted.review_for(page, keys.cookie, keys.secret) == "r1"
    assert restarted.exchange(page, code)


@pytest.mark.parametrize("state", [None, {}, {"port": "x"}, {"port": 1, "pages": {"p": {"codes": [1]}}}])
def test_a_journal_of_another_shape_gives_nothing(state: dict[str, object] | None) -> None:
    assert Access.from_state(state) is None


def test_keys_do_not_print_themselves() -> None:
    _, keys = entered(Access(4000))
    assert str(keys) == "Keys(…)"
