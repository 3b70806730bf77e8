"""A server on this machine that stands in for the Hugging Face hub: the few addresses needed.

Repositories are kept in memory, each as its files by their names.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """What is on the hub, and what was asked of it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.fetched: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def standing_hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._tell("/".join(parts[2:4]), what=parts[4] if len(parts) > 4 else "revision")
        elif "resolve" in parts:
            place = parts.index("resolve")
            self._send_file("/".join(parts[:place]), "/".join(parts[place + 2 :]))
        else:
            self._send(404, {"error": "not found"})

    def do_POST(self) -> None:
        self.server.tokens.add(self.headers.get("Authorization"))
        body = self._body()
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif parts == ["api", "validate-yaml"]:
            self._send(200, {"errors": [], "warnings": []})
        elif "preupload" in parts:
            files = [
                {**file, "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for file in json.loads(body)["files"]
            ]
            self._send(200, {"files": files})
        elif "commit" in parts:
            self._commit("/".join(parts[2:4]), body)
        else:
            self._send(404, {"error": "not found"})

    def _create(self, asked: dict[str, Any]) -> None:
        name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
        self.server.created.append(asked)
        url = f"{self.server.address}/{name}"
        if name in self.server.repositories:
            self._send(409, {"error": "You already created this model repo", "url": url})
            return
        self.server.repositories[name] = {}
        self._send(200, {"url": url, "id": name, "name": name})

    def _commit(self, name: str, body: bytes) -> None:
        for line in body.split(b"\n"):
            entry = json.loads(line or b"{}")
            if entry.get("key") == "file":
                data = base64.b64decode(entry["value"]["content"])
                self.server.repositories[name][entry["value"]["path"]] = data
        url = f"{self.server.address}/{name}/commit/{SHA}"
        self._send(200, {"success": True, "commitOid": SHA, "commitUrl": url, "hookOutput": ""})

    def _tell(self, name: str, *, what: str) -> None:
        files = self.server.repositories.get(name)
        if files is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif what == "tree":
            tree = [
                {"type": "file", "path": path, "size": len(data), "oid": _hash(data)}
                for path, data in files.items()
            ]
            self._send(200, tree)
        else:
            siblings = [{"rfilename": path} for path in files]
            self._send(
                200, {"id": name, "modelId": name, "sha": SHA, "siblings": siblings, "tags": []}
            )

    def _send_file(self, name: str, path: str) -> None:
        data = self.server.repositories.get(name, {}).get(path)
        if data is None:
            self._send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        self.server.fetched.append(path)
        self._answer(200, data, {"ETag": f'"{_hash(data)}"', "X-Repo-Commit": SHA})

    def _send(self, code: int, content: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self._answer(code, data, {"Content-Type": "application/json", **(headers or {})})

    def _answer(self, code: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


def _hash(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
