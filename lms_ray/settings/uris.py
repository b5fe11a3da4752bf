"""URIs that name keys (`s3://KEY:SECRET@bucket/runs`): what is written, printed or compared has none.

Whoever goes on with an experiment gives the keys again, in the URI or by the environment; they may have changed since.
"""

import re

# Up to the last @ of the authority; a key with a / in it, which no URI may have unescaped, is hidden all the same.
USER_INFO = re.compile(r"(:/{1,3})(?!anonymous@)(?:[^/?\s'\"]*@|[^/?@:\s'\"]*:(?!\d+/)[^?\s'\"]*@)")
# Of Azure's, the only ones of pyarrow's options that are secret. The name stays, to say that something was there.
SECRET_OPTION = re.compile(r"([?&](?:client_secret|sas_token)=)[^&\s'\"]*", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """A URI, or a text with some in it, without user names, keys and secret options."""
    return SECRET_OPTION.sub(r"\1", USER_INFO.sub(r"\1", text))


def with_credentials_of(uri: str, given: str) -> str:
    """A URI that was written without credentials, with those of a URI that is given today."""
    if "://" not in uri or "://" not in given:
        return uri
    user_info = USER_INFO.match(given, given.index("://"))
    scheme, _, place = uri.partition("?")[0].partition("://")
    options = given.partition("?")[2]
    return f"{scheme}{user_info[0] if user_info else '://'}{place}{'?' if options else ''}{options}"
