"""A command line whose options may stand anywhere, and whose errors are one line that says what is accepted."""

import argparse
import difflib
import sys
from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """As argparse's; options may stand before, between and after what has no name, also those of a verb."""

    verbs: Collection[str] = ()
    """Of which the first word is to be one; the parser of each verb takes the rest."""
    is_at_it = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Take the options first, then what has no name; what is left is refused."""
        words = sys.argv[1:] if args is None else list(args)
        if self.verbs:
            self._require_verb(words)
        if self.verbs or self.is_at_it:
            return super().parse_known_args(words, namespace)
        self.is_at_it = True  # argparse takes one after the other by calling this twice
        try:
            namespace, left = self.parse_known_intermixed_args(self._with_values(words), namespace)
        finally:
            self.is_at_it = False
        if left:
            self.error(f"found {left[0]!r}, which has no place here")
        return namespace, []

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong and what is accepted; the exit status is 2."""
        usage = " ".join(self.format_usage().split()[1:])
        self.exit(2, f"error: {message}" + f"; accepted is: {usage}" * ("accepted" not in message) + "\n")

    def _require_verb(self, words: Sequence[str]) -> None:
        found = words[0] if words else ""
        if found in self.verbs or found.startswith("-"):
            return
        close = difflib.get_close_matches(found, self.verbs, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        self.error(f"VERB: found {repr(found) if words else 'none'}; accepted are {', '.join(self.verbs)}{hint}")

    def _with_values(self, words: Sequence[str]) -> list[str]:
        """The words; where an option may go without its value, the next one is taken for it only if it can be."""
        lone = {name: one for one in self._actions if one.nargs == argparse.OPTIONAL for name in one.option_strings}
        return [
            f"{word}={lone[word].const}" if word in lone and not _takes(lone[word], following) else word
            for word, following in zip_longest(words, words[1:])
        ]


def _takes(action: argparse.Action, word: str | None) -> bool:
    """Whether a word can be the value of an option."""
    if word is None or not callable(action.type):
        return True
    try:
        action.type(word)
    except (argparse.ArgumentTypeError, ValueError):
        return False
    return True
