"""Object stores on this machine: a real S3 server and a GCS one, each for as long as a block lasts.

Other processes of this machine may use them as well.
"""

import itertools
import logging
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

BUCKET = "bucket"

Roots = Callable[..., str]
Fault = Literal["500", "503", "forbid", "cut", "cut short", "hang"]
"""What a server does in place of an answer: says that it has failed, is busy, or may not; hangs up at once or in the
middle of its answer; is silent."""
SAID = {
    "500": ("500 Internal Server Error", "InternalError"),
    "503": ("503 Slow Down", "SlowDown"),
    "forbid": ("403 Forbidden", "AccessDenied"),
}


class S3:
    """A real S3 server (moto's), in a thread of this process.

    `s3("runs")` is the URI of a folder `runs` in an empty place, another one at each call. It carries credentials; with
    `credentials=""` it carries none, and wants `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment.
    """

    def __init__(self):
        # Half a second, only where it is needed.
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.asked = 0
        """Requests that a fault has met."""
        self._faults: list[tuple[Fault, str, str, threading.Event]] = []
        self._moto, self._turn = DomainDispatcherApplication(create_backend_app), threading.Lock()
        self._number = itertools.count()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        bucket = urllib.request.Request(f"http://127.0.0.1:{self.server.server_port}/{BUCKET}", method="PUT")
        urllib.request.urlopen(bucket).close()

    def __call__(self, folder: str = "", credentials: str = "key:secret@") -> str:
        options = f"region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{self.server.server_port}"
        return f"s3://{credentials}{BUCKET}/{next(self._number)}/{folder}?{options}"

    @contextmanager
    def failing(self, fault: Fault, method: str = "", path: str = "") -> Iterator[None]:
        """Fail for as long as the block lasts: all requests, or those of a method to what has `path` in its name."""
        healed = threading.Event()
        self.asked = 0
        self._faults.append((fault, method, path, healed))
        try:
            yield
        finally:
            self._faults.pop()
            healed.set()

    def _answer(self, environ: Any, start_response: Any) -> list[bytes]:
        for fault, method, path, healed in self._faults:
            if method in environ["REQUEST_METHOD"] and path in environ["PATH_INFO"]:
                self.asked += 1
                return self._fail(fault, healed, environ, start_response)
        with self._turn:  # S3's requests are atomic; moto's are not: a read fails while the object is written anew
            return list(self._moto(environ, start_response))

    def _fail(self, fault: Fault, healed: threading.Event, environ: Any, start_response: Any) -> list[bytes]:
        if fault == "hang":
            healed.wait()
        if fault in ("hang", "cut"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        if fault == "cut short":
            with self._turn:
                (answer,) = list(self._moto(environ, start_response))
            return [answer[: len(answer) // 2]]  # of as many bytes as the header says
        status, code = SAID[fault]
        start_response(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()]


@contextmanager
def s3_server() -> Iterator[S3]:
    """An S3 server for as long as the block lasts."""
    s3 = S3()
    try:
        yield s3
    finally:
        s3.server.shutdown()


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
