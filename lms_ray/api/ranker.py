"""The pairwise ranker with the habits of scikit-learn: arrays in, scores out (paper, section 3).

    ranker = lms_ray.PairwiseRanker().fit(X, y, languages=["de", "es", "zh"])
    ranker.rank(X_da, language="da")

Shape suffixes: C candidates, P pivots, D feature, V language vector.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from lms_ray.api import arrays, fitting, saving
from lms_ray.api.arrays import Languages, Spoken
from lms_ray.api.saving import Saved, Tensors
from lms_ray.choosing.material import Material
from lms_ray.choosing.ranker import Lesson, validate
from lms_ray.settings import languages as known_languages
from lms_ray.settings.choosing import Checkpoint, Fit, Ties
from lms_ray.settings.languages import VectorKind

COLUMNS = ("l2", "batch_size", "learning_rate", "seed", "kendall_tau", "chosen")
"""Of `validation_`, those that the form has."""


class PairwiseRanker(BaseEstimator):
    """Learns on pivots which of two candidates is the better one, and orders candidates for another language.

    P(i beats j) = sigmoid(s_i - s_j), where a score s comes from a candidate's feature and the language's vector
    (paper, section 3). A candidate's feature is its mean [CLS] vector over text of the language: no label of that
    language is wanted to rank for it. Of the parameters that are given as several values every combination is fitted,
    and the one stays that orders held-out candidates best on the pivots (section 4.2).

    It is an estimator of scikit-learn: `get_params`, `set_params` and `sklearn.base.clone` are as there, parameters are
    checked by `fit`, which sets the attributes that end in `_`.

    Args:
        form: `fast`, the loss over all pairs at once with a score that is linear in its weights (a second), or `paper`,
            the paper's net on mini-batches of pairs (minutes). The configuration calls it `ranker.fit`.
        l2: `fast`: strength of the penalty, one or several.
        hidden: `paper`: width of both branches.
        batch_size: `paper`: pairs in each step, one number or several.
        learning_rate: `paper`: of Adam, one or several.
        epochs: `paper`: passes over all pairs.
        ties: `paper`: what candidates of equal score teach, `skip` (nothing) or `half`.
        checkpoint: `paper`: the net after the `last` epoch or after the `best` one.
        seeds: `paper`: nets at each grid point; with several, a score is minus the mean rank among those in X.
        language_vector: which lang2vec vector stands for a language that is named by its code: `learned` (512 numbers),
            `syntax_knn` (103), or `none`, which leaves the language branch out.
        dev_share: share of the candidates that is held out to choose the grid point, drawn by `random_state`; 0 lets
            all of them teach, where there is nothing to choose.
        random_state: seed of that draw, of the nets and of their batches; a whole number.
        device: where the arithmetic runs, as torch names it (`cpu`, `cuda`).

    Attributes:
        languages_: codes of the pivots that taught it; None where they were given as vectors, or not at all.
        n_features_in_: width D of a feature.
        chosen_: the grid point that was chosen.
        kendall_tau_: what it reached on the held-out candidates, on the mean over the pivots; NaN where none were.
        validation_: every grid point and its `kendall_tau`, a data frame.

    Example:
        Thirty candidates, three pivots, features of width 16; what makes a candidate good shows in its feature:

        >>> import numpy as np
        >>> import lms_ray
        >>> rng = np.random.default_rng(0)
        >>> trait = rng.normal(size=(30, 1, 16))
        >>> X = trait + 0.1 * rng.normal(size=(30, 3, 16))
        >>> y = X[:, :, 0] + X[:, :, 1]
        >>> ranker = lms_ray.PairwiseRanker().fit(X, y, languages=["de", "es", "zh"])
        >>> X_danish = trait[:, 0] + 0.1 * rng.normal(size=(30, 16))
        >>> best = ranker.rank(X_danish, language="da").index[0]
        >>> int(best) in np.argsort(trait[:, 0, 0] + trait[:, 0, 1])[-5:]
        True
    """

    def __init__(
        self,
        form: Fit = "fast",
        *,
        l2: float | Sequence[float] = (10.0, 1.0, 0.1, 0.01, 0.001),
        hidden: int = 1024,
        batch_size: int | Sequence[int] = (16, 32, 64, 128),
        learning_rate: float | Sequence[float] = (1e-4, 5e-5, 1e-5, 5e-6, 1e-6),
        epochs: int = 3,
        ties: Ties = "skip",
        checkpoint: Checkpoint = "last",
        seeds: int = 1,
        language_vector: VectorKind = "learned",
        dev_share: float = 1 / 3,
        random_state: int = 0,
        device: str = "cpu",
    ):
        self.form = form
        self.l2 = l2
        self.hidden = hidden
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.ties = ties
        self.checkpoint = checkpoint
        self.seeds = seeds
        self.language_vector = language_vector
        self.dev_share = dev_share
        self.random_state = random_state
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, languages: Spoken | None = None, dev: ArrayLike | None = None) -> Self:
        """Learn from candidates on pivots, whose labels are known.

        Args:
            X: features of the candidates over each pivot's text, shape (C, P, D); with one pivot (C, D) will do.
            y: their scores on the pivots' dev sets, shape (C, P) or (C,), higher is better; only the order within a
                pivot counts.
            languages: the pivots' codes (ISO 639-1, or 639-3 where there is none), or their vectors, shape (P, V); None
                leaves the language branch out, and the same ranker serves every language.
            dev: which candidates are held out to choose the grid point, as a mask or as row numbers; None draws
                `dev_share` of them.

        Returns:
            The ranker itself.

        Raises:
            ValueError: a shape does not fit, a number is not finite, a parameter or code is not accepted, fewer than
                two candidates are left to teach or to choose by, or no two of them differ in score on any pivot.

        Example:
            >>> import numpy as np
            >>> import lms_ray
            >>> X = np.random.default_rng(0).normal(size=(12, 2, 4))
            >>> ranker = lms_ray.PairwiseRanker(l2=[1.0, 0.1]).fit(X, X[:, :, 0], languages=["de", "es"])
            >>> ranker.languages_, ranker.n_features_in_, list(ranker.validation_["l2"])
            (('de', 'es'), 4, [1.0, 0.1])
        """
        feature_CPD = arrays.features(X)
        count, pivots, width = feature_CPD.shape
        score_CP = arrays.scores(y, count, pivots)
        settings = fitting.settings(self.get_params())
        spoken = arrays.spoken(languages, pivots, self.language_vector)
        names = spoken.codes or tuple(str(number) for number in range(pivots))
        seed = int(self.random_state)
        material = Material(
            settings=settings,
            seed=seed,
            candidates=tuple(str(number) for number in range(count)),
            part_C=fitting.divide(count, dev, self.dev_share, seed, settings),
            languages=names,
            feature_CGH=feature_CPD,
            vector_GV=spoken.vector_PV,
            pivots=names,
            pivot_score_CP=score_CP,
        )
        validation, tensors = fitting.fit(material, self.device)
        saved = Saved(
            form=settings.fit,
            languages=spoken.codes,
            width=width,
            vector_width=spoken.width,
            language_vector=settings.language_vector,
            validation=tuple(validation),
        )
        self._learned(saved, tensors)
        return self

    def predict(self, X: ArrayLike, language: str | ArrayLike | None = None) -> np.ndarray:
        """Score candidates for one language: of two the one with the higher score is expected to be better.

        Args:
            X: features of the candidates over that language's text, shape (C, D). They need not be those it learned
                from; of those, the scores are too good to be true on the pivots.
            language: its code, or its vector, shape (V,), as the ranker was fitted on.

        Returns:
            Scores, shape (C,), float64, without unit; only differences within one language mean something.

        Raises:
            sklearn.exceptions.NotFittedError: it has learned nothing yet.
            ValueError: the shape does not fit, or the language is not known.

        Example:
            >>> import numpy as np
            >>> import lms_ray
            >>> X = np.random.default_rng(0).normal(size=(12, 2, 4))
            >>> ranker = lms_ray.PairwiseRanker(l2=[0.1]).fit(X, X[:, :, 0], languages=["de", "es"])
            >>> ranker.predict(X[:, 0], language="da").shape
            (12,)
        """
        check_is_fitted(self)
        feature_CD = arrays.feature(X, self.n_features_in_)
        vector_PV = self._spoken(language, 1).vector_PV
        return self._ranking.score(feature_CD, None if vector_PV is None else vector_PV[0])

    def rank(self, X: ArrayLike, language: str | ArrayLike | None = None) -> pd.Series:
        """Order candidates for a language of which no label is known, the best one first.

        Args:
            X: as for `predict`; a data frame keeps its index.
            language: as for `predict`.

        Returns:
            Scores from the highest to the lowest; the index are the names of a data frame's rows, or row numbers, so
            that `.index[0]` is the pick. Of equals the first one in X comes first.

        Raises:
            sklearn.exceptions.NotFittedError: it has learned nothing yet.
            ValueError: as for `predict`; or the language is a pivot of this ranker, which has seen its labels: fit one
                on the other pivots.

        Example:
            >>> import numpy as np
            >>> import pandas as pd
            >>> import lms_ray
            >>> X = np.random.default_rng(0).normal(size=(12, 2, 4))
            >>> ranker = lms_ray.PairwiseRanker().fit(X, X[:, :, 0], languages=["de", "es"])
            >>> danish = pd.DataFrame(X[:3, 0], index=["run-a", "run-b", "run-c"])
            >>> sorted(ranker.rank(danish, language="da").index)
            ['run-a', 'run-b', 'run-c']
        """
        score_C = self.predict(X, language)
        self._require_untaught(self._spoken(language, 1))
        index = X.index if isinstance(X, pd.DataFrame) else None
        order_C = np.argsort(-score_C, kind="stable")
        return pd.Series(score_C, index, name="score").iloc[order_C]

    def score(self, X: ArrayLike, y: ArrayLike, languages: Spoken | None = None) -> float:
        """How well it orders candidates in languages where their scores are known: Kendall's tau-b.

        Args:
            X: features, shape (C, P, D), or (C, D) of one language; candidates that it did not learn from.
            y: their scores, shape (C, P) or (C,).
            languages: codes or vectors of the languages in X, as for `fit`; not only pivots.

        Returns:
            The mean over the languages, from -1 to 1; 0 is chance. A language in which all scores are equal counts 0.

        Raises:
            sklearn.exceptions.NotFittedError: it has learned nothing yet.
            ValueError: a shape does not fit, a number is not finite, there are fewer than two candidates, or a language
                is not known.

        Example:
            >>> import numpy as np
            >>> import lms_ray
            >>> X = np.random.default_rng(0).normal(size=(40, 2, 4))
            >>> ranker = lms_ray.PairwiseRanker().fit(X[:30], X[:30, :, 0], languages=["de", "es"])
            >>> ranker.score(X[30:], X[30:, :, 0], languages=["de", "es"]) > 0.7
            True
        """
        check_is_fitted(self)
        feature_CPD = arrays.features(X)
        count, pivots, width = feature_CPD.shape
        if width != self.n_features_in_ or count < 2:
            raise ValueError(
                f"X: found {count} candidates with features of width {width}; accepted are two or more, of width "
                f"{self.n_features_in_}"
            )
        score_CP = arrays.scores(y, count, pivots)
        return validate(self._ranking, Lesson(feature_CPD, score_CP, self._spoken(languages, pivots).vector_PV))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Keep the fitted ranker in a folder: `ranker.json` and `weights.safetensors`, nothing pickled.

        What is there of another ranker is written over; both files are written atomically, `ranker.json` last.

        Args:
            folder: local path or URI.

        Raises:
            sklearn.exceptions.NotFittedError: it has learned nothing yet.
            StorageError: the folder cannot be written.

        Example:
            >>> import numpy as np
            >>> import lms_ray
            >>> X = np.random.default_rng(0).normal(size=(12, 2, 4))
            >>> ranker = lms_ray.PairwiseRanker().fit(X, X[:, :, 0], languages=["de", "es"])
            >>> ranker.save("my-ranker")
            >>> bool((lms_ray.load_ranker("my-ranker").predict(X[:, 0], "da") == ranker.predict(X[:, 0], "da")).all())
            True
        """
        check_is_fitted(self)
        saving.write(os.fspath(folder), self.get_params(), self._saved, self._tensors)

    def _require_untaught(self, language: Languages) -> None:
        """Refuse a language whose labels taught this ranker.

        Raises:
            ValueError: it has, or may have: a ranker that knows its pivots wants to know the language.
        """
        pivots = self.languages_ or ()
        vectors_PV = known_languages.vectors(pivots, self._saved.language_vector) if pivots else None
        taught: Iterable[str] = set(pivots).intersection(language.codes or ())
        if language.vector_PV is not None and vectors_PV is not None:
            same_P = (vectors_PV == language.vector_PV).all(axis=1)
            taught = {pivot for pivot, is_same in zip(pivots, same_P, strict=True) if is_same}
        for pivot in taught:
            raise ValueError(
                f"language: found {pivot}, a pivot whose scores taught this ranker; accepted is a ranker of the other "
                "pivots"
            )
        if pivots and language.codes is None and language.vector_PV is None:
            raise ValueError(f"language: found none; accepted is a code that is none of {', '.join(pivots)}")
        known_languages.require_distinct((*pivots, *(language.codes or ())))

    def _spoken(self, language: Spoken | None, count: int) -> Languages:
        """Languages as the fitted ranker takes them."""
        saved = self._saved
        if language is None and saved.vector_width is not None:
            raise ValueError("language: found none; accepted is a code or vector, as the ranker was fitted on")
        found = arrays.spoken(language, count, saved.language_vector)
        if saved.vector_width is None:
            return Languages(found.codes, None)
        if saved.languages is None and found.codes is not None:
            raise ValueError(
                f"language: found the code {found.codes[0]}; accepted are vectors of width {saved.vector_width}, as "
                "the ranker was fitted on"
            )
        if found.width != saved.vector_width:
            raise ValueError(f"language: found a vector of width {found.width}; accepted is {saved.vector_width}")
        return found

    def _learned(self, saved: Saved, tensors: Tensors) -> None:
        """Take what was learned, here or before it was saved."""
        self._saved, self._tensors = saved, tensors
        self._ranking = fitting.ranking(saved.form, tensors)
        if self._ranking.width != saved.width:
            raise ValueError(f"weights of width {self._ranking.width}, where the record says {saved.width}")
        self.languages_ = saved.languages
        self.n_features_in_ = saved.width
        columns = [name for name in COLUMNS if name in saved.validation[0]]  # JSON keeps them in the order of letters
        self.validation_ = pd.DataFrame(list(saved.validation), columns=columns).astype({"kendall_tau": float})
        chosen = self.validation_[self.validation_["chosen"]]
        self.kendall_tau_ = float(chosen["kendall_tau"].mean())
        point = saved.validation[int(chosen.index[0])]
        self.chosen_ = {name: point[name] for name in columns if name not in COLUMNS[-3:]}


def load_ranker(folder: str | os.PathLike[str]) -> PairwiseRanker:
    """The ranker that `PairwiseRanker.save` has kept in a folder; its scores are the same, bit for bit.

    Args:
        folder: local path or URI.

    Returns:
        The fitted ranker, with its parameters.

    Raises:
        MissingError: there is none.
        BrokenError: a file is not what was written.
        ConfigError: it was written by a version that this one does not know.

    Example:
        >>> import numpy as np
        >>> import lms_ray
        >>> X = np.random.default_rng(0).normal(size=(12, 2, 4))
        >>> lms_ray.PairwiseRanker(l2=[1.0]).fit(X, X[:, :, 0], languages=["de", "es"]).save("my-ranker")
        >>> lms_ray.load_ranker("my-ranker").languages_
        ('de', 'es')
    """
    folder = os.fspath(folder)
    parameters, saved, tensors = saving.read(folder, tuple(PairwiseRanker().get_params()))
    ranker = PairwiseRanker(**parameters)
    try:
        ranker._learned(saved, tensors)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise saving.unknown(folder, f"its weights are not those of such a ranker ({error})") from None
    return ranker
