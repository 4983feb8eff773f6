"""A container registry in this process, for what a real one does rarely: tokens, refusals, broken connections."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeRegistry:
    """What a registry has, how it behaves, and what it was asked.

    Attributes:
        account: user and password, which the registry's service of tokens asks for; None lets everybody in.
        basic: ask for the account itself, and not for a token.
        knows_referrers: whether the registry has the API of referrers.
        keeps_uploads: refuse to give up an upload.
        cuts: break off instead of answering requests of this method.
        status: answer all requests of a method with this status.
        changes: send this in place of every file and document.
    """

    account: tuple[str, str] | None = None
    basic: bool = False
    knows_referrers: bool = False
    keeps_uploads: bool = False
    cuts: str | None = None
    status: dict[str, int] = field(default_factory=dict)
    changes: bytes | None = None
    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """Return what refers to a manifest, as the registry's API lists it."""
        listed = []
        for name, (data, kind) in self.manifests.items():
            facts = json.loads(data)
            if name.startswith("sha256:") and (facts.get("subject") or {}).get("digest") == digest:
                listed.append(
                    {"mediaType": kind, "digest": name, "size": len(data), "artifactType": facts["artifactType"]}
                )
        return listed


@contextmanager
def served(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    """Serve a registry on a free port of this machine for the length of a ``with`` block."""

    class Handler(_Handler):
        fake = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeRegistry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _is_let_in(self) -> bool:
        account, given = self.fake.account, self.headers.get("Authorization", "")
        if account is None:
            return True
        login = f"Basic {base64.b64encode(':'.join(account).encode()).decode()}"
        if given == (login if self.fake.basic else "Bearer a-token"):
            return True
        realm = f'Bearer realm="http://{self.fake.address}/token",service="fake",scope="repository:shop/x:pull,push"'
        self._answer(401, b"{}", WWW_Authenticate='Basic realm="fake"' if self.fake.basic else realm)
        return False

    def _token(self) -> None:
        login = self.headers.get("Authorization", "").removeprefix("Basic ")
        account = self.fake.account or ("", "")
        if base64.b64decode(login).decode() == ":".join(account):
            self._answer(200, b'{"token": "a-token"}')
        else:
            self._answer(401, b"{}")

    def do_GET(self) -> None:
        fake, path = self.fake, urlsplit(self.path).path
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fake.asked.append(f"{self.command} {path}")
        if path == "/token":
            self._token()
            return
        if fake.cuts == self.command:
            self.close_connection = True
            return
        if self.command in fake.status:
            words = {"errors": [{"code": "X", "message": "the disk is on fire"}]}
            self._answer(fake.status[self.command], json.dumps(words).encode())
            return
        if self._is_let_in():
            self._serve_content(path.removeprefix("/v2/shop/x/"), data)

    def _serve_content(self, path: str, data: bytes) -> None:
        fake, (kind, _, name) = self.fake, path.partition("/")
        if self.command == "DELETE":
            self._answer(405 if self.fake.keeps_uploads else 204)
        elif self.command == "POST":
            self._answer(202, Location="/v2/shop/x/blobs/uploads/1?state=a")
        elif self.command == "PUT" and kind == "blobs":
            digest = parse_qs(urlsplit(self.path).query)["digest"][0]
            fake.blobs[digest] = data
            right = digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
            self._answer(201 if right else 400)
        elif self.command == "PUT":
            media_type = self.headers.get("Content-Type", "")
            for each in (name, f"sha256:{hashlib.sha256(data).hexdigest()}"):
                fake.manifests[each] = data, media_type
            subject = json.loads(data).get("subject")
            self._answer(201, **({"OCI_Subject": subject["digest"]} if subject and fake.knows_referrers else {}))
        elif kind == "referrers" and fake.knows_referrers:
            self._answer(200, json.dumps({"manifests": fake.referrers(name)}).encode())
        elif kind == "manifests" and name in fake.manifests:
            content, media_type = fake.manifests[name]
            self._answer(200, fake.changes or content, Content_Type=media_type)
        elif kind == "blobs" and name in fake.blobs:
            self._answer(200, fake.changes or fake.blobs[name])
        else:
            self._answer(404, b'{"errors": [{"code": "UNKNOWN", "message": "unknown"}]}')


for _method in ("DELETE", "HEAD", "POST", "PUT"):
    setattr(_Handler, f"do_{_method}", _Handler.do_GET)
