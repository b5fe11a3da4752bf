"""Stage 1 and the main job: fine-tune the candidates with Ray Tune, then go on through every other stage.

    python -m lms_ray.sweep                                            # the quickstart
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud        # an experiment, with overrides
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud --only # stop after this stage

Each candidate is one Tune trial. What is done is skipped; a candidate that was interrupted goes on from its last epoch.
"""

import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from ray import tune
from ray.tune.logger import JsonLoggerCallback

from lms_ray.choosing import judging
from lms_ray.cluster import examining, search, trackers
from lms_ray.cluster.resources import is_local, set_up
from lms_ray.models import candidates
from lms_ray.models.candidates import Recipe
from lms_ray.models.job import Job
from lms_ray.pages.progress import Notes, Progress, noting
from lms_ray.settings.candidates import Candidate, grid
from lms_ray.settings.choosing import MetaSplit
from lms_ray.settings.errors import SweepError
from lms_ray.settings.hashing import seed_for
from lms_ray.settings.uris import without_credentials
from lms_ray.store import attempts, lineage, pool

log = logging.getLogger(__name__)

Records = dict[Candidate, dict[str, Any]]
"""What is known of the candidates that are done."""


def run(job: Job) -> None:
    """Fine-tune every candidate that is not done, or take the checkpoints that were brought; write the pool.

    Raises:
        SweepError: candidates failed for good (the others are done, and a rerun tries only the failed ones again), or
            too few are left because the others diverged.
    """
    experiment, store = job.experiment, job.store
    if experiment.sweep.checkpoints:
        records = examining.take_all(job)
    else:
        recipe = candidates.prepare(job)
        if experiment.sweep.objective == "recommended":
            recipe = replace(recipe, objective=judging.objective(recipe))
        if experiment.sweep.search == "optuna":
            wanted, done = _search(recipe)
        else:
            wanted = grid(experiment.sweep)
            done = fine_tune_all(wanted, recipe)
        _refuse_failures(wanted, done, recipe)
        records = [done[candidate] for candidate in wanted]
    pool.write(store, records, {"settings": lineage.settings(experiment, lineage.CANDIDATES)})
    _check_diverged(records, experiment.meta_split)


def fine_tune_all(wanted: list[Candidate], recipe: Recipe) -> Records:
    """Fine-tune the candidates that are not done, as Tune trials; the records of all that are done then."""
    done = _finished(wanted, recipe)
    progress = Progress("sweep", "candidates", len(wanted), done=len(done))
    missing = [asdict(candidate) for candidate in wanted if candidate not in done]
    if missing:
        _, fresh = _tune(recipe, progress, {"candidate": tune.grid_search(missing)}, None, samples=1)
        done |= fresh
    return done


def _search(recipe: Recipe) -> tuple[list[Candidate], Records]:
    """Candidates proposed by Optuna's TPE; those of an earlier run are finished first, then taught to the sampler."""
    sweep, seed = recipe.experiment.sweep, recipe.experiment.seed
    assert sweep.candidates is not None
    begun = [candidate for candidate in _begun(recipe) if search.is_within(candidate, sweep)][: sweep.candidates]
    done = _finished(begun, recipe)
    if len(done) < len(begun):
        done = fine_tune_all(begun, recipe)
    more = sweep.candidates - len(begun)
    progress = Progress("sweep", "candidates", sweep.candidates, done=len(done))
    if not more:
        return begun, done
    if not (is_local(recipe.experiment.cluster) or sweep.resources.workers):
        log.info(
            "search: optuna proposes one candidate more than can run, so a cluster grows by one worker at a time; with "
            "sweep.resources.workers it is asked for so many at once"
        )
    scores = {candidate: recipe.maximised(done[candidate]) for candidate in begun if candidate in done}
    next_seed = 1 + max((candidate.seed for candidate in begun), default=-1)
    algorithm = search.algorithm(sweep, scores, next_seed, seed_for(seed, "search", len(begun)))
    proposed, fresh = _tune(recipe, progress, None, algorithm, samples=more)
    return [*begun, *proposed], done | fresh


def _begun(recipe: Recipe) -> list[Candidate]:
    """Candidates of this recipe that were begun, in the order in which they were proposed."""
    store = recipe.store
    settings = {name: f"{pool.unit(name)}/{pool.SETTING}" for name in store.names(pool.FOLDER)}
    found = {name: Candidate(**store.read_json(path)) for name, path in settings.items() if store.exists(path)}
    of_recipe = [candidate for name, candidate in found.items() if recipe.id(candidate) == name]
    return sorted(of_recipe, key=lambda candidate: candidate.seed)


def _finished(wanted: Iterable[Candidate], recipe: Recipe) -> Records:
    records = {candidate: recipe.finished(candidate) for candidate in wanted}
    return {candidate: record for candidate, record in records.items() if record}


def _refuse_failures(wanted: Sequence[Candidate], done: Records, recipe: Recipe) -> None:
    failed = [recipe.id(candidate) for candidate in wanted if candidate not in done]
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(wanted)} candidates failed, among them {failed[0]}: "
            f"{recipe.store.where(pool.unit(failed[0]))}/{pool.ERROR} says why, unless its machine was lost; "
            "run the job again to try them again"
        )


def _check_diverged(records: Sequence[dict[str, Any]], meta_split: MetaSplit) -> None:
    """Say which candidates diverged; they are no part of the pool.

    Raises:
        SweepError: too few are left to divide.
    """
    diverged = [record["id"] for record in records if record.get("diverged")]
    if not diverged:
        return
    log.warning(
        "%d of %d candidates diverged and are left out of the pool: %s",
        len(diverged), len(records), ", ".join(diverged),
    )  # fmt: skip
    try:
        meta_split.require(len(records) - len(diverged), "without those that diverged there are")
    except ValueError as error:
        raise SweepError(str(error)) from None


def _tune(
    recipe: Recipe, progress: Progress, space: Any, algorithm: Any, samples: int
) -> tuple[list[Candidate], Records]:
    """Run trials to their end; the candidate of each, and the records of those that ended well."""
    sweep = recipe.experiment.sweep

    def name(trial: tune.experiment.Trial) -> str:
        return recipe.id(Candidate(**trial.config["candidate"]))

    with tempfile.TemporaryDirectory(prefix="lms-ray-tune-") as bookkeeping:  # DONE.json is the truth, not this
        results = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(Trial, recipe=recipe),
                {"CPU": sweep.resources.cpus, "GPU": sweep.resources.gpus},
            ),
            param_space=space,
            tune_config=tune.TuneConfig(
                search_alg=algorithm,
                num_samples=samples,
                max_concurrent_trials=sweep.resources.workers,
                reuse_actors=True,
                trial_name_creator=name,
                trial_dirname_creator=name,
            ),
            run_config=tune.RunConfig(
                storage_path=bookkeeping,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=sweep.max_failures),
                callbacks=[_Report(progress), JsonLoggerCallback(), *trackers.callbacks(recipe.experiment)],
            ),
        ).fit()
    each = [results[index] for index in range(len(results))]
    tried = {Candidate(**(result.config or {})["candidate"]): result for result in each}
    ended = {candidate: result.metrics or {} for candidate, result in tried.items() if not result.error}
    for line in [line for metrics in ended.values() for line in metrics["notes"]]:  # of a worker, whose log nobody sees
        log.info("%s", line)
    return list(tried), {candidate: metrics["record"] for candidate, metrics in ended.items()}


class Trial(tune.Trainable):
    """One candidate, an epoch a step; the actor is used again for the next one."""

    work: Generator[dict[str, Any]] | None = None
    """What there is to do, and has begun with the first step."""

    def setup(self, config: dict[str, Any], recipe: Recipe) -> None:  # type: ignore[override]  # with_parameters adds it
        """Take over what all candidates share, once for each actor."""
        self.recipe = recipe
        self.device, self.machine = set_up(recipe.experiment.sweep.resources)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be the trial of another candidate."""
        self.cleanup()
        self.candidate = Candidate(**new_config["candidate"])
        self.notes = Notes()
        self.work = self._work()
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch more; after the last one, score and commit. The reason of a failure is kept beside it."""
        assert self.work
        try:
            with noting(self.notes):
                return next(self.work)
        except Exception:
            path = f"{pool.unit(self.recipe.id(self.candidate))}/{pool.ERROR}"
            self.recipe.store.write_bytes(path, without_credentials(traceback.format_exc()).encode())
            raise

    def cleanup(self) -> None:
        """Leave the candidate, done or as it is."""
        if self.work:
            self.work.close()

    def _work(self) -> Generator[dict[str, Any]]:
        """What the driver hears of the candidate: each epoch, and last its record; what it took is kept beside it."""
        recipe, candidate = self.recipe, self.candidate
        unit, examples = pool.unit(recipe.id(candidate)), recipe.train.examples
        with attempts.recorded(recipe.store, unit, self.machine, examples, candidate.epochs) as attempt:
            record = yield from recipe.training(candidate, self.device, attempt.tell)
        said = {search.METRIC: recipe.maximised(record), "dev_score": record["dev_score"], "epoch": candidate.epochs}
        yield {**said, "record": record, "notes": self.notes.lines, "done": True}


class _Report(tune.Callback):
    """Shows Tune's trials as a progress line."""

    def __init__(self, progress: Progress):
        self.progress, self.before = progress, progress.done

    def on_step_end(self, iteration: int, trials: Iterable[Any], **info: Any) -> None:
        states = Counter(trial.status for trial in trials)
        self.progress.show(self.before + states["TERMINATED"], states["RUNNING"], states["ERROR"])


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="sweep")
