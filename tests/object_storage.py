"""Object stores on this machine: a real S3 server and a GCS one, each for as long as a block lasts.

Other processes of this machine may use them as well.
"""

import itertools
import logging
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "bucket"

Roots = Callable[..., str]


@contextmanager
def s3_server() -> Iterator[Roots]:
    """Start an S3 server; what it gives makes the URI of an empty folder, another one at each call.

    `root("runs")` is a folder `runs` in it. It carries credentials; with `credentials=""` it carries none, and wants
    `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment.
    """
    from moto.server import DomainDispatcherApplication, create_backend_app  # half a second, only where it is needed
    from werkzeug.serving import make_server

    moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> list[bytes]:
        with turn:  # S3's requests are atomic; moto's are not: a read fails while the object is written anew
            return list(moto(environ, start_response))

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")).close()
    number = itertools.count()

    def root(folder: str = "", credentials: str = "key:secret@") -> str:
        options = f"region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{port}"
        return f"s3://{credentials}{BUCKET}/{next(number)}/{folder}?{options}"

    try:
        yield root
    finally:
        server.shutdown()


@contextmanager
def gcs_server() -> Iterator[Roots]:
    """Start a server of Google Cloud Storage; what it gives makes the URI of an empty folder, as above."""
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    port = server._api._httpd.server_port  # it was asked for any free one, and says which nowhere else
    number = itertools.count()

    def root(folder: str = "") -> str:
        options = f"scheme=http&endpoint_override=127.0.0.1:{port}&retry_limit_seconds=5"
        return f"gs://anonymous@{BUCKET}/{next(number)}/{folder}?{options}"

    try:
        yield root
    finally:
        server.stop()
