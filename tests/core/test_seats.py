"""Who waits for a review, and what of it is on disk (design.md D6)."""

from bridge.core.asks import Decide, Propose, Reopen, Wait
from bridge.core.events import Left, Refuse, Reply, Save, SaveFailed, Seen, Send, Surveyed, Tell, Tick, Watch, Withdrawn
from bridge.core.reviews import EXPIRES_AFTER_S, Review, Step, Surface, Trigger, advance, decide
from bridge.core.seats import SAVE_AGAIN_S, Seat
from bridge.errors import StillPending, Unavailable
from tests.core.stories import ID, NAME, NO_IDE, WAIT, ends, proposed, saved, shown, then
from tests.playbook import ANN, BOB, CODE, PAGE, Playbook, asks, bring_up, dials, review, scene, shows, withdraws

# ---- who waits


def test_a_waiter_gets_its_answer_at_its_time_and_the_review_stays(story: Playbook, on_page: Review) -> None:
    pending = StillPending("review r1 is still undecided", "bridge review wait r1")
    story >> asks(Wait(review_id="r1", until=1005.0), 5, who=BOB) << Tell(BOB, "r1", "page", None, NO_IDE)
    assert story.router.deadline() == 1005.0
    story >> Tick(1005.0) << Refuse(BOB, 5, pending) >> Tick(1006.0)
    assert story.router.desk.seats["r1"].review.is_open


def test_a_session_hears_once_wherever_the_review_goes_however_often_it_waits(story: Playbook, on_page: Review) -> None:
    story >> asks(WAIT, 3) << Tell(ANN, "r1", "page", None, NO_IDE)
    story.quietly(Surveyed(1001.0, {"r1": scene(CODE)}))
    bring_up(story, at=1001.0)
    open_ = shown(on_page, 3, at=1001.0)
    story >> saved(open_) << shows(3) << Watch(ID, closely=True) << Tell(ANN, "r1", "ide", NAME)


def test_a_seat_knows_how_much_text_it_keeps() -> None:
    assert Seat(review(base="12", proposed="345"), None).size == 5


def test_an_agent_that_leaves_is_answered_no_more_and_the_review_stays(story: Playbook, on_page: Review) -> None:
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> Left(1000.0, ANN)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7)))


def test_who_takes_a_request_back_is_not_answered_and_others_are(story: Playbook, on_page: Review) -> None:
    for who, id_ in ((ANN, 3), (ANN, 4), (BOB, 3)):
        story.quietly(asks(WAIT, id_, who=who))
    for who, id_ in ((ANN, 3), (ANN, 3), (ANN, 9), (PAGE, 4)):
        story >> Withdrawn(1000.0, who, id_)
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7), (ANN, 2), (ANN, 4), (BOB, 3)))


def test_an_agent_that_leaves_before_its_proposal_is_on_disk_is_not_answered(story: Playbook) -> None:
    new = review()
    story >> asks(Propose(review=new), scene=scene()) << Save(new) >> Left(1000.0, ANN) >> saved(new)
    assert story.router.desk.seats["r1"].where == "page"


def test_what_is_taken_back_is_answered_no_more_and_the_rest_is(story: Playbook, on_page: Review) -> None:
    story.quietly(asks(WAIT, 2, who=BOB), asks(WAIT, "2"), asks(WAIT, 3))
    story >> withdraws(2) >> withdraws(2) >> withdraws(9)
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7), (BOB, 2), (ANN, "2"), (ANN, 3)))


def test_a_review_that_is_no_tab_stays_when_nobody_waits_any_more(story: Playbook, on_page: Review) -> None:
    story >> withdraws(2)
    assert story.router.desk.seats["r1"].review.is_open


def test_a_proposal_and_a_wish_that_are_taken_back_are_not_answered(story: Playbook) -> None:
    new = review()
    story.quietly(asks(Propose(review=new), 1, scene=scene(CODE)), withdraws(1))
    story >> saved(new) << dials()
    wish = Reopen(review_id="r1", surface=Surface.IDE)
    story >> asks(wish, 2, scene=scene(CODE)) << Save(advance(new, Step.UNSHOW, 1000.0, surface=Surface.IDE, ide=None))
    story.quietly(withdraws(2))
    bring_up(story)
    open_ = story.router.desk.seats["r1"].review
    assert [type(command) for command in story.router.handle(saved(open_))] == [Send, Watch]


# ---- the journal fails


def journal_fails(record: Review, at: float = 1000.0) -> SaveFailed:
    return SaveFailed(at, record.id, record.version, "disk full")


BROKEN = Unavailable("the journal cannot be written: disk full", "bridge doctor")


def test_a_proposal_that_cannot_be_kept_is_refused_to_all_who_made_it(story: Playbook) -> None:
    new = review(request_key="k")
    story.quietly(asks(Propose(review=new), 1, scene=scene(CODE)))
    story.quietly(asks(Propose(review=review("r2", request_key="k")), 2, who=BOB, scene=scene(CODE)))
    story >> journal_fails(new) << Refuse(ANN, 1, BROKEN) << Refuse(BOB, 2, BROKEN)
    story >> saved(new) >> journal_fails(new)  # of something that is not here any more
    assert story.router.deadline() is None


def test_an_ide_that_comes_before_the_proposal_is_on_disk_does_not_get_it(story: Playbook) -> None:
    new = review()
    story.quietly(asks(Propose(review=new), 1, scene=scene()))
    assert story.router.look_again() == []
    story >> Surveyed(1000.0, {"r1": scene(CODE)}) >> journal_fails(new) << Refuse(ANN, 1, BROKEN)


def test_a_decision_that_cannot_be_written_is_kept_and_tried_again(story: Playbook, on_page: Review) -> None:
    rejected = decide(on_page, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    story >> journal_fails(rejected) << Refuse(PAGE, 7, BROKEN)
    again = 1000.0 + SAVE_AGAIN_S
    assert story.router.deadline() == again
    story >> Tick(again) << Save(rejected) >> journal_fails(rejected, again)
    story >> Tick(again + SAVE_AGAIN_S) << Save(rejected)
    then(story >> saved(rejected, again + SAVE_AGAIN_S), *ends(rejected, (ANN, 2)))


def test_a_newer_record_on_disk_stands_for_an_older_one_that_is_not(story: Playbook) -> None:
    open_ = shown(proposed(story, CODE), 3)
    bring_up(story)
    wanted = advance(open_, Step.SHOW, 1000.0, surface=Surface.IDE)
    story >> journal_fails(open_) >> asks(Reopen(review_id="r1", surface=Surface.IDE), 5, scene=scene(CODE))
    story << Save(wanted)
    story >> saved(wanted) << shows(3) << Watch(ID, closely=True)
    story << Reply(ANN, 5, {"id": "r1", "surface": "ide", "ide": NAME, "reason": ""})
    assert story.router.deadline() == open_.created + EXPIRES_AFTER_S  # nothing is to be saved again


def test_an_older_record_on_disk_is_not_the_newest(story: Playbook, on_page: Review) -> None:
    seen = advance(on_page, Step.SHOW, 1000.0, surface=Surface.PAGE)
    rejected = decide(seen, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story.quietly(Seen(1000.0, "r1"))
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected)
    story >> journal_fails(rejected) << Refuse(PAGE, 7, BROKEN) >> saved(seen)
    story >> Tick(1000.0 + SAVE_AGAIN_S) << Save(rejected)


def test_an_older_record_that_could_not_be_written_is_no_news(story: Playbook, on_page: Review) -> None:
    seen = advance(on_page, Step.SHOW, 1000.0, surface=Surface.PAGE)
    rejected = decide(seen, 1000.0, finals=None, trigger=Trigger.REJECTED_ON_PAGE)
    story.quietly(Seen(1000.0, "r1"))
    story >> asks(Decide(review_id="r1", finals=None), 7, who=PAGE) << Save(rejected) >> journal_fails(seen)
    then(story >> saved(rejected), *ends(rejected, (PAGE, 7), (ANN, 2)))


def test_a_diff_is_not_opened_before_the_journal_knows_of_it(story: Playbook) -> None:
    open_ = shown(proposed(story, CODE), 3)
    bring_up(story)
    story >> journal_fails(open_) >> Tick(1002.0) << Save(open_)
    story >> saved(open_, 1002.0) << shows(3) << Watch(ID, closely=True)
