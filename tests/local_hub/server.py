"""A hub on loopback that the published client takes for the real one, and that remembers what it was asked.

Large files are redirected to another origin, as the Hub does: there ``localhost`` stands for
its content network, beside ``127.0.0.1`` for the Hub itself.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.local_hub.repositories import HeldFile, Repository
from tests.loopback import Answers, Loopback

PAGE = 2  # entries of a tree in one answer: every listing of a test is paged


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    token: str
    range: str = ""


class LocalHub(Loopback):
    """Repositories and the server in front of them."""

    def __init__(self) -> None:
        super().__init__(_Answers)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Asked] = []
        self.is_down = False
        self.stall_at: dict[str, int] = {}  # path: bytes after which the body waits for ``go_on``

    def start_anew(self) -> None:
        """Forget every repository and request."""
        self.repositories.clear()
        self.requests.clear()
        self.stall_at.clear()
        self.is_down = False
        self.stalled.clear()
        self.go_on.clear()

    def put(self, name: str, files: dict[str, bytes], **facts: Any) -> Repository:
        """A repository with one commit on main."""
        repository = Repository(name, **facts)
        repository.commit(files)
        self.repositories[name] = repository
        return repository

    def rename(self, old: str, new: str) -> None:
        """Move a repository; the old name redirects."""
        moved = self.repositories[old]
        self.repositories[new] = moved
        moved.name = new
        self.repositories[old] = Repository(old, renamed_to=new)

    def fetched(self, ending: str = "") -> list[str]:
        """Paths of file bodies that were asked for."""
        return [one.path for one in self.requests if one.method == "GET" and one.path.endswith(ending)]


class _Answers(Answers):
    owner: LocalHub

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.owner.requests.append(Asked(self.command, path, token, self.headers.get("Range", "")))
        if self.owner.is_down:
            self._send(503, {})
            return
        parts = path.strip("/").split("/")
        if parts[0] == "cdn":
            self._content(parts[1], "/".join(parts[2:]))
        elif parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:], token)
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3:], token)
        else:
            self._send(404, {})

    def _repository(self, name: str, token: str) -> Repository | None:
        """The repository, or an answer that says why there is none."""
        found = self.owner.repositories.get(name)
        if found is not None and found.renamed_to:
            target = self.path.replace(name, found.renamed_to, 1)
            self._send(307, {"Location": target}, b"Temporary Redirect. Redirecting.")
            return None
        if found is None or (found.is_private and token not in found.accepted):
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self._send(404 if token else 401, headers)
            return None
        if found.is_disabled:
            self._send(403, {"X-Error-Message": "Access to this resource is disabled."})
            return None
        return found

    def _api(self, name: str, rest: list[str], token: str) -> None:
        found = self._repository(name, token)
        if found is None:
            return
        if rest == ["refs"]:
            branches = [
                {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": commit}
                for ref, commit in found.refs.items()
            ]
            self._json({"branches": branches, "converts": [], "tags": []})
            return
        revision = found.revision_of("/".join(rest[1:]) if rest else "main")
        if revision is None:
            self._send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        elif rest and rest[0] == "tree":
            self._page(found.tree(revision))
        else:
            self._json(found.info(revision))

    def _page(self, entries: list[dict[str, Any]]) -> None:
        url = urlsplit(self.path)
        cursor = next((part for part in url.query.split("&") if part.startswith("cursor=")), "cursor=0")
        start = int(cursor.removeprefix("cursor="))
        more = {}
        if start + PAGE < len(entries):
            query = "&".join(part for part in url.query.split("&") if part and not part.startswith("cursor="))
            link = f"{self.owner.endpoint}{url.path}?{query}&cursor={start + PAGE}"
            more["Link"] = f'<{link}>; rel="next"'
        self._json(entries[start : start + PAGE], more)

    def _resolve(self, name: str, rest: list[str], token: str) -> None:
        found = self._repository(name, token)
        if found is None:
            return
        if found.gated and token not in found.accepted:
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to the model is restricted."}
            self._send(403 if token else 401, headers)
            return
        revision, path = self._split(found, rest)
        if revision is None:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return
        file = found.commits[revision].get(path)
        if file is None:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": revision})
            return
        about = {"X-Repo-Commit": revision, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if file.is_lfs:
            about |= {"X-Linked-ETag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.body))}
            about["Location"] = f"http://localhost:{self.owner.port}/cdn/{revision}/{name}/{path}"
            self._send(302, about)
        else:
            self._body(found, path, file, about)

    def _split(self, found: Repository, rest: list[str]) -> tuple[str | None, str]:
        """Revision and path; a revision may have slashes."""
        for length in range(1, len(rest)):
            revision = found.revision_of("/".join(rest[:length]))
            if revision is not None:
                return revision, "/".join(rest[length:])
        return None, ""

    def _content(self, revision: str, path: str) -> None:
        org, name, inner = path.split("/", 2)
        found = self.owner.repositories[f"{org}/{name}"]
        if found.renamed_to:
            found = self.owner.repositories[found.renamed_to]
        self._body(found, inner, found.commits[revision][inner], {"Accept-Ranges": "bytes"})

    def _body(self, found: Repository, path: str, file: HeldFile, headers: dict[str, str]) -> None:
        body = found.served.get(path, file.body)
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        if start:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        self.send_response(206 if start else 200)
        for name, value in {**headers, "Content-Length": str(len(body) - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = body[start:]
        if (until := found.cut_once.pop(path, None)) is not None:
            self.wfile.write(rest[:until])
            self.close_connection = True
            return
        if (until := self.owner.stall_at.get(path)) is not None:
            self.wfile.write(rest[:until])
            self.wfile.flush()
            self.owner.stalled.set()
            self.owner.go_on.wait(60)
            rest = rest[until:]
        try:
            self.wfile.write(rest)
        except OSError:  # whoever asked is gone
            self.close_connection = True

    def _json(self, value: object, headers: dict[str, str] | None = None) -> None:
        self._send(200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
