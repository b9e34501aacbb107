from bridge.core.events import Refuse, Reply, SessionId
from bridge.errors import Conflict, Unavailable

ANN = SessionId(1)


def test_refusals_are_equal_when_the_asker_reads_the_same() -> None:
    refusal = Refuse(ANN, 1, Conflict("taken", "wait"))
    assert refusal == Refuse(ANN, 1, Conflict("taken", "wait"))
    others = (
        Refuse(ANN, 2, Conflict("taken", "wait")),
        Refuse(ANN, 1, Unavailable("taken", "wait")),
        Reply(ANN, 1, {}),
    )
    assert all(refusal != other for other in others)
