"""Languages are the ones that the user named, and their vectors the published ones."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lms_ray.settings import languages
from lms_ray.settings.languages import MissingVectorError, cosine, iso639_3, vector


@pytest.mark.parametrize(
    ("code", "iso"),
    [("ar", "arb"), ("fa", "pes"), ("sw", "swh"), ("qu", "quy"), ("de", "deu"), ("zh", "zho"), ("ceb", "ceb")],
)
def test_a_code_stands_for_one_language(code: str, iso: str):
    assert iso639_3(code) == iso


@pytest.mark.parametrize("code", ["xx", "", "DE", "en-US", "german", "zzz", "d"])
def test_an_unknown_code_is_refused(code: str):
    with pytest.raises(ValueError, match=f"'{code}' is not a language.*ISO 639-1"):
        iso639_3(code)


def test_a_language_has_one_code_only():
    with pytest.raises(ValueError, match="'deu'"):  # else de and deu would be two languages of an experiment
        iso639_3("deu")


@pytest.mark.parametrize("code", ["ar", "de", "es", "nl", "zh", "fa", "bg"])
def test_vectors_have_the_published_sizes(code: str):
    learned, syntax = vector(code, "learned"), vector(code, "syntax_knn")
    assert (learned.shape, syntax.shape) == ((512,), (103,))
    assert np.isfinite(learned).all()
    assert set(np.unique(syntax)) <= {0.0, 1.0}


def test_the_syntax_of_relatives_is_more_alike_than_of_strangers():
    german, dutch, chinese = (vector(code, "syntax_knn") for code in ("de", "nl", "zh"))
    assert cosine(german, german) == pytest.approx(1)
    assert cosine(german, dutch) > cosine(german, chinese)


def test_an_alias_gets_the_vector_of_its_member():
    assert np.array_equal(vector("fa", "learned"), languages._learned()["pes"])
    assert not np.array_equal(vector("fa", "learned"), vector("bg", "learned"))


def test_a_missing_vector_is_said_and_not_guessed():
    with pytest.raises(MissingVectorError, match=r"he \(heb\).*no learned vector"):
        vector("he", "learned")
    assert vector("he", "syntax_knn").shape == (103,)
    with pytest.raises(MissingVectorError):
        vector("de", "none")


def test_a_tampered_file_is_refused_before_its_pickle_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    folder = tmp_path / "data"
    shutil.copytree(languages.data_folder(), folder)
    np.save(folder / "learned.npy", np.array({"deu": Trap()}, dtype=object), allow_pickle=True)
    monkeypatch.setattr(languages, "data_folder", lambda: folder)
    languages._learned.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"learned\.npy: sha256 is .*accepted is c4291e75"):
            vector("de", "learned")
    finally:
        languages._learned.cache_clear()
    assert not (tmp_path / "ran").exists()
    np.load(folder / "learned.npy", allow_pickle=True)
    assert (tmp_path / "ran").exists()  # the trap is real
