"""Weights that nobody needs any more go, their candidates stay done, and what then needs them is told so at once."""

import pytest

from lms_ray.settings.errors import MissingError
from lms_ray.store import pool
from lms_ray.store.files import Store

FILES = ("config.json", "model-1.safetensors", "model-2.safetensors")


@pytest.fixture
def tuned(store: Store) -> Store:
    """Two candidates that are done, one that was brought, and one that still trains."""
    for name in ("one", "two"):
        files = {file: store.write_bytes(f"candidates/{name}/{file}", b"1234") for file in FILES}
        store.commit(f"candidates/{name}", {"id": name, "dev": "d"}, files)
    store.commit("candidates/brought", {"id": "brought", "path": "/elsewhere"}, {})
    store.write_bytes("candidates/begun/resume.safetensors", b"state")
    pool.write(store, [{"id": name} for name in ("one", "two", "brought")], {})
    return store


def weights(store: Store, candidate: str) -> list[str]:
    return [name for name in store.names(f"candidates/{candidate}") if name.endswith(".safetensors")]


def test_a_candidate_without_its_weights_is_still_done(tuned: Store):
    before = tuned.done("candidates/two")
    for _ in range(2):  # the second time there is nothing to do
        pool.tidy(tuned, keep={"one"})
        assert (weights(tuned, "one"), weights(tuned, "two")) == (["model-1.safetensors", "model-2.safetensors"], [])
        assert tuned.done("candidates/two") == before
    with tuned.as_local("candidates/two") as folder:
        assert (folder / "config.json").read_bytes() == b"1234"
    assert weights(tuned, "begun") == ["resume.safetensors"]


def test_what_a_tidy_that_died_left_goes_with_the_next(tuned: Store, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        pool.tidy(tuned, keep={"one"})
    assert len(weights(tuned, "two")) == 2
    assert tuned.done("candidates/two") is not None
    pool.tidy(tuned, keep={"one"})
    assert weights(tuned, "two") == []


def test_a_training_state_that_was_left_behind_goes_and_the_model_stays(tuned: Store):
    tuned.write_bytes("candidates/one/resume.safetensors", b"state")
    pool.tidy(tuned, keep={"one", "two", "brought"})
    assert [len(weights(tuned, name)) for name in ("one", "two", "begun")] == [2, 2, 1]


def test_whoever_needs_weights_that_were_not_kept_is_told_what_to_do(tuned: Store):
    everyone = ("one", "two", "brought")
    pool.require_weights(tuned, everyone, "de-dev is new")
    pool.tidy(tuned, keep={"one"})
    assert pool.without_weights(tuned, everyone) == ["two"]
    said = (
        r"^de-dev is new, and the weights of 1 candidates .*keep_weights.*among them two; .* delete \S+/candidates/two "
    )
    with pytest.raises(MissingError, match=said):
        pool.require_weights(tuned, everyone, "de-dev is new")
