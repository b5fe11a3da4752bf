"""Checkpoints that were not in the pool, held against a finished experiment's: an extra that no other stage needs.

    lms-ray rank PATH [key=value ...] --checkpoint FOLDER [FOLDER ...] [--target LANG ...]

Each is encoded here, without Ray, on the texts that the pool's rankings are made from, and scored by every rule beside
the pool; nothing is taught anew. The encodings stay in the experiment's folder, and no text is encoded twice.
"""

import logging
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch

from lms_ray.choosing import judging
from lms_ray.choosing.judging import Judge
from lms_ray.choosing.newcomers import Said, Weights, place
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.choosing.taught import LMS
from lms_ray.models import brought, shards
from lms_ray.models.brought import Checkpoint
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.pages.progress import Progress, say, telling
from lms_ray.pages.tables import Table
from lms_ray.pages.terminal import show
from lms_ray.settings.errors import ConfigError, RankingError, StorageError
from lms_ray.settings.uris import without_credentials
from lms_ray.store import encodings, identity, newcomers
from lms_ray.store.attempts import Machine, Use
from lms_ray.store.encodings import NEWCOMERS, Encoding
from lms_ray.store.files import Store
from lms_ray.store.lock import hold
from lms_ray.store.newcomers import Ranked
from lms_ray.tasks.pretrained import first_line

log = logging.getLogger(__name__)

SHOWN = {
    RECOMMENDED: lambda score: f"{score:+.2f}",
    LMS: lambda score: f"{score:+.2f}",
    "All-Pivot": lambda score: f"{-score:.1f}",
    "En-Dev": lambda score: f"{100 * score:.1f}",
}
"""Rules that are printed, and how: z-scores, the mean rank over the pivots, and percent. The table has all rules."""


def rank(path: str, checkpoints: Sequence[str], targets: Sequence[str] = (), overrides: Sequence[str] = ()) -> None:
    """Print where checkpoints stand beside a finished experiment's pool, and write `newcomers.parquet`.

    Args:
        path: the experiment's folder, local path or URI.
        checkpoints: folders of models, local or in an object store.
        targets: languages to pick for; none is all targets of the experiment.
        overrides: `key.sub=value`, such as where the data are now.

    Raises:
        ConfigError: a checkpoint does not fit the pool, or a language is no target.
        MissingError: the experiment has no rankings, or its data are others now.
        RankingError: all of them have diverged.
    """
    store = Store(path, "PATH")
    experiment = identity.in_place(store, overrides)
    with hold(store), telling(), ExitStack() as stack:
        job = Job(materialise(experiment), store)
        judge = judging.read(job)
        judge.require_targets(targets, "--target")
        found = _opened(checkpoints, job, stack)
        made = _encodings(found, job)
        rows, left_out = list[Ranked](), dict[str, Weights]()
        for checkpoint, folder in found.items():
            said = judge.score(checkpoint.id, made[checkpoint], targets or experiment.picked_for, checkpoint.made_as)
            if said is None:
                log.warning("%s: its features are not finite: it has diverged, and has no place", folder)
                continue
            rows += _rows(checkpoint.id, without_credentials(folder), said, judge)
            left_out = {target: of_target.left_out for target, of_target in said.items()}  # the same for all of them
        if not rows:
            raise RankingError("no checkpoint has features that are finite: all of them have diverged")
        newcomers.write(store, rows, judge.origin)
        _say_what_is_left_out(left_out)
        show("\n".join(["", _table(rows).to_text(), "", *_verdict(rows), ""]))
        say("rank", store.where(newcomers.PATH))


def _opened(checkpoints: Sequence[str], job: Job, stack: ExitStack) -> dict[Checkpoint, str]:
    """The checkpoints and their folders, each held against the pool before any is encoded.

    Raises:
        ConfigError: some do not fit; names each with the difference.
    """
    standard = brought.standard_of_pool(job.experiment, job.task, job.corpora.dev, job.store)
    found, misfits = dict[Checkpoint, str](), list[str]()
    for folder in dict.fromkeys(checkpoints):
        try:
            checkpoint = stack.enter_context(brought.opened(folder, standard))
        except (OSError, StorageError, ValueError) as error:
            misfits.append(f"--checkpoint: {without_credentials(folder)}: {first_line(error)}")
            continue
        if checkpoint.id not in {other.id for other in found}:
            found[checkpoint] = folder
    if misfits:
        raise ConfigError("\n".join(misfits))
    return found


def _encodings(found: dict[Checkpoint, str], job: Job) -> dict[Checkpoint, dict[str, Encoding]]:
    """What every checkpoint makes of the texts; what is missing is encoded here, and kept."""
    experiment, store, task = job.experiment, job.store, job.task
    tokenizer = next(iter(found)).tokenizer  # that of the pool, as was seen
    digests, wanted = judging.texts_of(job, tokenizer)
    missing = {checkpoint: encodings.missing(store, checkpoint.id, digests, NEWCOMERS) for checkpoint in found}
    needed = {name for names in missing.values() for name in names}
    total, todo = len(found) * len(digests), sum(map(len, missing.values()))
    progress = Progress("rank", "texts", total, done=total - todo)
    texts = shards.all_tokenised([one for one in wanted if one.name in needed], task, tokenizer, experiment)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else None
    machine = Machine(host=socket.gethostname(), market=None, accelerator=name, cpus=1, gpus=float(name is not None))
    for checkpoint, names in missing.items():
        if not names:
            continue
        try:
            model = checkpoint.load(device)
        except ValueError as error:
            raise ConfigError(f"--checkpoint: {without_credentials(found[checkpoint])}: {first_line(error)}") from error
        fresh, started = dict[str, Encoding](), time.monotonic()
        for corpus in names:
            fresh |= shards.all_encoded(model, task, {corpus: texts[corpus]}, experiment.encode)
            progress.show(progress.done + 1)
        examples = sum(len(encoding.statistics_ES) for encoding in fresh.values())
        use = Use(machine=machine, seconds=time.monotonic() - started, work=examples)
        encodings.write(store, checkpoint.id, fresh, task.statistics, digests, [use], NEWCOMERS)
    return {
        checkpoint: encodings.read(store, checkpoint.id, list(digests), task.statistics, NEWCOMERS)
        for checkpoint in found
    }


def _rows(name: str, folder: str, said: dict[str, Said], judge: Judge) -> list[Ranked]:
    rows = []
    for target, of_target in said.items():
        for rule, score_J in of_target.scores.items():
            stands = place(score_J)
            rows.append(
                Ranked(
                    newcomer=name,
                    path=folder,
                    target=target,
                    rule=rule,
                    score=stands.score,
                    place=stands.place,
                    pool=len(score_J) - 1,
                    is_picked=stands.is_picked,
                    present=judge.picked[target].get(rule),
                    followed=rule == judge.followed[target],
                )
            )
    return rows


def _say_what_is_left_out(left_out: Mapping[str, Weights]) -> None:
    """Say which rules count in the recommended one and could not be asked."""
    targets_of: dict[str, list[str]] = {}
    for target, weights in left_out.items():
        if weights:
            shown = ", ".join(f"{rule} ({100 * weight:.0f} %)" for rule, weight in weights.items())
            targets_of.setdefault(shown, []).append(target)
    for shown, targets in targets_of.items():
        log.info(
            "Recommended for %s is made without %s: what learns from candidates is not saved (but for LMS); the pool "
            "is scored in the same way", ", ".join(targets), shown,
        )  # fmt: skip


def _table(rows: Sequence[Ranked]) -> Table:
    """A row for each target and newcomer, a group for each newcomer."""
    groups = []
    for newcomer in dict.fromkeys(row.newcomer for row in rows):
        cells = []
        for target in dict.fromkeys(row.target for row in rows if row.newcomer == newcomer):
            of_rule = {row.rule: row for row in rows if row.newcomer == newcomer and row.target == target}
            followed = next((row for row in of_rule.values() if row.followed), None)
            cells.append([newcomer, target, *(_cell(of_rule.get(rule)) for rule in SHOWN), _instead(followed)])
        groups.append(cells)
    return Table(["Checkpoint", "Target", *SHOWN, "Picked for use"], groups)


def _cell(row: Ranked | None) -> str:
    return "-" if row is None else f"{SHOWN[row.rule](row.score)} ({row.place}/{row.pool + 1})"


def _instead(row: Ranked | None) -> str:
    """Whether the rule to follow picks the checkpoint, and in place of what; unknown where that rule has no score."""
    if row is None:
        return "-"
    by = "" if row.rule == RECOMMENDED else f" (by {row.rule})"
    return f"yes, not {row.present}{by}" if row.is_picked else f"no{by}"


def _verdict(rows: Sequence[Ranked]) -> list[str]:
    """What that says, and how to read it."""
    lines = [
        "In brackets the place among the pool and the checkpoint. Recommended and LMS are in standard deviations of",
        "the pool, All-Pivot is the mean rank over the pivots, En-Dev is in percent.",
    ]
    for newcomer in dict.fromkeys(row.newcomer for row in rows):
        of_newcomer = [row for row in rows if row.newcomer == newcomer and row.followed]
        picked = [row.target for row in of_newcomer if row.is_picked]
        lines.append(f"{newcomer}: to be used for {', '.join(picked) or 'none'} of {len(of_newcomer)} targets.")
    return lines
