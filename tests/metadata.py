"""The metadata services of AWS and Google Cloud on this machine, as their documentation has them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NO = "FALSE"


class Service:
    """What a service knows; tests change it while it answers."""

    def __init__(self, url: str):
        self.url = url
        self.asked: list[str] = []
        self.changed = threading.Condition()
        self.fault = ""
        """`error`, `garbage`, `hangs` or `slow`: how it misbehaves until further notice."""

    def aws(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        """No answer of EC2's: it is another machine."""
        return 404, "", {}

    google = aws


class EC2(Service):
    """Version 2: a token is made by PUT, and everything else wants it."""

    def __init__(self, url: str):
        super().__init__(url)
        self.tokens: dict[str, float] = {}
        """Until when each is accepted."""
        self.said: dict[str, str] = {}

    def take(self, seconds: float, action: str = "terminate") -> None:
        """Give the notice."""
        at = datetime.fromtimestamp(time.time() + seconds, UTC)
        self.said["spot/instance-action"] = json.dumps({"action": action, "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"})

    def aws(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        if path == "/latest/api/token":
            if method != "PUT":
                return 405, "", {}
            seconds = int(headers.get("x-aws-ec2-metadata-token-ttl-seconds", "0"))
            if not 1 <= seconds <= 21600:
                return 400, "", {}
            token = f"token{len(self.tokens)}"
            self.tokens[token] = time.monotonic() + seconds
            return 200, token, {}
        if time.monotonic() > self.tokens.get(headers.get("x-aws-ec2-metadata-token", ""), 0.0):
            return 401, "", {}
        found = self.said.get(path.removeprefix("/latest/meta-data/"))
        return (404, "", {}) if found is None else (200, found, {})


class ComputeEngine(Service):
    """Wants a header with every question, gives one with every answer, and can wait for a change."""

    def __init__(self, url: str):
        super().__init__(url)
        self.said = {"id": "4711", "preempted": NO, "maintenance-event": "NONE"}

    def say(self, key: str, value: str) -> None:
        """Change a value, of which those are told that wait."""
        with self.changed:
            self.said[key] = value
            self.changed.notify_all()

    def google(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        if headers.get("metadata-flavor") != "Google":
            return 403, "", {}
        url = urlsplit(path)
        key, options = url.path.removeprefix("/computeMetadata/v1/instance/"), parse_qs(url.query)
        if key not in self.said:
            return 404, "", {"Metadata-Flavor": "Google"}
        with self.changed:
            if options.get("wait_for_change") == ["true"]:
                last = options.get("last_etag", [self._etag(key)])[0]
                self.changed.wait_for(lambda: self._etag(key) != last, float(options["timeout_sec"][0]))
            return 200, self.said[key], {"Metadata-Flavor": "Google", "ETag": self._etag(key)}

    def _etag(self, key: str) -> str:
        return f"{hash((key, self.said[key])) & 0xFFFFFFFF:x}"


@contextmanager
def serving(kind: type[Service]) -> Iterator[Service]:
    """A running service."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.append(f"{self.command} {self.path}")
            match service.fault:
                case "hangs":
                    stopped.wait(30)
                    return
                case "slow":
                    stopped.wait(0.5)
                case "garbage":
                    self.wfile.write(b"<html>not HTTP at all")
                    return
                case "error":
                    self.send_error(503)
                    return
            headers = {key.lower(): value for key, value in self.headers.items()}
            answer = service.google if self.path.startswith("/computeMetadata/") else service.aws
            status, text, more = answer(self.path, self.command, headers)
            self.send_response(status)
            for key, value in more.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    stopped = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = kind(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
