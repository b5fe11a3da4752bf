"""Text for a terminal or a log, whatever characters it can show."""

import codecs
import os
import sys

PLAIN = {"Δ": "delta", "✓": "+", "·": "-"}  # any other is shown by its code, as in \xe9


def show(text: str) -> None:
    """Print text, in characters that stdout can show."""
    print(readable(text), flush=True)


def readable(text: str) -> str:
    """The text with a stand-in for each character that stdout cannot show: tables are to be laid out with it."""
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # while there are bars, what stands for it has none
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "lms_ray.readable").decode(encoding)


def can_redraw() -> bool:
    """Whether stdout is a terminal on which somebody may see a line change; not a file, a pipe, or the log of a CI."""
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown", "") or os.environ.get("CI", "") not in ("", "0", "false"):
        return False
    return sys.stdout.isatty()


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    plain = (PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in characters)
    return "".join(plain), error.end


codecs.register_error("lms_ray.readable", _stand_in)
