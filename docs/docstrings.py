"""An extension of griffe, which reads the docstrings: `Example:` is the section that it knows as `Examples:`."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Shows what an example says as code and output; otherwise its prompts would be read as quotations."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the section before the docstring is parsed."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
