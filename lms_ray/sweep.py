"""Stage 1 and the main job: fine-tune the candidates with Ray Tune, then go on through every other stage.

    python -m lms_ray.sweep                                            # the quickstart
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud        # an experiment, with overrides
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud --only # stop after this stage

Each candidate is one Tune trial. What is done is skipped; a candidate that was interrupted goes on from its last epoch.
One that fails or is lost again and again is given up (`cluster.giving_up`), and the others go on.
"""

import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any

from ray import tune
from ray.tune.logger import JsonLoggerCallback

from lms_ray.choosing import judging
from lms_ray.choosing.split import require_left
from lms_ray.cluster import draining, examining, search, trackers
from lms_ray.cluster.giving_up import Ending, Patience, Tries, candidate_of, killed_for_memory
from lms_ray.cluster.resources import fitting, is_local, set_up
from lms_ray.models import candidates
from lms_ray.models.candidates import Recipe
from lms_ray.models.job import Job
from lms_ray.pages.progress import Notes, Progress, noting
from lms_ray.settings.candidates import Candidate, grid
from lms_ray.settings.errors import StorageError, SweepError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for
from lms_ray.settings.uris import without_credentials
from lms_ray.store import attempts, lineage, missing, pool
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing
from lms_ray.store.requests import each
from lms_ray.tasks.pretrained import some

log = logging.getLogger(__name__)

Records = dict[Candidate, dict[str, Any]]
"""What is known of the candidates that are done."""
Trackers = Callable[[], Sequence[tune.Callback]]
"""Gives them when there is something to fine-tune, and the same ones each time: a finished sweep reaches for none."""


def run(job: Job) -> None:
    """Fine-tune every candidate that is not done, or take the checkpoints that were brought; write the pool.

    Raises:
        SweepError: more candidates than may be missing failed or were lost for good (the others are done, and a rerun
            tries only the missing ones again), or too few are left without them and those that diverged.
    """
    experiment, store = job.experiment, job.store
    given_up: list[Missing] = []
    if experiment.sweep.checkpoints:
        records = examining.take_all(job)
    else:
        recipe = candidates.prepare(job)
        if experiment.sweep.objective == "recommended":
            recipe = replace(recipe, objective=judging.objective(recipe))
        tries = Tries(store, recipe.config_hash, experiment.sweep)
        told = cache(partial(trackers.callbacks, experiment))
        if experiment.sweep.search == "optuna":
            wanted, done = _search(recipe, tries, told)
        else:
            wanted = grid(experiment.sweep)
            done = fine_tune_all(wanted, recipe, tries, told)
        given_up = [hole for candidate in wanted if candidate not in done and (hole := tries.given_up(candidate))]
        records = [done[candidate] for candidate in wanted if candidate in done]
    _take_missing(store, given_up, len(records), experiment.sweep.max_missing)
    pool.write(store, records, {"settings": lineage.settings(experiment, lineage.CANDIDATES)})
    _check_left(records, len(given_up), experiment)


def fine_tune_all(
    wanted: list[Candidate], recipe: Recipe, tries: Tries | None = None, told: Trackers = tuple
) -> Records:
    """Fine-tune the candidates that are not done, as Tune trials; the records of all that are done then.

    Args:
        wanted: the candidates.
        recipe: what they share.
        tries: says in the end which were given up; one that already is, is not tried.
        told: gives the trackers.
    """
    tries = tries or Tries(recipe.store, recipe.config_hash, recipe.experiment.sweep)
    done = _finished(wanted, recipe)
    progress = Progress("sweep", "candidates", len(wanted), done=len(done))
    # Once, unless Tune itself has ended early: each time an error was counted, so that this comes to an end.
    while left := [one for one in wanted if one not in done and not tries.given_up(one)]:
        _, fresh = _tune(
            recipe, tries, told, progress, search.SPACE, search.every(left, recipe.experiment.sweep), samples=len(left)
        )
        done |= fresh
    return done


def _search(recipe: Recipe, tries: Tries, told: Trackers) -> tuple[list[Candidate], Records]:
    """Candidates proposed by Optuna's TPE; those of an earlier run are finished first, then taught to the sampler."""
    sweep, seed = recipe.experiment.sweep, recipe.experiment.seed
    assert sweep.candidates is not None
    begun = [candidate for candidate in _begun(recipe) if search.is_within(candidate, sweep)][: sweep.candidates]
    done = _finished(begun, recipe)
    while True:  # once, unless Tune itself has ended early
        if any(one not in done and not tries.given_up(one) for one in begun):
            done = fine_tune_all(begun, recipe, tries, told)
        more = sweep.candidates - len(begun)
        if not more:
            return begun, done
        progress = Progress("sweep", "candidates", sweep.candidates, done=len(done))
        if not (is_local(recipe.experiment.cluster) or sweep.resources.workers):
            log.info(
                "search: optuna proposes one candidate more than can run, so a cluster grows by one worker at a time; "
                "with sweep.resources.workers it is asked for so many at once"
            )
        scores = {candidate: recipe.maximised(done[candidate]) for candidate in begun if candidate in done}
        next_seed = 1 + max((candidate.seed for candidate in begun), default=-1)
        algorithm = search.algorithm(sweep, scores, next_seed, seed_for(seed, "search", len(begun)))
        proposed, fresh = _tune(recipe, tries, told, progress, None, algorithm, samples=more)
        begun, done = [*begun, *proposed], done | fresh


def _begun(recipe: Recipe) -> list[Candidate]:
    """Candidates of this recipe that were begun, in the order in which they were proposed."""
    store = recipe.store
    settings = {name: f"{pool.unit(name)}/{pool.SETTING}" for name in store.names(pool.FOLDER)}
    found = {name: Candidate(**store.read_json(path)) for name, path in settings.items() if store.exists(path)}
    of_recipe = [candidate for name, candidate in found.items() if recipe.id(candidate) == name]
    return sorted(of_recipe, key=lambda candidate: candidate.seed)


def _finished(wanted: Sequence[Candidate], recipe: Recipe) -> Records:
    records = zip(wanted, each(recipe.finished, wanted), strict=True)
    return {candidate: record for candidate, record in records if record}


def _take_missing(store: Store, given_up: list[Missing], there: int, accepted: int) -> None:
    """Keep beside the pool which candidates are missing, and say it.

    Raises:
        SweepError: they are more than may be missing; then there is no pool, not even an earlier one.
    """
    missing.write(store, given_up)
    if not given_up:
        return
    first = given_up[0]
    said = f"{missing.in_words(given_up)} ({store.where(pool.unit(first.id))}/{pool.ERROR} says more)"
    if len(given_up) > accepted:
        store.delete(pool.PATH)
        raise SweepError(
            f"{said}; the other {there} are done. Run the job again to try the missing ones again, or with "
            f"sweep.max_missing={len(given_up)} to go on without those that are given up once more"
        )
    log.warning("THE POOL HAS HOLES: %s; the job goes on without them, as sweep.max_missing=%d allows", said, accepted)


def _check_left(records: Sequence[dict[str, Any]], absent: int, experiment: Experiment) -> None:
    """Say which candidates diverged; they are no part of the pool, nor are those that are missing.

    Raises:
        SweepError: too few are left to divide.
    """
    diverged = [record["id"] for record in records if record.get("diverged")]
    if diverged:
        log.warning(
            "%d of %d candidates diverged and are left out of the pool: %s (`diverged` in %s)",
            len(diverged), len(records), some(diverged), pool.PATH,
        )  # fmt: skip
    require_left(experiment, len(records), len(diverged), absent)


def _tune(
    recipe: Recipe,
    tries: Tries,
    told: Trackers,
    progress: Progress,
    space: Any,
    algorithm: Any,
    samples: int,
) -> tuple[list[Candidate], Records]:
    """Run trials to their end; the candidate of each, and the records of those that ended well.

    Tune itself ends early where Ray has killed a worker for its node's memory; that is counted as any other error, and
    the trials that were running can be run again.
    """
    sweep, report = recipe.experiment.sweep, _Report(progress, tries)
    befallen = {one: tries.errors(one) for one in tries.befallen}
    config_hash = recipe.config_hash  # Tune pickles the function, which is not to hold all of the recipe

    def name(trial: tune.experiment.Trial) -> str:
        return candidate_of(trial).id(config_hash)

    with tempfile.TemporaryDirectory(prefix="lms-ray-tune-") as bookkeeping:  # DONE.json is the truth, not this
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(Trial, recipe=replace(recipe, run=tries.run)),
                {"CPU": sweep.resources.cpus, "GPU": sweep.resources.gpus},
            ),
            param_space=space,
            tune_config=tune.TuneConfig(
                search_alg=algorithm,
                scheduler=Patience(tries, partial(fitting, sweep.resources)),
                num_samples=samples,
                reuse_actors=True,
                trial_name_creator=name,
                trial_dirname_creator=name,
            ),
            run_config=tune.RunConfig(
                storage_path=bookkeeping,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=-1),  # without an end: `tries` knows when it is enough
                callbacks=[report, JsonLoggerCallback(), *told()],
            ),
        )
        try:
            tuner.fit()
        except Exception as error:
            if not report.count_killed(error):
                raise
        else:
            for candidate in report.started - report.records.keys():
                if not tries.given_up(candidate) and tries.errors(candidate) == befallen.get(candidate, 0):
                    tries.count(candidate, Ending.of_text("its trial has ended without a result"))
    for line in report.notes:  # of a worker, whose log nobody sees
        log.info("%s", line)
    return sorted(report.started, key=lambda candidate: candidate.seed), report.records


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
        except draining.DrainedError:  # the candidate has not begun, and nothing has failed
            raise
        except Exception:
            path = f"{pool.unit(self.recipe.id(self.candidate))}/{pool.ERROR}"
            said = without_credentials(traceback.format_exc())
            with suppress(StorageError):  # the driver hears it too
                self.recipe.store.hasty().write_bytes(path, said.encode())
            raise

    def cleanup(self) -> None:
        """Leave the candidate, done or as it is."""
        if self.work:
            self.work.close()

    def _work(self) -> Generator[dict[str, Any]]:
        """What the driver hears of the candidate: each epoch, and last its record; what it took is kept beside it."""
        recipe, candidate = self.recipe, self.candidate
        unit, examples = pool.unit(recipe.id(candidate)), recipe.train.examples
        draining.leave_if_drained()
        with attempts.recorded(recipe.store, unit, self.machine, examples, candidate.epochs, recipe.run) as attempt:
            record = yield from recipe.training(candidate, self.device, attempt.tell)
        epochs = attempt.attempt.epochs or candidate.epochs  # of one that is scored again, all; if it diverged, fewer
        said = {search.METRIC: recipe.maximised(record), "dev_score": record["dev_score"], "epoch": epochs}
        yield {**said, "record": record, "notes": self.notes.lines, "done": True}


class _Report(tune.Callback):
    """Hears what became of Tune's trials, and shows it as a progress line."""

    def __init__(self, progress: Progress, tries: Tries):
        self.progress, self.tries, self.before = progress, tries, progress.done
        self.started: set[Candidate] = set()
        self.records: Records = {}
        self.notes: list[str] = []
        self.actors: dict[str, Candidate] = {}
        """Which candidate each worker was given last, by the worker's id."""

    def on_trial_start(self, iteration: int, trials: Iterable[Any], trial: Any, **info: Any) -> None:
        """Hear who works on what."""
        self.started.add(candidate_of(trial))
        self.actors[trial.temporary_state.ray_actor._actor_id.hex()] = candidate_of(trial)

    def on_trial_error(self, iteration: int, trials: Iterable[Any], trial: Any, **info: Any) -> None:
        """Hear of a trial that has ended before it was started."""
        self.started.add(candidate_of(trial))

    def on_trial_complete(self, iteration: int, trials: Iterable[Any], trial: Any, **info: Any) -> None:
        """Take the record of a candidate that is done; one that was given up has none."""
        self.started.add(candidate_of(trial))
        if record := trial.last_result.get("record"):
            self.records[candidate_of(trial)] = record
            self.notes += trial.last_result["notes"]

    def on_step_end(self, iteration: int, trials: Iterable[Any], **info: Any) -> None:
        if self.progress.is_due:  # to count thousands of trials at each event would take longer than all else
            self._show(trials)

    def on_experiment_end(self, trials: Iterable[Any], **info: Any) -> None:
        """Show how it has ended."""
        self._show(trials)

    def _show(self, trials: Iterable[Any]) -> None:
        running = sum(trial.status == "RUNNING" for trial in trials)
        states = Counter(hole.state for hole in self.tries.holes.values())
        self.progress.show(self.before + len(self.records), running, states["failed"], states["lost"])

    def count_killed(self, error: Exception) -> bool:
        """Count against the candidates whose workers were killed for memory; whether that is what ended Tune."""
        killed = killed_for_memory(error)
        if killed is None:
            return False
        guilty = [candidate for actor, candidate in self.actors.items() if actor in str(killed)]
        for candidate in guilty:
            self.tries.count(candidate, Ending.of(killed))
        return bool(guilty)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="sweep")
