"""What proves that a hub has forgotten, row by row, and the file in which a witness outlives its client."""

from pathlib import Path

import pytest

from medsettle.errors import ServerForgot
from medsettle.v1 import common_pb2, inpatient_pb2, operations_pb2
from medsettle.witness import Memory, Witness

SEEN = Witness(9, b"nine")


def settled(sequence: int, chain_hash: bytes, *, replayed: bool = False) -> inpatient_pb2.InpatientSettleResponse:
    header = common_pb2.ResponseHeader(sequence=sequence, chain_hash=chain_hash, replayed=replayed)
    return inpatient_pb2.InpatientSettleResponse(header=header)


def status(seen_chain_hash: bytes) -> operations_pb2.OperationsStatusResponse:
    header = common_pb2.ResponseHeader(sequence=7, chain_hash=b"seven")
    return operations_pb2.OperationsStatusResponse(header=header, seen_chain_hash=seen_chain_hash)


def remembering() -> Memory:
    memory = Memory()
    memory.note(settled(SEEN.sequence, SEEN.chain_hash), None)
    assert memory.witness == SEEN
    return memory


@pytest.mark.parametrize(
    ("known", "answer", "forgot"),
    [
        (SEEN, settled(10, b"ten"), False),
        (SEEN, settled(8, b"eight"), True),
        (SEEN, settled(8, b"eight", replayed=True), False),
        (Witness(5, b"five"), settled(8, b"eight"), False),
        (None, settled(8, b"eight"), False),
        (SEEN, settled(9, b"nine", replayed=True), False),
        (SEEN, settled(9, b"other", replayed=True), True),
        (None, settled(9, b"other"), True),
        (SEEN, settled(0, b""), False),
    ],
)
def test_an_answer_proves_forgetting_or_proves_nothing(
    known: Witness | None, answer: inpatient_pb2.InpatientSettleResponse, forgot: bool
) -> None:
    memory = remembering()
    if not forgot:
        memory.note(answer, known)
        assert memory.before_call() == max(SEEN, Witness(answer.header.sequence, answer.header.chain_hash), key=rank)
        return
    with pytest.raises(ServerForgot) as noticed:
        memory.note(answer, known)
    assert (noticed.value.seen, noticed.value.answer) == (SEEN, answer)
    with pytest.raises(ServerForgot):
        memory.before_call()
    memory.begin_anew()
    assert memory.before_call() is None


def rank(witness: Witness) -> int:
    return witness.sequence


@pytest.mark.parametrize(("held", "text"), [(b"", "no decision there; its newest is sequence 7"), (b"x", "another")])
def test_a_hub_that_cannot_prove_to_hold_the_witness_has_forgotten(held: bytes, text: str) -> None:
    memory = remembering()
    with pytest.raises(ServerForgot, match=text):
        memory.prove("second start", SEEN, status(held), None)


def test_each_start_of_a_hub_proves_once_and_one_that_names_no_start_is_believed() -> None:
    memory = remembering()
    assert memory.must_be_proved("") is None
    assert memory.must_be_proved("first") == SEEN
    memory.prove("first", SEEN, status(SEEN.chain_hash), None)
    assert memory.must_be_proved("first") is None
    assert memory.must_be_proved("second") == SEEN
    fresh = Memory()
    assert fresh.must_be_proved("first") is None
    fresh.note(settled(9, b"nine"), None)
    assert fresh.must_be_proved("first") is None
    assert fresh.must_be_proved("second") == SEEN


def test_the_file_is_written_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    file, now_s = tmp_path / "witness.json", [100.0]
    memory = Memory(file, lambda: now_s[0])
    memory.note(settled(1, b"one"), None)
    memory.note(settled(2, b"two"), None)
    assert Memory(file).witness == Witness(1, b"one")
    now_s[0] += 1.5
    memory.note(settled(3, b"three"), None)
    assert Memory(file).witness == Witness(3, b"three")
    memory.note(settled(4, b"four"), None)
    memory.close()
    assert Memory(file).witness == Witness(4, b"four")
    memory.begin_anew()
    assert Memory(file).witness is None
    file.write_text('{"sequence": 1}')
    with pytest.raises(ValueError, match=f"{file} holds no witness"):
        Memory(file)


def test_a_file_that_cannot_be_written_costs_no_answer_and_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    memory = Memory(folder / "witness.json")
    folder.rmdir()
    memory.note(settled(SEEN.sequence, SEEN.chain_hash), None)
    assert memory.witness == SEEN
    assert "cannot be written" in caplog.text
    with pytest.raises(FileNotFoundError):
        memory.close()
    folder.mkdir()
    memory.close()
    assert [file.name for file in folder.iterdir()] == ["witness.json"]
