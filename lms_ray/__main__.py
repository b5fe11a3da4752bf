"""`lms-ray`, and `python -m lms_ray`: what imports takes a second, in which Ctrl-C ends it without a word."""

import signal


def main() -> None:
    """Run the command line."""
    is_heard = signal.getsignal(signal.SIGINT) == signal.default_int_handler
    if is_heard:  # nothing is there yet to be tidied up, and an import that is interrupted fails with any error
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lms_ray import cli

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
