"""Commands that pages show, to be copied into a shell."""

import shlex


def export_command(path: str, target: str) -> str:
    """The command that copies the model to use for a target into a new folder, which is named after both."""
    folder = f"{path.rstrip('/').rpartition('/')[2]}-{target}"
    return f"lms-ray export {shlex.quote(path)} --target {shlex.quote(target)} --to {shlex.quote(folder)}"
