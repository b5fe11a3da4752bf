"""The command line: one stage, or the whole road.

    lms-ray sweep [CONFIG] [key=value ...]     the main job: every stage in turn; --only stops after the sweep
    lms-ray features|ranking|selection|report [CONFIG] [key=value ...]     one stage again
    lms-ray ablation [CONFIG] [key=value ...]  what the ranker's inputs are worth; needs features
    lms-ray curves [CONFIG] [key=value ...]    how many candidates, pivots, sentences it takes; needs features
    lms-ray soups [CONFIG] [key=value ...]     what averages of weights are worth; needs ranking, and a shared head
    lms-ray plan [CONFIG] [key=value ...]      what would run, with every check that needs no cluster; writes nothing
    lms-ray config [CONFIG] [key=value ...]    the resolved configuration, each key with its documentation
    lms-ray status PATH [--watch]              progress, cost and how to go on, from an experiment's folder alone
    lms-ray verify PATH --target LANG --labels FILE    how its picks for use did, by labels that came later
    lms-ray rank PATH [key=value ...] --checkpoint FOLDER ... [--target LANG ...]
                                               where checkpoints that were not in the pool stand beside it
    lms-ray export PATH --target LANG --to FOLDER [--selector RULE] [--onnx]
                                               the model to use for a target, with a model card
    lms-ray jobs [NAME ...] [--to FOLDER]      the job files that come with this: a list, or copies
    lms-ray tables FOLDER ... --to FOLDER      the paper's tables and Figure 2 from experiments' folders alone

CONFIG is a YAML file or a preset, and the quickstart if left out. `python -m lms_ray.sweep` is `lms-ray sweep`.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lms_ray
from lms_ray.data import DataError
from lms_ray.settings.errors import ConfigError, JobError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.settings.uris import without_credentials

if TYPE_CHECKING:
    from lms_ray.models.job import Job
    from lms_ray.store.files import Store

log = logging.getLogger(__name__)

STAGES = {
    "sweep": "fine-tune every candidate, then go on through every other stage",
    "features": "pass every corpus through every candidate",
    "ranking": "fit the rankers",
    "selection": "pick a candidate for every target",
    "report": "print the table and write the page",
}
ON_RAY = {
    "sweep": "sweep",
    "features": "encode",
    "ranking": "ranker",
    "soups": "encode",
}  # and the key that says what a worker takes
READING = {"sweep", "features", "soups"}  # need the data
UPLOADED = "working_dir_files"  # Ray's folder of what `ray job submit --working-dir` sends
EXTRA = {
    "ablation": "what the ranker's inputs are worth, over every draw of the meta split",
    "curves": "what picks are worth with fewer candidates, pivots and sentences, and by labels of the target",
    "soups": "what averages of candidates' weights are worth, beside single picks",
}
LOOKING = {
    "plan": "count the work and make every check of the job that needs no cluster; runs and writes nothing",
    "config": "print the resolved configuration, each key with its documentation",
}


def main(stage: str | None = None) -> None:
    """Parse the command line and run.

    The exit status is 0, 1 for an error, 2 for bad input, 130 where Ctrl-C and 143 where SIGTERM stopped it.

    Args:
        stage: run this stage (`python -m lms_ray.<stage>`); None reads a verb first (`lms-ray VERB`).
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # never fail for want of a letter
    arguments = _parser(stage).parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        _do(stage or arguments.verb, arguments)
    except (ConfigError, DataError) as error:
        sys.exit(_failed(error, 2))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(143 if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else 130)
    except JobError as error:
        sys.exit(_failed(error, 1))
    except BrokenPipeError:  # whoever reads has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:
        print(without_credentials(traceback.format_exc()), end="", file=sys.stderr)
        sys.exit(1)


def _stop(*_: Any) -> None:
    """Answer SIGTERM (`ray job stop`, `kubectl delete`) as Ctrl-C, and no second time while things are tidied up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt  # Ray hands on no other exception of a signal


def _do(verb: str, arguments: argparse.Namespace) -> None:
    """Run one verb; slow imports come after the configuration has been accepted."""
    if verb == "status":
        from lms_ray.pages.status import show_status, watch

        if arguments.watch is None:
            show_status(arguments.path, arguments.candidates)
        else:
            watch(arguments.path, arguments.watch, arguments.candidates)
        return
    if verb == "verify":
        import_module("lms_ray.verify").run(arguments.path, arguments.target, arguments.labels)
        return
    if verb == "export":
        of_pick = (arguments.path, arguments.target, arguments.selector, arguments.to)
        import_module("lms_ray.export").run(*of_pick, as_onnx=arguments.onnx)
        return
    if verb == "jobs":
        from lms_ray.pages.jobs import copy_jobs, show_jobs

        copy_jobs(arguments.names, arguments.to) if arguments.names else show_jobs()
        return
    if verb == "tables":
        from lms_ray.pages.paper.show import show_tables

        show_tables(arguments.folders, arguments.paper, arguments.to)
        return
    if verb == "rank":
        import_module("lms_ray.rank").rank(arguments.path, arguments.checkpoint, arguments.target, arguments.overrides)
        return
    words = [arguments.config, *arguments.overrides] if arguments.config else []
    config = words.pop(0) if words and "=" not in words[0] else None
    experiment = load(config, words)
    if verb == "config":
        from lms_ray.settings.documented import documented

        print(documented(experiment), end="")
    elif verb == "plan":
        from lms_ray.pages.plan import show_plan

        show_plan(experiment, arguments.like)
    elif verb == "sweep" and not arguments.only:
        run(experiment, tuple(STAGES))
    else:
        run(experiment, (verb,))


def run(experiment: Experiment, stages: tuple[str, ...]) -> None:
    """Run stages of an experiment in order, as the only driver of its folder."""
    from lms_ray.models.job import Job
    from lms_ray.models.pretrain import materialise
    from lms_ray.pages.progress import ShownNotes, noting, say
    from lms_ray.settings.loading import to_yaml
    from lms_ray.store import identity, provenance
    from lms_ray.store.files import Store
    from lms_ray.store.lock import hold

    store = Store(experiment.folder)
    _refuse_uploaded(store)
    if "soups" in stages:
        from lms_ray.choosing.soups import require_shared_head

        require_shared_head(experiment)  # before a folder is made, or Ray is started
    with hold(store) as claim, noting(ShownNotes()), ExitStack() as stack:
        if experiment != experiment.without_credentials():
            log.warning(
                "a URI names keys, which Ray's dashboard and the list of processes show with the command; "
                "a role of the machines or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY there are not shown"
            )
        reads = not READING.isdisjoint(stages)
        job = Job(materialise(experiment, make=reads), store)
        identity.require_same(experiment, store)
        if reads:
            job.check()
        on_ray = set(stages) - ({"ranking"} if experiment.ranker.fit == "fast" else set())
        resources = {key: getattr(experiment, key).resources for stage, key in ON_RAY.items() if stage in on_ray}
        if resources:
            import ray

            from lms_ray.cluster import head
            from lms_ray.cluster.connecting import connect
            from lms_ray.cluster.nodes import watched
            from lms_ray.cluster.resources import address_of, is_local

            stack.enter_context(connect(experiment.cluster, **resources))
            stack.enter_context(head.watched(address_of(experiment.cluster), partial(store.hasty().delete, claim)))
            signal.signal(signal.SIGTERM, _stop)  # Ray has taken it over
            if not is_local(experiment.cluster):
                folders = job.standard.folders if reads and experiment.sweep.checkpoints else ()
                stack.enter_context(watched(store, folders, resources))
            store.write_json(identity.PROVENANCE, provenance.collect(ray.cluster_resources()))
        if stages != ("report",):
            store.write_bytes(identity.CONFIGURATION, to_yaml(experiment.absolute()).encode())
        for stage in stages:
            started = time.monotonic()
            _stage(stage)(job)
            say(stage, f"finished in {time.monotonic() - started:.1f} s")


def _refuse_uploaded(store: "Store") -> None:
    """Refuse to keep an experiment beside a submitted job's code: other nodes do not see it, and Ray deletes it."""
    if store.is_local and UPLOADED in Path(store.root).parts:
        raise ConfigError(
            f"storage: found {store.where()}, in the uploaded code of the job; accepted is a bucket, such as "
            "storage=s3://bucket/runs, or the whole path of a folder that all nodes share"
        )


def _stage(name: str) -> "Callable[[Job], None]":
    return import_module(f"lms_ray.{name}").run


def _parser(stage: str | None) -> argparse.ArgumentParser:
    if stage:
        parser = argparse.ArgumentParser(prog=f"python -m lms_ray.{stage}", description=f"{(STAGES | EXTRA)[stage]}.")
        return _with_configuration(parser, only=stage == "sweep")
    parser = argparse.ArgumentParser(
        prog="lms-ray", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"lms-ray {lms_ray.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, purpose in (STAGES | EXTRA | LOOKING).items():
        of_verb = verbs.add_parser(verb, help=purpose, description=f"{purpose}.")
        _with_configuration(of_verb, only=verb == "sweep")
        if verb == "plan":
            of_verb.add_argument("--like", metavar="PATH", help="take measured times from this experiment's folder")
    purpose = "progress, cost and how to go on, from an experiment's folder alone"
    status = verbs.add_parser("status", help=purpose, description=f"{purpose}.")
    status.add_argument("path", metavar="PATH", help="folder of an experiment, local path or URI")
    status.add_argument("--candidates", action="store_true", help="list each candidate, however many they are")
    status.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=10.0,
        metavar="SECONDS",
        help="look again every 10 s, until it is done",
    )
    purpose = "how an experiment's picks for use did, by labels of a target that came later"
    verify = verbs.add_parser("verify", help=purpose, description=f"{purpose}.")
    verify.add_argument("path", metavar="PATH", help="folder of an experiment, local path or URI")
    verify.add_argument("--target", required=True, metavar="LANG", help="a target of it, labelled before or not")
    verify.add_argument(
        "--labels", required=True, metavar="FILE", help="labelled file of that language, in the experiment's own format"
    )
    purpose = "where checkpoints that were not in a finished experiment's pool stand beside it"
    rank = verbs.add_parser("rank", help=purpose, description=f"{purpose}.")
    rank.add_argument("path", metavar="PATH", help="folder of an experiment, local path or URI")
    rank.add_argument("overrides", nargs="*", metavar="key=value", help="override one key, such as data.root=/data")
    rank.add_argument(
        "--checkpoint", nargs="+", required=True, metavar="FOLDER", help="folder of a model, local path or URI"
    )
    rank.add_argument(
        "--target", nargs="+", default=[], metavar="LANG", help="pick for these only, not for all of its targets"
    )
    purpose = "the model to use for a target, as a folder of transformers with a model card"
    export = verbs.add_parser("export", help=purpose, description=f"{purpose}.")
    export.add_argument("path", metavar="PATH", help="folder of an experiment, local path or URI")
    export.add_argument("--target", required=True, metavar="LANG", help="a target of it, labelled or not")
    export.add_argument("--selector", metavar="RULE", help="its pick, not that of the rule that the report follows")
    export.add_argument("--to", required=True, metavar="FOLDER", help="a new folder, local path or URI")
    export.add_argument("--onnx", action="store_true", help="write it as ONNX too; wants lms-ray[onnx]")
    purpose = "list the job files that come with the package, or copy some and what they build on"
    jobs = verbs.add_parser("jobs", help=purpose, description=f"{purpose}.")
    jobs.add_argument("names", nargs="*", metavar="NAME", help="job to copy, such as pos-ud or 'ner-*'; none lists all")
    jobs.add_argument("--to", default="jobs", metavar="FOLDER", help="folder to copy into; ./jobs if left out")
    purpose = "the paper's tables and Figure 2 from the folders of finished experiments"
    tables = verbs.add_parser("tables", help=purpose, description=f"{purpose}.")
    tables.add_argument("folders", nargs="+", metavar="FOLDER", help="folder of an experiment, local path or URI")
    tables.add_argument("--paper", metavar="FILE", help="JSON file with the paper's numbers, to stand beside ours")
    tables.add_argument("--to", required=True, metavar="FOLDER", help="folder to write into, local path or URI")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted is a number of seconds above 0")
    return seconds


def _with_configuration(parser: argparse.ArgumentParser, only: bool) -> argparse.ArgumentParser:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="YAML file or preset; none is the quickstart")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override one key, such as sweep.seeds=2")
    if only:
        parser.add_argument("--only", action="store_true", help="stop after the sweep")
    return parser


def _failed(error: Exception, status: int) -> int:
    print(f"error: {without_credentials(str(error))}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
