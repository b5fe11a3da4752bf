"""Languages are the ones that the user named, and their vectors the published ones."""

import json
import shutil
from itertools import product
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


@pytest.mark.parametrize(
    ("code", "accepted"),
    [("deu", "de"), ("ger", "de"), ("arb", "ar"), ("ara", "ar"), ("alb", "sq"), ("gre", "el"), ("per", "fa"),
     ("fas", "fa"), ("pes", "fa"), ("chi", "zh"), ("zho", "zh"), ("nob", "nb"), ("iw", "he"),
     ("in", "id"), ("mo", "ro")],
)  # fmt: skip
def test_a_language_has_one_code_only(code: str, accepted: str):
    with pytest.raises(ValueError, match=f"'{code}'.*accepted is '{accepted}'"):
        iso639_3(code)  # else `ger` and `de` would be two languages of an experiment, and teach each other's rankers


def test_every_other_code_of_lang2vec_is_answered_with_an_accepted_one():
    codes = json.loads((languages.data_folder() / "letter_codes.json").read_text(encoding="utf-8"))
    two_letter = {code for code in codes if len(code) == 2}
    assert len(two_letter) == 184
    for code in {*codes, *codes.values()} - two_letter:
        with pytest.raises(ValueError) as refused:
            iso639_3(code)
        accepted = str(refused.value).split("'")[-2]
        assert accepted in two_letter
        assert codes[accepted] == codes.get(code, code)


def test_every_two_letter_code_has_a_vector():
    codes = json.loads((languages.data_folder() / "letter_codes.json").read_text(encoding="utf-8"))
    missing = {"learned": 0, "syntax_knn": 0}
    for code, kind in product([code for code in codes if len(code) == 2], missing):
        iso = languages.ALIASES.get(code, codes[code])
        try:
            found = vector(code, kind)
        except MissingVectorError:
            missing[kind] += 1
        else:
            if kind == "learned":
                assert np.array_equal(found, languages._learned()[iso])
    assert missing == {"learned": 88, "syntax_knn": 0}


@pytest.mark.parametrize(
    "pair", [("no", "nb"), ("zh", "cmn"), ("kmr", "ku"), ("sh", "hr"), ("tl", "fil"), ("ak", "tw")]
)
def test_a_macrolanguage_and_its_usual_member_are_one_language(pair: tuple[str, str]):
    for code in pair:
        languages.require_distinct(("de", code))
    with pytest.raises(ValueError, match=f"'{pair[0]}' and '{pair[1]}' name one language"):
        languages.require_distinct((pair[0], "de", pair[1]))


@pytest.mark.parametrize(
    "pair", [("no", "nn"), ("ar", "arz"), ("ku", "ckb"), ("zh", "yue"), ("id", "ms"), ("hr", "sr")]
)
def test_relatives_are_two_languages(pair: tuple[str, str]):
    languages.require_distinct(pair)


def test_both_codes_of_a_pair_are_known():
    for code in {code for pair in languages.ONE_LANGUAGE for code in pair}:
        iso639_3(code)


def test_the_data_is_found_beside_the_script_of_lang2vec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Its wheel puts this file where an installed `lms-ray` looks first for modules.
    (tmp_path / "lang2vec.py").write_text("raise SystemExit('the script of lang2vec ran')")
    monkeypatch.syspath_prepend(tmp_path)
    assert (languages.data_folder.__wrapped__() / "learned.npy").is_file()


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


@pytest.mark.parametrize(
    ("code", "called"),
    [
        ("de", "German"),
        ("ar", "Arabic"),
        ("el", "Modern Greek"),
        ("npi", "Nepali"),
        ("kam", "Kamba (Kenya)"),
        ("xx", "xx"),
    ],
)
def test_languages_have_names_without_remarks(code: str, called: str):
    assert languages.name(code) == called


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
