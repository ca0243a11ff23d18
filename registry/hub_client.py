"""The Hub's own client, asked for facts and files; the only module that imports it.

What the client or the network refuses arrives as one of our errors, with what would help. The
client checks no content: a body of the right size is kept whatever it holds. So nothing that
it brings is believed before ``registry.hub_source`` has hashed it.
"""

import errno
import os
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from policy.errors import (
    FormatFault,
    IntegrityFault,
    Refused,
    RightstepError,
    ServiceFault,
    StorageFault,
    UnknownName,
)
from registry.upstream import PUBLIC_HUB, Alarm, FileAlarm, LicenceTriple, UpstreamFacts, UpstreamFile

ALARMS = {alarm.value: alarm for alarm in Alarm}
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
BRANCHES_NAMED = 5
ANSWER_SECONDS = 60.0  # of one answer; the client itself would wait for ever
_COMMIT = re.compile(r"[0-9a-f]{40}")

Tell = Callable[[int], None]  # called with the bytes that just came


class HubClient:
    """One hub, seen through its published client."""

    def __init__(self, *, endpoint: str = PUBLIC_HUB, token: str | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        # The login of the client's own command line is for the public hub: no other address is shown it.
        self._token: str | bool | None = token or (None if self.endpoint == PUBLIC_HUB else False)

    def describe(self, repo: str, revision: str | None = None) -> UpstreamFacts:
        """A repository at the commit that a branch, tag or commit names now, with every file of it.

        One answer says both, so the files are those of the commit even while a branch moves.
        """
        with self._explained(repo, revision):
            info = self._info(repo, revision, files_metadata=True)
            commit = str(info.sha)
            if not _COMMIT.fullmatch(commit) or (_is_commit(revision) and commit != revision):
                raise IntegrityFault(
                    f"Asked for {repo} at {revision or 'main'}, the hub answered with commit {commit!r}.",
                    "Do not use this hub; nothing was fetched.",
                )
        security: dict[str, Any] = info.security_repo_status or {}
        return UpstreamFacts(
            asked=repo,
            repo=str(info.id),
            revision=commit,
            endpoint=self.endpoint,
            asked_revision=revision or "main",
            gated=info.gated if isinstance(info.gated, str) else "auto" if info.gated else "",
            licence=_triple(info.card_data),
            scans_done=bool(security.get("scansDone")),
            alarms=tuple(_alarms(security.get("filesWithIssues") or ())),
            files=tuple(_files(info.siblings or (), repo)),
        )

    def has_commit(self, repo: str, commit: str) -> bool:
        """Whether a commit of a repository that is there can still be reached."""
        with self._explained(repo, commit):
            try:
                return str(self._info(repo, commit).sha) == commit
            except _errors().RevisionNotFoundError:
                return False

    def download(self, cache: Path, repo: str, commit: str, path: str, tell: Tell) -> Path:
        """Bring one file into a cache of the Hub's own layout; returns the link in its snapshot."""
        with self._explained(repo, commit):
            found: str = _library().hf_hub_download(
                repo,
                path,
                revision=commit,
                cache_dir=cache,
                endpoint=self.endpoint,
                token=self._token,
                tqdm_class=_telling(tell),
            )
        return Path(found)

    def _info(self, repo: str, revision: str | None, *, files_metadata: bool = False) -> Any:
        return self._api().model_info(
            repo,
            revision=revision,
            files_metadata=files_metadata,
            securityStatus=True,
            timeout=ANSWER_SECONDS,
        )

    def _api(self) -> Any:
        return _library().HfApi(endpoint=self.endpoint, token=self._token)

    @contextmanager
    def _explained(self, repo: str, revision: str | None) -> Generator[None]:
        import httpx2  # noqa: PLC0415 - a plan is made without it

        errors = _errors()
        try:
            yield
        except RightstepError:
            raise
        except errors.GatedRepoError as error:
            raise self._gate_is_closed(repo) from error
        except errors.DisabledRepoError as error:
            raise UnknownName(
                f"{repo} was disabled at {self.endpoint}.", "Find out why before you use a copy of it."
            ) from error
        except errors.RevisionNotFoundError as error:
            raise UnknownName(f"{repo} has no revision {revision}.", self._revisions(repo)) from error
        except errors.RepositoryNotFoundError as error:
            raise UnknownName(
                f"{self.endpoint} shows no {repo}.",
                "Check the name org/name; a private repository needs RIGHTSTEP_HUB_TOKEN.",
            ) from error
        except errors.HFValidationError as error:
            raise UnknownName(f'"{repo}" is not a repository name.', "Write it as org/name.") from error
        except errors.RemoteEntryNotFoundError as error:
            raise IntegrityFault(
                f"{repo} lists a file at {revision} that it does not have.",
                "Nothing was pinned; try again later.",
            ) from error
        except (httpx2.HTTPError, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
            raise self._no_answer(error) from error
        except OSError as error:
            raise _storage_fault(repo, error) from error

    def _gate_is_closed(self, repo: str) -> Refused:
        if self._token is False or (self._token is None and _library().get_token() is None):
            return Refused(
                f"{repo} is gated: its files are for those who accepted its terms, and no token was sent.",
                f"Accept the terms at {self.endpoint}/{repo}, then set RIGHTSTEP_HUB_TOKEN.",
            )
        return Refused(
            f"{repo} is gated, and the account of this token has not accepted its terms.",
            f"Accept them at {self.endpoint}/{repo}; some gates are opened by a person, later.",
        )

    def _revisions(self, repo: str) -> str:
        """What could have been meant: some branches and tags, where the hub tells them."""
        try:
            refs = self._api().list_repo_refs(repo)
        except (OSError, ValueError):
            refs = None
        known = [ref.name for ref in (*refs.branches, *refs.tags)] if refs else []
        some = f" It has {', '.join(known[:BRANCHES_NAMED])}." if known else ""
        return f"Name a branch, a tag, or all 40 digits of a commit.{some}"

    def _no_answer(self, error: Exception) -> ServiceFault:
        if isinstance(error, _errors().OfflineModeIsEnabled):
            return ServiceFault(
                "The Hub's client is switched off in this process (HF_HUB_OFFLINE).",
                "Unset HF_HUB_OFFLINE, or bring the repository as a folder: RIGHTSTEP_MODEL_FOLDERS.",
            )
        cause = error.__cause__ if isinstance(error, _errors().LocalEntryNotFoundError) else error
        reason = str(cause or error).strip().split("\n", maxsplit=1)[0]
        return ServiceFault(
            f"The hub at {self.endpoint} did not answer: {reason}",
            "Check the network and RIGHTSTEP_HUB_ENDPOINT, then try again: nothing was pinned.",
        )


def _library() -> Any:
    """The client, told before its first import to keep to a repository's own folder."""
    os.environ.setdefault("HF_HUB_DISABLE_SHARED_BLOBS", "1")  # no links into a store that others write
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # one way for bytes to come, the one that is tested
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub  # noqa: PLC0415 - after the environment is set

    return huggingface_hub


def _errors() -> Any:
    _library()
    from huggingface_hub import errors  # noqa: PLC0415 - after the environment is set

    return errors


def _telling(tell: Tell) -> type[Any]:
    """A progress bar as the client wants one, that draws nothing and tells the bytes."""

    class Telling:
        total: int | None = None

        def __init__(self, *_: object, **__: object) -> None:
            """Whatever a bar would be told of its looks."""

        def update(self, n: float | None = 1) -> None:
            tell(int(n or 0))

        def refresh(self) -> None:
            """Nothing is drawn."""

        def close(self) -> None:
            """Nothing is open."""

        def __enter__(self) -> Self:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.close()

    return Telling


def _is_commit(revision: str | None) -> bool:
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def _files(siblings: Iterable[Any], repo: str) -> Generator[UpstreamFile]:
    for file in siblings:
        if not isinstance(file.size, int) or file.size < 0 or not file.blob_id:
            raise FormatFault(f"{repo} lists {file.rfilename} without size or id.", "Nothing was fetched.")
        yield UpstreamFile(
            path=file.rfilename,
            size=file.size,
            blob_id=file.blob_id,
            lfs_sha256=file.lfs.sha256 if file.lfs else "",
        )


def _alarms(issues: Iterable[Any]) -> Generator[FileAlarm]:
    """What scanners found; a word that is not known counts as the worst."""
    for issue in issues:
        yield FileAlarm(
            path=str(issue.get("path", "")), alarm=ALARMS.get(str(issue.get("level")), Alarm.UNSAFE)
        )


def _triple(card: Any) -> LicenceTriple:
    if card is None:
        return LicenceTriple()
    said = card.license if isinstance(card.license, list) else [card.license]
    return LicenceTriple(
        licences=tuple(str(one) for one in said if one),
        name=str(card.license_name or ""),
        link=str(card.get("license_link") or ""),
    )


def _storage_fault(repo: str, error: OSError) -> RightstepError:
    if error.errno in FULL_DISK:
        return StorageFault(
            f"The disk is full: {repo} could not be brought.",
            "Make room, or move RIGHTSTEP_HOME, then pin again: what was whole is kept.",
        )
    if error.errno is None:  # the client's own complaint about a size
        return IntegrityFault(
            f"A file of {repo} came in another size than was announced.",
            "Nothing was pinned; try again later.",
        )
    return StorageFault(
        f"{repo} could not be brought: {error.strerror or error}.",
        "Check the folder hub below RIGHTSTEP_HOME.",
    )
