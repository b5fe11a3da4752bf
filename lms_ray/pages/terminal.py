"""Text for a terminal or a log, whatever characters it can show."""

import codecs
import sys

PLAIN = {"Δ": "delta", "✓": "+", "·": "-"}  # any other is shown by its code, as in \xe9


def show(text: str) -> None:
    """Print text, in characters that stdout can show."""
    print(readable(text), flush=True)


def readable(text: str) -> str:
    """The text with a stand-in for each character that stdout cannot show: tables are to be laid out with it."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "lms_ray.readable").decode(encoding)


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    plain = (PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in characters)
    return "".join(plain), error.end


codecs.register_error("lms_ray.readable", _stand_in)
