"""``python -m infra.docs.walk_through``: steer a night on this machine, and write down what was said.

A new home, the built-in models, two real workers, the words of docs/how-to/steer-a-night.md one by one.
What comes out is a page, and a recording in asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/)
that ``asciinema play`` shows at the speed of that night. Nothing in them is written by hand.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import IO, Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, RECORDING = DOCS / "a-steered-night.md", DOCS / "recordings" / "steered-night.cast"
WIDTH, HEIGHT = 118, 40
SHOTS = 120
MANIFEST = """
name = "night"
tier = "batch"
use = "ship_output_commercial"
territories = ["WORLD"]
owner = "Sample Studio"
may_degrade = true

[defaults]
model = "rightstep/emoji-64"
"""
KINDS = ("fox", "owl", "cat", "panda", "robot", "rocket")


@dataclass
class Recorder:
    """Two terminals side by side, as one page and one recording."""

    home: Path
    began: float = field(default_factory=time.monotonic)
    page: list[str] = field(default_factory=list[str])
    events: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    driver: subprocess.Popen[str] | None = None
    talk: list[str] = field(default_factory=list[str])

    def say(self, words: str) -> None:
        self.page += [words, ""]
        self._event(f"\r\n\x1b[2m# {words}\x1b[0m\r\n")

    def drive(self, *words: str) -> None:
        """A command of the first terminal, which goes on while the second one works."""
        self._typed(words, "1")
        self.driver = self.start(words)
        self.talk = []
        threading.Thread(target=self._listen, args=(self.driver.stdout,), daemon=True).start()

    def ask(self, *words: str) -> str:
        """A command of the second terminal, to its end."""
        self._typed(words, "2")
        process = self.start(words)
        told, _ = process.communicate(timeout=300)
        self._event(told.replace("\n", "\r\n"))
        self.block([f"$ rightstep {_shown(words)}", *told.rstrip().splitlines()])
        return told

    def read(self, *words: str) -> Any:
        """What a command says as JSON, off the record."""
        process = self.start((*words, "--json"))
        return json.loads(process.communicate(timeout=300)[0])

    def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            if self.driver is not None and self.driver.poll() is not None:
                raise SystemExit("The driver ended early:\n" + "".join(self.talk))
            time.sleep(0.5)

    def wait(self) -> None:
        """Until the first terminal has its prompt back, and what it had said by then."""
        if self.driver is None:
            return
        self.driver.wait(timeout=900)
        self.block([*"".join(self.talk).rstrip().splitlines(), f"(exit code {self.driver.returncode})"])

    def start(self, words: tuple[str, ...]) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTSTEP_")}
        return subprocess.Popen(
            [sys.executable, "-m", "rightstep", *words],
            env={**clean, "RIGHTSTEP_HOME": str(self.home / "house"), "COLUMNS": str(WIDTH), "NO_COLOR": "1"}
            | {"RIGHTSTEP_WORKERS": "2", "RIGHTSTEP_ACTOR": "ann"},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _listen(self, told: IO[str]) -> None:
        for line in told:
            self.talk.append(line)
            self._event(line.replace("\n", "\r\n"))

    def _typed(self, words: tuple[str, ...], terminal: str) -> None:
        self._event(f"\x1b[1;36m[{terminal}] $\x1b[0m rightstep {_shown(words)}\r\n")

    def _event(self, text: str) -> None:
        self.events.append((time.monotonic() - self.began, text))

    def block(self, lines: list[str]) -> None:
        self.page += ["```", *(line.replace(str(self.home), "~").rstrip() for line in lines), "```", ""]


def _shown(words: tuple[str, ...]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def record(home: Path) -> Recorder:
    """The night, from the order to the log."""
    night = Recorder(home)
    shots = [
        f'[[shots]]\nname = "{kind}-{number:03}"\nprompt = "a flat {kind}"\nseed = {number}\n'
        for number, kind in zip(range(SHOTS), cycle(KINDS), strict=False)
    ]
    (home / "night.toml").write_text(MANIFEST + "\n" + "\n".join(shots))

    def job() -> dict[str, Any]:
        found: dict[str, Any] = night.read("job", "list")[0]
        return found

    def is_done(count: int) -> Callable[[], bool]:
        return lambda: bool(night.read("job", "list")) and job()["counts"]["done"] >= count

    night.say(f"In a first terminal, {SHOTS} pictures at full steps on two workers.")
    night.page += ["```", "$ rightstep render night.toml --out out", "```", ""]
    night.drive("render", "night.toml", "--out", "out")
    night.until(is_done(16))
    name = job()["job_id"]
    night.say("In a second one, Ann looks at it while it renders.")
    night.ask("job", "list")
    night.ask("worker", "list")
    night.say("The robots are wanted first, and one scene was cut.")
    robots = [f"robot-{number:03}" for number in range(SHOTS) if KINDS[number % 6] == "robot"][-2:]
    night.ask("job", "priority", name, "9", *(word for robot in robots for word in ("--shot", robot)))
    night.ask("job", "eat", name, "owl-115", "--reason", "The scene was cut.")
    night.say("The client wants everything soon: pictures lose steps, and the answer says which and why.")
    soon = datetime.now().astimezone() + timedelta(seconds=100)
    night.ask("job", "deadline", name, f"{soon:%Y-%m-%dT%H:%M:%S%z}")
    night.say("So a third worker is added. Then one of the first two is sent away: its fan is loud.")
    night.ask("worker", "add", name, "1")
    night.until(lambda: len(night.read("worker", "list")) > 2)
    loud = min(one["worker"] for one in night.read("worker", "list"))
    night.ask("worker", "drain", loud, "--reason", "Its fan is loud.")
    night.ask("worker", "list")
    night.say("At ten the power is dear: Ann pauses the night. What is in flight ends and is kept.")
    night.ask("job", "pause", name, "--reason", "The power is dear until ten.")
    night.say("The first terminal says so, and ends.")
    night.wait()
    night.ask("job", "show", name)
    night.say("The power is cheap again, and the client can wait.")
    night.ask("job", "deadline", name, "none")
    night.ask("job", "resume", name)
    night.say("Every word is in the audit log, with who gave it and why, and the log holds.")
    night.ask("audit", "verify")
    log = night.start(("audit", "export")).communicate(timeout=120)[0]
    night.block(["$ rightstep audit export | jq ...", *_words(log)])
    return night


def _words(log: str) -> list[str]:
    """When, who, what and why, of everything that was said to jobs and workers."""
    found: list[str] = []
    for line in log.splitlines():
        row = json.loads(line)
        event = row["event"]
        if event["tag"].startswith(("job:", "worker:")):
            reason = json.loads(event["payload"]).get("reason", "")
            found.append(f"{row['ts'][11:19]}  {event['actor']:6}{event['tag']:28}{reason}".rstrip())
    return found


def main() -> int:
    """Record it, and write both files."""
    with tempfile.TemporaryDirectory(prefix="rsw") as folder:
        night = record(Path(folder))
    taken = datetime.now().astimezone()
    head = [
        "# A night that is steered",
        "",
        f"What a terminal said, word for word, on {taken:%Y-%m-%d}, on a machine with {os.cpu_count()} cores",
        f"({platform.system()}, Python {platform.python_version()}) and no GPU.",
        "`python -m infra.docs.walk_through` records it anew; the",
        "[recording](recordings/steered-night.cast) plays with `asciinema play`. The words are explained in",
        "[steer a night that runs](how-to/steer-a-night.md).",
        "",
    ]
    PAGE.write_text(re.sub(r"\n{3,}", "\n\n", "\n".join([*head, *night.page])).rstrip() + "\n")
    title = {"version": 2, "width": WIDTH, "height": HEIGHT, "timestamp": int(taken.timestamp())}
    lines = [json.dumps(title), *(json.dumps([round(when, 3), "o", text]) for when, text in night.events)]
    RECORDING.parent.mkdir(exist_ok=True)
    RECORDING.write_text("\n".join(lines) + "\n")
    print(f"wrote {PAGE}\nwrote {RECORDING}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
