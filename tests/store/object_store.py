"""A small S3 on this machine: an object appears when its upload ends, nothing is renamed, a write may be refused."""

import hashlib
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape


class ObjectStore(ThreadingHTTPServer):
    """Speaks as much of S3's protocol as pyarrow does."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Requests)
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.refused = ""  # a name in this is answered with 403 where it is written
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def uri(self, path: str) -> str:
        """Of a folder in the one bucket."""
        return f"s3://key:secret@bucket/{path}?region=eu&scheme=http&endpoint_override=127.0.0.1:{self.server_port}"


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer of two pieces would wait for the client's delayed acknowledgement
    server: ObjectStore

    def log_message(self, *_: object) -> None:
        pass

    def _parsed(self) -> tuple[str, dict[str, str], bytes]:
        url = urlsplit(self.path)
        options = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _unchunked(body)
        return unquote(url.path).lstrip("/").partition("/")[2], options, body

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def do_HEAD(self) -> None:
        key, _, _ = self._parsed()
        if not key:
            self._answer(200)
        elif found := self.server.objects.get(key):
            content, modified = found
            self._answer(200, Content_Length=str(len(content)), Last_Modified=formatdate(modified, usegmt=True))
        else:
            self._answer(404)

    def do_GET(self) -> None:
        key, options, _ = self._parsed()
        if "list-type" in options:
            self._list(options)
        elif not (found := self.server.objects.get(key)):
            self._error(404, "NoSuchKey")
        else:
            content, modified = found
            status, dated = 200, {"Last_Modified": formatdate(modified, usegmt=True)}
            if span := self.headers.get("Range"):
                first, last = span.removeprefix("bytes=").split("-")
                total, content, status = len(content), content[int(first) : int(last) + 1], 206
                dated["Content_Range"] = f"bytes {first}-{int(first) + len(content) - 1}/{total}"
            self._answer(status, content, **dated)

    def _list(self, options: dict[str, str]) -> None:
        prefix, delimiter = options.get("prefix", ""), options.get("delimiter", "")
        contents, folders = "", set()
        for key, (content, modified) in sorted(self.server.objects.items()):
            if not key.startswith(prefix):
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders.add(f"{prefix}{head}/")
                continue
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(modified)) + f".{int(modified % 1 * 1000):03d}Z"
            contents += (
                f"<Contents><Key>{escape(key)}</Key><LastModified>{stamp}</LastModified>"
                f"<Size>{len(content)}</Size></Contents>"
            )
        contents += "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        count = contents.count("<Key>") + len(folders)
        self._answer(
            200,
            f"<ListBucketResult><KeyCount>{count}</KeyCount><IsTruncated>false</IsTruncated>{contents}"
            "</ListBucketResult>".encode(),
        )

    def do_PUT(self) -> None:
        key, options, body = self._parsed()
        if self.server.refused and self.server.refused in key:
            self._error(403, "AccessDenied")
            return
        if "partNumber" in options:
            self.server.parts[options["uploadId"]][int(options["partNumber"])] = body
        elif key:
            self.server.objects[key] = body, time.time()
        self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_POST(self) -> None:
        key, options, body = self._parsed()
        if "uploads" in options:
            self.server.parts[upload := str(len(self.server.parts))] = {}
            xml = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        elif "uploadId" in options:
            parts = self.server.parts[options["uploadId"]]
            self.server.objects[key] = b"".join(parts[number] for number in sorted(parts)), time.time()
            xml = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        else:  # several to delete
            for element in ElementTree.fromstring(body).iter():
                if element.tag.endswith("Key"):
                    self.server.objects.pop(element.text or "", None)
            xml = "<DeleteResult></DeleteResult>"
        self._answer(200, xml.encode())

    def do_DELETE(self) -> None:
        key, _, _ = self._parsed()
        self.server.objects.pop(key, None)
        self._answer(204)


def _unchunked(body: bytes) -> bytes:
    """Content of an upload whose chunks are each headed by their size and signature."""
    content = b""
    while body:
        head, _, body = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        content, body = content + body[:size], body[size + 2 :]
    return content
