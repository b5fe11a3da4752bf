"""The command line: one stage, or the whole road.

    lms-ray sweep [CONFIG] [key=value ...]     the main job: every stage in turn; --only stops after the sweep
    lms-ray features|ranking|selection|report [CONFIG] [key=value ...]     one stage again
    lms-ray ablation [CONFIG] [key=value ...]  what the ranker's inputs are worth; needs features
    lms-ray curves [CONFIG] [key=value ...]    how many candidates, pivots, sentences it takes; needs features
    lms-ray soups [CONFIG] [key=value ...]     what averages of weights are worth; needs ranking, and a shared head
    lms-ray plan [CONFIG] [key=value ...]      what would run, with every check that needs no cluster; writes nothing
    lms-ray config [CONFIG] [key=value ...]    the resolved configuration, each key with its documentation
    lms-ray status PATH [--watch [SECONDS]]    progress, cost and how to go on, from an experiment's folder alone
    lms-ray verify PATH --target LANG --labels FILE    how its picks for use did, by labels that came later
    lms-ray rank PATH [key=value ...] --checkpoint FOLDER ... [--target LANG ...]
                                               where checkpoints that were not in the pool stand beside it
    lms-ray export PATH --target LANG --to FOLDER [--selector RULE] [--onnx]
                                               the model to use for a target, with a model card
    lms-ray jobs [NAME ...] [--to FOLDER]      the job files that come with this: a list, or copies
    lms-ray tables FOLDER ... --to FOLDER      the paper's tables and Figure 2 from experiments' folders alone

CONFIG is a YAML file or a preset, and the quickstart if left out; options may stand anywhere behind the verb.
`python -m lms_ray.sweep` is `lms-ray sweep`. In a terminal stages and `status --watch` show bars; in a file or a pipe,
with TERM=dumb or with CI set, lines.
"""

import argparse
import os
import signal
import sys
import threading
import traceback
from importlib import import_module
from typing import Any

import lms_ray
from lms_ray.arguments import Parser
from lms_ray.data import DataError
from lms_ray.settings.errors import ConfigError, JobError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.settings.uris import without_credentials

INTERRUPTED = "interrupted; the same command goes on from here"
STAGES = {
    "sweep": "fine-tune every candidate, then go on through every other stage",
    "features": "pass every corpus through every candidate",
    "ranking": "fit the rankers",
    "selection": "pick a candidate for every target",
    "report": "print the table and write the page",
}
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
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(143 if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else 130)
    except JobError as error:
        sys.exit(_failed(error, 1))
    except BrokenPipeError:  # whoever reads has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _was_interrupted(error):
            print(INTERRUPTED, file=sys.stderr)
            sys.exit(130)
        print(without_credentials(traceback.format_exc()), end="", file=sys.stderr)
        sys.exit(1)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: an import that it cuts off may fail with any."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _stop(*_: Any) -> None:
    """Answer SIGTERM (`ray job stop`, `kubectl delete`) as Ctrl-C, and no second time while things are tidied up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt  # Ray hands on no other exception of a signal


def _do(verb: str, arguments: argparse.Namespace) -> None:
    """Run one verb; slow imports come after the configuration has been accepted."""
    if verb == "status":
        if arguments.watch is None:
            from lms_ray.pages.status import show_status

            show_status(arguments.path, arguments.candidates)
        else:
            from lms_ray.pages.watch import watch

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
        words = [*arguments.overrides, *filter(_is_override, [*arguments.checkpoint, *arguments.target])]
        checkpoints, targets = (
            [word for word in of_option if not _is_override(word)]
            for of_option in (arguments.checkpoint, arguments.target)
        )
        import_module("lms_ray.rank").rank(arguments.path, checkpoints, targets, words)
        return
    experiment = load(*_configuration(arguments))
    if verb == "config":
        from lms_ray.settings.documented import documented

        print(documented(experiment), end="")
    elif verb == "plan":
        from lms_ray.pages.plan import show_plan

        show_plan(experiment, arguments.like)
    else:
        from lms_ray.driver import run

        run(experiment, tuple(STAGES) if verb == "sweep" and not arguments.only else (verb,))


def _parser(stage: str | None) -> Parser:
    if stage:
        parser = Parser(prog=f"python -m lms_ray.{stage}", description=f"{(STAGES | EXTRA)[stage]}.")
        return _with_configuration(parser, only=stage == "sweep")
    parser = Parser(prog="lms-ray", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"lms-ray {lms_ray.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    parser.verbs = verbs.choices  # as they are added
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
    purpose = "folder of a model, local path or URI"
    rank.add_argument("--checkpoint", nargs="+", action="extend", required=True, metavar="FOLDER", help=purpose)
    purpose = "pick for these only, not for all of its targets"
    rank.add_argument("--target", nargs="+", action="extend", default=[], metavar="LANG", help=purpose)
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


def _configuration(arguments: argparse.Namespace) -> tuple[str | None, list[str]]:
    """CONFIG, and the overrides; it is the first word if that is no override, or the only one that is none."""
    words = [arguments.config, *arguments.overrides] if arguments.config else []
    plain = [word for word in words if "=" not in word]
    config = plain[0] if plain and (len(plain) == 1 or words[0] == plain[0]) else None
    if config:
        words.remove(config)
    return config, words


def _is_override(word: str) -> bool:
    """Whether it is `key=value` of an experiment, where it might be a path or a language as well."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key.partition(".")[0] in Experiment.model_fields


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"found {text!r}; accepted is a number of seconds above 0")
    return seconds


def _with_configuration(parser: Parser, only: bool) -> Parser:
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
