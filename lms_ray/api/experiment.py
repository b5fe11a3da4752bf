"""An experiment's folder as tables for a notebook: read-only, each part read when it is first asked for.

    experiment = lms_ray.open_experiment("runs/quickstart")
    experiment.for_use

Shape suffixes: C candidates, G corpora, H feature, P pivots.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import wraps
from html import escape
from typing import Any

import pandas as pd

from lms_ray import export
from lms_ray.api.ranker import PairwiseRanker
from lms_ray.api.reading import Reader
from lms_ray.api.reasons import Reasons, reasons
from lms_ray.settings.base import expanded, shown
from lms_ray.settings.candidates import AXES
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import deployment, encodings, identity, picks, pool, redrawn
from lms_ray.store.files import Store

MADE_BY = {
    "sweep": (pool.PATH, "candidates"),
    "features": (encodings.CORPORA, "features(), scores, fit_ranker()"),
    "ranking": (deployment.PATH, "for_use, rank(), why(), export()"),
    "selection": (picks.PICKS, "picks, draws, calibration"),
}
"""By stage the file that shows that it has run, and what can be asked for then."""


def open_experiment(path: str | os.PathLike[str]) -> "OpenExperiment":
    """Open an experiment's folder, finished or not, to read it.

    Nothing is written into it; only a file that is found broken makes its unit of work count as not done, as it does in
    every command.

    Args:
        path: the folder (`storage` and `name` of the configuration), local path or URI such as
            `s3://bucket/runs/pos-ud`; `~` is the home directory.

    Returns:
        The experiment, of which each part is read when it is first asked for.

    Raises:
        ConfigError: the path is none, or its storage cannot be reached.
        MissingError: there is no experiment in the folder.
        BrokenError: its configuration is not one of this version.

    Example:
        >>> import lms_ray
        >>> experiment = lms_ray.open_experiment("runs/quickstart")
        >>> experiment.settings.task
        'pos'
    """
    store = Store(expanded(os.fspath(path)), "path")
    return OpenExperiment(store, identity.in_place(store))


def _once(read: Callable[["OpenExperiment"], pd.DataFrame]) -> Callable[["OpenExperiment"], pd.DataFrame]:
    """A table that is read once; everybody who asks for it gets a copy."""

    @wraps(read)
    def kept(self: "OpenExperiment") -> pd.DataFrame:
        if read.__name__ not in self._tables:
            self._tables[read.__name__] = read(self)
        return self._tables[read.__name__].copy()

    return kept


class OpenExperiment:
    """What an experiment has made, as data frames: `open_experiment` gives it.

    Each table is read when it is first asked for and kept; open the experiment again to see what a running job has made
    since. A part that is not there yet, or was made by other settings than the folder has now, is a `MissingError` that
    names the stage which makes it. Scores are metrics in [0, 1]: of `pos` and `classification` the accuracy, of the
    others an F1 (`task` in the configuration).

    **Labels of targets** are in `scores`, `picks`, `draws` and `calibration`, for judging. Nothing else here has seen
    them: choose by `for_use`, `rank`, `why` or a ranker of your own, and look at those tables afterwards.

    Example:
        >>> import lms_ray
        >>> experiment = lms_ray.open_experiment("runs/quickstart")
        >>> len(experiment.candidates)
        24
        >>> candidate = experiment.rank("pt").index[0]
    """

    def __init__(self, store: Store, settings: Experiment):
        self._read, self._store, self._experiment = Reader(store, settings), store, settings
        self._tables: dict[str, pd.DataFrame] = {}

    @property
    def path(self) -> str:
        """The experiment's folder, without keys of a URI.

        Example:
            >>> import lms_ray
            >>> lms_ray.open_experiment("runs/quickstart").path.endswith("runs/quickstart")
            True
        """
        return self._store.where()

    @property
    def settings(self) -> Experiment:
        """The resolved configuration, every key as an attribute; `lms-ray config` documents them.

        `settings.pivots`, `settings.targets` and `settings.picked_for` (targets with and without labels) are languages,
        `settings.model_dump()` is all of it as a dictionary.

        Example:
            >>> import lms_ray
            >>> lms_ray.open_experiment("runs/quickstart").settings.source
            'en'
        """
        return self._experiment.without_credentials()

    @property
    @_once
    def candidates(self) -> pd.DataFrame:
        """Every candidate, a row for each, by its id.

        Columns: `learning_rate`, `epochs`, `batch_size` and `seed` of the fine-tuning (empty for a checkpoint that was
        brought), `dev_score` on the source's dev set, `seconds` that it took, and `diverged`: one that has is left out
        of all that follows.

        Raises:
            MissingError: the sweep has not ended.

        Example:
            >>> import lms_ray
            >>> list(lms_ray.open_experiment("runs/quickstart").candidates.columns)
            ['learning_rate', 'epochs', 'batch_size', 'seed', 'dev_score', 'seconds', 'diverged']
        """
        return pool.read(self._store).set_index("id").rename_axis("candidate")

    def features(self, language: str | Sequence[str]) -> pd.DataFrame:
        """Features: each candidate's mean [CLS] vector over the text of a language (paper, section 3).

        Args:
            language: a pivot or a target, by its code, for the corpus that describes candidates there (its plain text,
                or else the sentences of its dev set, without their labels); or a corpus by its name, such as `de-dev`.
                Several are read together, each candidate's file once.

        Returns:
            Of one: a row for each candidate that did not diverge, by its id, and a column for each of the H dimensions,
            float64. Of several: the same by candidate and language, a row for each pair. 5,000 candidates take 31 MB a
            language at H = 768.

        Raises:
            ConfigError: it is neither a pivot, a target, nor a corpus that was encoded; of several one is named twice.
            MissingError: the candidates have not encoded it.

        Example:
            >>> import lms_ray
            >>> experiment = lms_ray.open_experiment("runs/quickstart")
            >>> experiment.features("pt").index.equals(experiment.scores.index)
            True
            >>> experiment.features(["de", "pt"]).index.names
            FrozenList(['candidate', 'language'])
        """
        if isinstance(language, str):
            return self._read.features([self._read.corpus(language)])[0]
        wanted = list(language)
        if not wanted or len(set(wanted)) < len(wanted):
            raise ConfigError(f"language: found {shown(wanted)}; accepted are one or more, each once")
        frames = self._read.features([self._read.corpus(one) for one in wanted])
        together = pd.concat(frames, keys=wanted, names=["language"]).swaplevel()
        rows = pd.MultiIndex.from_product([self._read.encoded, wanted], names=["candidate", "language"])
        return together.reindex(rows)

    @property
    @_once
    def scores(self) -> pd.DataFrame:
        """Every candidate's score on every labelled set: **labels of targets, for judging and not for choosing**.

        A row for each candidate that did not diverge, a column for each language and split that has labels:
        `scores["pt", "test"]`, or `scores.xs("dev", axis=1, level="split")`. Dev sets of the source and the pivots may
        be chosen by (of a pivot that is a target itself, for the other targets only).

        Raises:
            MissingError: the candidates have not encoded them.

        Example:
            >>> import lms_ray
            >>> scores = lms_ray.open_experiment("runs/quickstart").scores
            >>> bool(scores["pt", "test"].between(0, 1).all())
            True
        """
        return self._read.scores()

    @property
    @_once
    def picks(self) -> pd.DataFrame:
        """What every selector picked in one draw of the meta split, judged by the targets' test sets (paper, Table 3).

        A row for each selector and target, and for the mean over the targets (`average`): `candidate`, `score`, `delta`
        to En-Dev's pick with its interval (`low`, `high`) and `p_value` (`p_holm` after Holm's correction), `regret` to
        the best of the pool, `rank` in it. The oracles 100-Target, All-Target and Best have seen labels of the target,
        `examples` of them. Empty where no target has labels.

        Raises:
            MissingError: the selection has not run, or ran by other settings.

        Example:
            >>> import lms_ray
            >>> picks = lms_ray.open_experiment("runs/quickstart").picks
            >>> float(picks.query("selector == 'En-Dev'")["delta"].abs().max())
            0.0
        """
        self._read.require_selected()
        return pd.DataFrame(
            [asdict(pick) for pick in picks.read(self._store)], columns=list(picks.Pick.__dataclass_fields__)
        )

    @property
    @_once
    def draws(self) -> pd.DataFrame:
        """What every selector's pick is worth in every draw of the meta split, judged by the targets' test sets.

        A row for each draw, selector and target: `score`, `delta` to En-Dev's, `regret`, `rank`, and Spearman's
        `correlation` of the selector's scores with the test scores of the pool. One draw says little; this is the
        report's table of selectors before its means (paper, Table 9).

        Raises:
            MissingError: the selection has not run, or ran by other settings.

        Example:
            >>> import lms_ray
            >>> draws = lms_ray.open_experiment("runs/quickstart").draws
            >>> best_first = draws.groupby("selector")["delta"].mean().sort_values(ascending=False)
        """
        self._read.require_selected()
        return picks.read_splits(self._store)

    @property
    @_once
    def calibration(self) -> pd.DataFrame:
        """What was stated of picks in every draw, and what came of it by the targets' test sets.

        A row for each draw, target, rule and statement (the columns of `for_use`, from `better_than_source` on): what
        was `stated` and what `happened`; of a probability 1 where it came true, 0 where not, half where scores were
        equal.

        Raises:
            MissingError: the selection has not run, or ran by other settings.

        Example:
            >>> import lms_ray
            >>> list(lms_ray.open_experiment("runs/quickstart").calibration.columns[-2:])
            ['stated', 'happened']
        """
        self._read.require_selected()
        return picks.read_outcomes(self._store)

    @property
    @_once
    def for_use(self) -> pd.DataFrame:
        """The pick of all candidates for each target by each rule, and how sure it is; no label of the target was seen.

        A row for each target and rule: `candidate`; whether the rule is the one that is `followed`; the probabilities
        that the pick is `better_than_source` (En-Dev's pick), `better_than_pivots` (that of the pivots' scores alone),
        `better_than_average`, `better_than_no_model`; the expected `gain` over an average candidate and `regret` to the
        best one, in the metric's units; and the expected `rank`. Empty where nothing can be told.

        Raises:
            MissingError: the ranking has not run, or ran by other settings.

        Example:
            >>> import lms_ray
            >>> use = lms_ray.open_experiment("runs/quickstart").for_use.query("followed")
            >>> use["target"].is_unique
            True
        """
        return deployment.read(self._store, self._read.origin)

    def rank(self, language: str, selector: str | PairwiseRanker | None = None) -> pd.DataFrame:
        """All candidates in order for a language, the best one first; no label of the language is read.

        Args:
            language: one of `settings.picked_for`; for a `PairwiseRanker` any pivot or target.
            selector: a rule by its name, as in `for_use`; None is the one that is followed; or a ranker of your own,
                that is handed `features(language)`.

        Returns:
            A row for each candidate that did not diverge, by its id: `place` (1 the best; equal scores share one),
            `score` by the rule, in its own measure, the fine-tuning's settings, and `dev_score` on the source. By a
            rule that learns from candidates, one that was in no draw's pool has no score, and stands last.

        Raises:
            ConfigError: nothing is picked for the language, or there is no such rule.
            MissingError: the ranking has not run, or ran by other settings.
            ValueError: the ranker was taught by labels of the language, or may have been, or takes other features.

        Example:
            >>> import lms_ray
            >>> experiment = lms_ray.open_experiment("runs/quickstart")
            >>> use = experiment.for_use.query("followed and target == 'pt'")
            >>> experiment.rank("pt").index[0] == use["candidate"].item()
            True
        """
        if isinstance(selector, PairwiseRanker):
            if getattr(selector, "languages_", None) is None and language in self._experiment.pivots:
                raise ValueError(
                    f"language: found {language}, a pivot, and a ranker that does not know the codes of the languages "
                    "that taught it; accepted is one that was fitted with codes"
                )
            score = selector.rank(self.features(language), language=language)
        else:
            self._read.require_picked_for(language)
            of_rule = self._read.said.overall[language]
            rule = self._read.said.followed[language] if selector is None else selector
            if rule not in of_rule:
                raise ConfigError(f"selector: found {shown(rule)}; accepted are {', '.join(sorted(of_rule))}")
            score = pd.Series(of_rule[rule], self._read.ranked, name="score").sort_values(
                ascending=False, kind="stable"
            )
        place = score.rank(ascending=False, method="min").astype("Int64").rename("place")
        setting = self.candidates[[*AXES, "seed", "dev_score"]]
        return pd.concat([place, score], axis=1).join(setting)

    def why(self, language: str) -> Reasons:
        """Why a candidate is picked for a language, how sure that is, and what the rules say of each other.

        Args:
            language: one of `settings.picked_for`.

        Returns:
            The report's sentences (`print` shows them) and the tables behind them.

        Raises:
            ConfigError: nothing is picked for the language.
            MissingError: the ranking has not run, or ran by other settings.

        Example:
            >>> import lms_ray
            >>> reasons = lms_ray.open_experiment("runs/quickstart").why("pt")
            >>> isinstance(reasons.words, str)
            True
        """
        self._read.require_picked_for(language)
        return reasons(
            language,
            self._experiment.pivots_for(language),
            self.for_use,
            deployment.read_worth(self._store, self._read.origin),
            redrawn.read_recommended(self._store, self._read.origin),
            len(self._read.ranked),
        )

    def fit_ranker(self, target: str | None = None, **parameters: Any) -> PairwiseRanker:
        """Fit a ranker on the experiment's pivots, as the ranking stage does (paper, section 4.2).

        It learns from the meta-train candidates, and its grid point is chosen on the meta-dev ones. With the parameters
        of the experiment it is the ranker that LMS picked by.

        Args:
            target: the language that is to be ranked for. If it is a pivot, it is left out: its labels must not reach
                its own ranker. None takes all pivots, and the ranker refuses to `rank` for one of them.
            parameters: of `PairwiseRanker`, in place of the experiment's (`ranker.*` and `seed`); the experiment says
                which candidates are held out.

        Returns:
            The fitted ranker, for `features` as they are.

        Raises:
            ConfigError: the target is neither pivot nor target, or the experiment's ranker takes other features than
                those over a language's own text, other tasks teach it, or it is another experiment's.
            MissingError: the features stage has not run.
            RankingError: the pivots' scores give nothing to learn.
            TypeError: there is no such parameter.
            ValueError: a parameter is not accepted.

        Example:
            >>> import lms_ray
            >>> experiment = lms_ray.open_experiment("runs/quickstart")
            >>> ranker = experiment.fit_ranker("de", l2=[1.0, 0.1])
            >>> "de" in ranker.languages_
            False
            >>> candidate = experiment.rank("de", ranker).index[0]
        """
        if "dev_share" in parameters:
            raise ValueError("dev_share: found a share; accepted is none, as the meta split says who is held out")
        lesson, settings = self._read.lesson(target), self._experiment.ranker
        same = PairwiseRanker().get_params().keys() & type(settings).model_fields.keys()
        own = {name: getattr(settings, name) for name in same}
        own |= {"form": settings.fit, "random_state": self._experiment.seed}
        ranker = PairwiseRanker(**own | parameters)
        return ranker.fit(lesson.feature_CPH, lesson.score_CP, languages=lesson.pivots, dev=lesson.is_dev_C)

    def export(self, target: str, to: str | os.PathLike[str], selector: str | None = None, onnx: bool = False) -> None:
        """Copy the model to use for a target into a folder of its own, with a model card: `lms-ray export`.

        Args:
            target: one of `settings.picked_for`.
            to: a new or an empty folder, local path or URI; `transformers` loads it.
            selector: a rule by its name; None is the one that is followed.
            onnx: write the model as an ONNX graph too (`lms-ray[onnx]`).

        Raises:
            ConfigError: the language is no target, the rule picks nothing, the folder holds something, or a package
                that ONNX needs is missing.
            MissingError: nothing was picked for use yet, or the weights of the pick were not kept.

        Example:
            >>> import lms_ray
            >>> lms_ray.open_experiment("runs/quickstart").export("pt", to="model-pt")
            export    ..., the pick of ... for pt, is in ...model-pt
        """
        export.run(self._store.root, target, selector, expanded(os.fspath(to)), onnx)

    def __repr__(self) -> str:
        settings = self._experiment
        return (
            f"OpenExperiment({self.path!r}: {settings.task}, pivots {' '.join(settings.pivots)}, "
            f"targets {' '.join(settings.picked_for)})"
        )

    def _repr_html_(self) -> str:
        settings = self.settings
        facts = {
            "Folder": self.path,
            "Task": settings.task,
            "Encoder": settings.encoder,
            "Source": settings.source,
            "Pivots": " ".join(settings.pivots),
            "Targets": " ".join(settings.targets) or "none",
            "Targets without labels": " ".join(settings.unlabelled_targets) or "none",
        }
        made = {
            f"{stage} {'✓' if self._store.exists(path) else '·'}": parts for stage, (path, parts) in MADE_BY.items()
        }
        rows = "".join(
            f"<tr><th style='text-align: left'>{escape(name)}</th>"
            f"<td style='text-align: left'>{escape(value)}</td></tr>"
            for name, value in (facts | made).items()
        )
        return f"<table><caption>{escape(settings.name)}</caption>{rows}</table>"
