"""The command line: one stage, or the whole road.

    lms-ray sweep|features|rank|select|report [CONFIG] [key=value ...]
    lms-ray plan [CONFIG] [key=value ...]      what would run, before anything does
    lms-ray status PATH                        progress of an experiment, from its folder alone

`lms-ray sweep` is `python -m lms_ray.sweep`, the main job; with `--only` it stops after the sweep.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from lms_ray.data import DataError
from lms_ray.settings.errors import JobError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import ConfigError, load, to_yaml

if TYPE_CHECKING:
    from lms_ray.store.files import Store

HEAVY = {"sweep", "features", "ranking"}  # they read the data and run on Ray; the others only read the folder
STAGES = ("sweep", "features", "ranking", "selection", "report")
VERBS = {"sweep": "sweep", "features": "features", "rank": "ranking", "select": "selection", "report": "report"}


def main(stage: str | None = None) -> None:
    """Parse the command line and run; the exit status is 0, 1 for an error, 2 for bad input, 130 for an interrupt.

    Args:
        stage: run this stage (`python -m lms_ray.<stage>`); None reads a verb first (`lms-ray VERB`).
    """
    arguments = _parser(stage).parse_args()
    verb = stage or arguments.verb
    try:
        if verb == "status":
            from lms_ray.store.status import show

            show(arguments.path)
            return
        configuration = [arguments.config] if arguments.config else []
        is_override = bool(configuration) and "=" in configuration[0]
        overrides = [*configuration, *arguments.overrides] if is_override else arguments.overrides
        experiment = load(None if is_override else arguments.config, overrides)
        if verb == "plan":
            from lms_ray.pages.plan import show_plan

            show_plan(materialise(experiment))
            return
        stage = VERBS.get(verb, verb)
        whole_road = stage == "sweep" and not arguments.only
        run(experiment, STAGES if whole_road else (stage,))
    except (ConfigError, DataError) as error:
        sys.exit(_failed(error, 2))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except JobError as error:
        sys.exit(_failed(error, 1))


def run(experiment: Experiment, stages: tuple[str, ...]) -> None:
    """Run stages of an experiment in order, as the only driver of its folder; the heavy ones on Ray."""
    from lms_ray.pages.progress import ShownNotes, noting
    from lms_ray.store.files import Store, hold  # slow imports, after the configuration has been accepted

    store = Store(experiment.folder)
    with hold(store), noting(ShownNotes()), ExitStack() as stack:
        if HEAVY & set(stages):
            from lms_ray.cluster.connecting import connect
            from lms_ray.data import corpora
            from lms_ray.models import checkpoints
            from lms_ray.store import provenance

            experiment = materialise(experiment)
            corpora.check(experiment, checkpoints.task_of(experiment))
            resources = {key: getattr(experiment, key).resources for key in ("sweep", "encode", "ranker")}
            stack.enter_context(connect(experiment.cluster, **resources))
            store.write_bytes("experiment.yaml", to_yaml(experiment).encode())
            store.write_json("provenance.json", provenance.collect())
        for stage in stages:
            started = time.monotonic()
            _stage(stage)(experiment, store)
            print(f"{stage:9} finished in {time.monotonic() - started:.1f} s", flush=True)


def materialise(experiment: Experiment) -> Experiment:
    """The experiment with absolute paths, and its toy languages and their encoder made where it asks for them."""
    if experiment.data.format != "toy":
        sweep = experiment.sweep
        if sweep.checkpoints and "://" not in sweep.checkpoints:
            sweep = sweep.model_copy(update={"checkpoints": str(Path(sweep.checkpoints).absolute())})
        return experiment.model_copy(update={"data": experiment.data.absolute(), "sweep": sweep})
    from lms_ray.data import toy
    from lms_ray.models import pretrain
    from lms_ray.settings.data import EVERY

    if "://" in experiment.storage:
        raise ConfigError(f"storage: found {experiment.storage}; accepted for toy languages is a local folder")
    print(f"{'toy':9} languages and encoder, made once and kept in {experiment.storage}", flush=True)
    root, encoder = pretrain.prepare(Path(experiment.storage), experiment.languages, experiment.seed)
    files = {EVERY: toy.FILES}
    data = experiment.data.model_copy(update={"format": "conllu", "root": str(root), "files": files})
    return experiment.model_copy(update={"data": data, "encoder": str(encoder)})


def _stage(name: str) -> "Callable[[Experiment, Store], None]":
    from importlib import import_module

    return import_module(f"lms_ray.{name}").run


def _parser(stage: str | None) -> argparse.ArgumentParser:
    description = (__doc__ or "").split("\n\n")[0]
    if stage:
        parser = argparse.ArgumentParser(prog=f"python -m lms_ray.{stage}", description=f"Run the stage {stage}.")
        return _with_configuration(parser, only=stage == "sweep")
    parser = argparse.ArgumentParser(prog="lms-ray", description=description)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in (*VERBS, "plan"):
        _with_configuration(verbs.add_parser(verb), only=verb == "sweep")
    verbs.add_parser("status").add_argument("path", help="folder of an experiment, local path or URI")
    return parser


def _with_configuration(parser: argparse.ArgumentParser, only: bool) -> argparse.ArgumentParser:
    parser.add_argument("config", nargs="?", help="YAML file or preset; none is the quickstart")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override one key, such as sweep.seeds=2")
    if only:
        parser.add_argument("--only", action="store_true", help="stop after the sweep")
    return parser


def _failed(error: Exception, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
