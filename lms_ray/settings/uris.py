"""URIs that name keys (`s3://KEY:SECRET@bucket/runs`): what is written, printed or compared has none.

Whoever goes on with an experiment gives the keys again, in the URI or by the environment; they may have changed since.
"""

import re

USER_INFO = re.compile(
    r"""
    (:/{1,3})           # with a slash too few or too many it names keys all the same
    (?!anonymous@)      # which is no key
    (?:
        [^/?\s'"]*@     # up to the last @ before a slash
        # What no URI may have unescaped is hidden as well: a secret with a slash in it (host:9000/me@home has none),
        | [^/?@:\s'"]*:(?!\d+/)[^?\s'"]*@
        # or with a space in it; "s3://bucket: ..." and "http://host:9000, ..." go on in words.
        | [^/?@:\s'"]*:(?!\d+\b|\s)[^?@\n'"]*@
    )
    """,
    re.VERBOSE,
)
# Of pyarrow's options these are client_secret and sas_token, but people try others. The name stays, to say that
# something was there.
SECRET_OPTION = re.compile(
    r"([?&][a-z_.-]*(?:secret|token|key|sig|password|credential)[a-z_.-]*=)[^&\s'\"]*", re.IGNORECASE
)


def split(path: str) -> tuple[str, str]:
    """A URI without its options, and these with their `?`; a local path has none, whatever is in it.

    split("s3://bucket/runs?region=eu")  # "s3://bucket/runs", "?region=eu"
    """
    plain, question, options = path.partition("?") if "://" in path else (path, "", "")
    return plain, question + options


def without_credentials(text: str) -> str:
    """A URI, or a text with some in it, without user names, keys and secret options."""
    return SECRET_OPTION.sub(r"\1", USER_INFO.sub(r"\1", text))


def with_credentials_of(uri: str, given: str) -> str:
    """A URI that was written without credentials, with those of a URI that is given today."""
    if "://" not in uri or "://" not in given:
        return uri
    user_info = USER_INFO.match(given, given.index("://"))
    scheme, _, place = split(uri)[0].partition("://")
    return f"{scheme}{user_info[0] if user_info else '://'}{place}{split(given)[1]}"
