"""``python -m benchmarks.plain_server BASE LORA``: the server that a first page of documentation would give.

One process, one pipeline, a lock around it. It decides nothing, checks nothing and keeps nothing.
"""

import base64
import io
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

STEPS = 4


class Pipeline:
    """The built-in student as plain diffusers runs it: four steps, no guidance, LoRA fused."""

    def __init__(self, base: Path, lora: Path) -> None:
        from diffusers import LCMScheduler, StableDiffusionPipeline

        torch.set_num_threads(1)
        self._pipe: Any = StableDiffusionPipeline.from_pretrained(
            base, dtype=torch.float32, use_safetensors=True
        )
        self._pipe.scheduler = LCMScheduler.from_config(self._pipe.scheduler.config)
        self._pipe.load_lora_weights(str(lora))
        self._pipe.fuse_lora()
        self._pipe.set_progress_bar_config(disable=True)

    def pngs(self, prompts: list[str], seeds: list[int]) -> list[bytes]:
        """Pictures as PNG files."""
        torch.set_num_threads(1)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        made = self._pipe(
            prompts, num_inference_steps=STEPS, guidance_scale=1.0, width=64, height=64, generator=generators
        )
        files = []
        for image in made.images:
            buffer = io.BytesIO()
            image.save(buffer, format="PNG")
            files.append(buffer.getvalue())
        return files


def build_plain_app(pipeline: Pipeline) -> FastAPI:
    """The app of the page."""
    app, lock = FastAPI(), threading.Lock()

    @app.post("/v1/images/generations")
    def generate(wish: dict[str, Any]) -> JSONResponse:
        with lock:
            (png,) = pipeline.pngs([wish["prompt"]], [wish["seed"]])
        return JSONResponse({"data": [{"b64_json": base64.b64encode(png).decode()}]})

    return app


def main(base: str, lora: str) -> None:
    """Serve until somebody stops it; prints its address."""
    pipeline = Pipeline(Path(base), Path(lora))
    pipeline.pngs(["a flat fox"], [0])
    with socket.create_server(("127.0.0.1", 0)) as opened:
        config = uvicorn.Config(build_plain_app(pipeline), log_config=None, access_log=False)
        print(f"http://127.0.0.1:{opened.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[opened])


if __name__ == "__main__":
    main(*sys.argv[1:])
