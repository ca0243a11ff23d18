"""How soon do other words lead a stream, and does it keep its pace?"""

import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.live_client import LiveClient, live_session
from benchmarks.measurement import Measurement, at_most, median, plain
from benchmarks.served_pictures import Server, rightstep_server
from flows.bootstrap import open_house
from flows.pinning import pin_model
from flows.settings import Settings
from policy.costs import quantile
from registry.catalogue import load_catalogue

BASE, STUDENT = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "gdhe17/Self-Forcing"
FILES = {
    BASE: ("model_index.json", *(
        f"{part}/{name}"
        for part in ("text_encoder", "transformer", "vae")
        for name in ("config.json", "diffusion_pytorch_model.safetensors")
    )),
    STUDENT: ("checkpoints/self_forcing_dmd.pt", "checkpoints/self_forcing_dmd.safetensors"),
}  # fmt: skip
STEP_SECONDS = 0.1  # of the synthetic renderer: a chunk takes four, and plays for 750 ms
CHANGES, CHUNK_SECONDS = 40, 12 / 16
FPS, PACED = 16, 320


def measure() -> Measurement:
    """Change the words of a stream at any moment, and see with which frame they lead."""
    with stream_server(STEP_SECONDS) as server, live_session(server, model=BASE) as client:
        latencies = _latencies(client)
        paced = [client.frame()[0] for _ in range(PACED)]
        client.end()
    chunks = [seconds / CHUNK_SECONDS for seconds in latencies]
    gaps = [after - before for before, after in pairwise(paced)]
    late = [gap > 1.5 / FPS for gap in gaps]
    lead = 4 * STEP_SECONDS / CHUNK_SECONDS
    return Measurement(
        question="How soon do other words lead a causal stream, and does it keep its pace?",
        figures=(
            at_most("P21", "from other words to their first frame (p50)", median(chunks), 1.1, "chunk times"),
            plain("the same (p95)", quantile(chunks, 0.95), "chunk times"),
            plain("the same (longest)", max(chunks), "chunk times"),
            plain("what no stream could be below: a chunk's own making", lead, "chunk times"),
            at_most(
                "",
                f"frames half a period late behind the one before, at {FPS} a second",
                sum(late) / len(late),
                0.01,
            ),
            at_most(
                "", "jitter (p95 - p50 of the gaps)", (quantile(gaps, 0.95) - median(gaps)) * 1000, 4.0, "ms"
            ),
        ),
        conditions=(
            f"Self Forcing's chunks of 12 frames, 832 x 480 WebP at {FPS} a second through "
            "`rightstep serve` with Ray; a synthetic renderer takes "
            f"{4 * STEP_SECONDS * 1000:.0f} ms a chunk. "
            f"{CHANGES} changes at random moments, then {PACED} frames."
        ),
        remark=(
            "A chunk is begun as late as its making allows, so words wait for the rest of the chunk that is "
            "shown, half of one at the median, and for the making of the next one, here half a chunk time."
        ),
        rounds={"latencies": latencies, "gaps": gaps},
    )


def _latencies(client: LiveClient) -> list[float]:
    chance, found = random.Random(21), []
    for number in range(CHANGES):
        until = time.perf_counter() + CHUNK_SECONDS * (1 + chance.random())
        while time.perf_counter() < until:
            client.frame()
        told = time.perf_counter()
        client.say("change", prompt=f"fox {number}")
        while (made := client.frame())[1].change <= number:
            pass
        found.append(made[0] - told)
    return found


@contextmanager
def stream_server(step_seconds: float, **settings: str) -> Iterator[Server]:
    """``rightstep serve`` with a causal student pinned whose files hold no tensors: frames are synthetic."""
    with TemporaryDirectory(prefix="rightstep-bench-") as name:
        shelf = _shelf(Path(name))
        told = {
            "RIGHTSTEP_RENDERER": "synthetic",
            "RIGHTSTEP_SYNTHETIC_SECONDS_PER_STEP": str(step_seconds),
            "RIGHTSTEP_MODEL_FOLDERS": str(shelf),
        }
        with rightstep_server(**told | settings) as server:
            assert server.house is not None
            house = open_house(
                Settings(home=server.house.settings.home, model_folders=(shelf,), actor="bench")
            )
            for repo in FILES:
                pin_model(house, repo)
            house.engine.dispose()
            yield server


def _shelf(root: Path) -> Path:
    empty = struct.pack("<Q", 2) + b"{}"  # a safetensors file without a tensor
    for repo, files in FILES.items():
        for name in files:
            path = root / repo / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(empty if name.endswith((".safetensors", ".pt")) else b"{}")
        made_for = f"base_model:\n- {BASE}\n" if repo == STUDENT else ""
        (root / repo / "README.md").write_text(f"---\nlicense: apache-2.0\n{made_for}---\n")
        (root / repo / "LICENSE").write_bytes(load_catalogue().texts["apache-2.0"])
    return root
