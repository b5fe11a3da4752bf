"""Which candidates are missing from the pool, and that no stage overlooks it."""

import pytest

from lms_ray.settings.errors import BrokenError, MissingError
from lms_ray.store import missing
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing

FAILED = Missing("b", "failed", failures=4, losses=1, preemptions=2, reason="ValueError: no words")
LOST = Missing("a", "lost", failures=0, losses=11, preemptions=0, reason="its worker or node was lost 11 times")


def test_what_is_written_is_read_and_of_none_there_is_no_file(store: Store):
    assert missing.read(store) == []
    missing.write(store, [FAILED, LOST])
    assert missing.read(store) == [LOST, FAILED]
    missing.write(store, [])
    assert missing.read(store) == []
    assert not store.exists(missing.PATH)


def test_more_than_may_be_missing_are_refused_with_what_to_do(local: Store):
    missing.require_few(local, 0)
    missing.write(local, [FAILED, LOST])
    missing.require_few(local, 2)
    message = r"^2 candidates are missing \(1 failed and 1 lost\), among them a: its worker .* 11 times; accepted are"
    with pytest.raises(MissingError, match=message + r" 1 \(sweep\.max_missing\)\. .* sweep\.max_missing=2 to go on"):
        missing.require_few(local, 1)


def test_a_table_of_another_kind_is_named(local: Store):
    local.write_bytes(missing.PATH, b"PAR1")
    with pytest.raises(BrokenError, match=r"missing\.parquet: broken"):
        missing.read(local)
    missing.write(local, [Missing("a", "dead", 0, 0, 0, "")])  # type: ignore[arg-type]
    with pytest.raises(BrokenError, match=r"missing\.parquet: broken; it has the state 'dead'"):
        missing.read(local)
