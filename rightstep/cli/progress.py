"""A job as it runs: a live bar on a terminal, a line now and then in a log; always on stderr."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from policy.wording import duration, plural, rounded
from rightstep.cli.output import say, talk_console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LINES = 10  # a job, where there is no terminal


class Progress(Protocol):
    """What a job reports of itself; ``flows`` hands these over."""

    @property
    def stage(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def reused(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def eta_seconds(self) -> float | None: ...


class Ticker:
    """Shows progress while it is entered; call it with each report."""

    def __init__(self) -> None:
        self.is_live = sys.stderr.isatty()
        self.bar: Bar | None = None
        self.task: TaskID | None = None
        self.said = ("", 0)  # the stage and the part of the last line

    def __enter__(self) -> Self:
        if self.is_live:
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=32, complete_style="green", finished_style="green"),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("[dim]{task.fields[more]}"),
                console=talk_console(),
                transient=True,
            )
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, progress: Progress) -> None:
        made = progress.done + progress.reused
        if self.bar is not None:
            if self.task is None:
                self.task = self.bar.add_task(progress.stage, total=progress.total, more="")
            self.bar.update(
                self.task,
                description=progress.stage,
                completed=made,
                total=progress.total,
                more=more_of(progress),
            )
            return
        part = made * LINES // progress.total if progress.total else 0
        if (progress.stage, part) != self.said:
            self.said = (progress.stage, part)
            say(line_of(progress))


class Fetching(Protocol):
    """What the hub reports of a repository on its way; ``flows`` hands these over."""

    @property
    def path(self) -> str: ...
    @property
    def files(self) -> int: ...
    @property
    def files_done(self) -> int: ...
    @property
    def bytes_done(self) -> int: ...
    @property
    def bytes(self) -> int: ...


class Fetched:
    """A repository as it comes: a live bar on a terminal, a line a file in a log; always on stderr."""

    def __init__(self) -> None:
        self.bar: Bar | None = None
        self.task: TaskID | None = None
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, fetching: Fetching) -> None:
        if sys.stderr.isatty():
            self._draw(fetching)
        elif fetching.path != self.said:
            self.said = fetching.path
            if fetching.path:
                place = f"{fetching.files_done + 1} of {fetching.files}"
                say(f"fetching {place}: {fetching.path}, {fetching.bytes_done / 1e6:,.1f} MB so far")

    def _draw(self, fetching: Fetching) -> None:
        if self.bar is None:
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=32),
                DownloadColumn(),
                TransferSpeedColumn(),
                console=talk_console(),
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=fetching.bytes)
        if self.task is not None:
            self.bar.update(self.task, description=fetching.path, completed=fetching.bytes_done)


def line_of(progress: Progress) -> str:
    """Where a job stands, in a line; before the first picture there is only the stage to tell."""
    made = progress.done + progress.reused
    if not made and not progress.failed:
        return f"{progress.stage} ..."
    more = more_of(progress)
    return f"{progress.stage}: {made:,} of {plural(progress.total, 'shot')}{f', {more}' if more else ''}"


def more_of(progress: Progress) -> str:
    """Rate, time left, reused and failed, as far as there is any."""
    parts: list[str] = []
    if progress.rate > 0:
        parts.append(f"{rounded(progress.rate)} a second")
    if progress.eta_seconds is not None and progress.done + progress.reused < progress.total:
        parts.append(f"{duration(progress.eta_seconds)} left")
    if progress.reused:
        parts.append(f"{progress.reused:,} reused")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    return ", ".join(parts)
