"""A Kubernetes API server of RayJobs alone, on this machine: it keeps what the CRD's schema and rules allow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.support.kube.schema import rule_problems, schema_problems


class ApiServer:
    """What it keeps, and what it was asked."""

    def __init__(self, token: str) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.token = token
        self.fails = 0
        """With this status, when it is not 0."""
        self.going: set[str] = set()
        """Jobs that are deleted, and go with the next question: their pods end first."""

    def say(self, name: str, deployment: str, job: str = "", message: str = "") -> None:
        """What the operator would write into a job's status."""
        status = {"jobDeploymentStatus": deployment, "jobStatus": job, "message": message}
        self.jobs[name]["status"] = status

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and document."""
        self.asked.append(f"{method} {path}")
        if self.fails:
            return self.fails, _status(self.fails, "told to")
        prefix = "/apis/ray.io/v1/namespaces/lakeray/rayjobs"
        name = path.partition("?")[0].removeprefix(prefix).strip("/")
        if not path.startswith(prefix):
            return 404, _status(404, "no such place")
        if method == "POST":
            return self._create(body)
        if name not in self.jobs:
            return 404, _status(404, f'rayjobs.ray.io "{name}" not found')
        if method == "DELETE":
            meant = ((body or {}).get("preconditions") or {}).get("uid")
            if meant not in (None, self.jobs[name]["metadata"]["uid"]):
                return 409, _status(409, "the uid in the precondition is another's")
            self.going.add(name)
            return 200, _status(200, "")
        found = self.jobs[name]
        if name in self.going:
            self.going.discard(name)
            del self.jobs[name]
        return 200, found

    def _create(self, body: Any) -> tuple[int, Any]:
        name = body["metadata"]["name"]
        found = schema_problems(body) or rule_problems(body)
        if found:
            return 422, _status(422, f'RayJob.ray.io "{name}" is invalid: {found[0]}')
        if name in self.jobs:
            return 409, _status(409, f'rayjobs.ray.io "{name}" already exists')
        body["metadata"]["uid"] = f"uid-{len(self.asked)}"
        self.jobs[name] = body
        return 201, body


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


@contextmanager
def serving(folder: Path, *, token: str = "a-token-of-a-test") -> Iterator[tuple[ApiServer, Path]]:
    """The server, and the kubeconfig that leads to it."""
    server = ApiServer(token)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            known = self.headers.get("Authorization") == f"Bearer {server.token}"
            code, document = server.answer(self.command, self.path, body) if known else (401, _status(401, "who?"))
            data = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _any

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server, _kubeconfig(folder, f"http://127.0.0.1:{http.server_port}", token)
        finally:
            http.shutdown()
            thread.join()


def _kubeconfig(folder: Path, address: str, token: str) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path
