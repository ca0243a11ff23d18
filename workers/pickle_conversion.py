"""``python -m workers.pickle_conversion``: the process that reads one pickle; see ``workers.conversions``."""

import errno
import json
import pickle
import resource
import sys
from importlib.metadata import version
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from workers.conversions import BROKEN, CODE, FULL

# Where training frameworks put the weights among other things. Of a generator with a running average beside
# it the average is taken: it is what the authors of Self Forcing sample with.
NESTS = (
    "state_dict",
    "model_state_dict",
    "params_ema",
    "params",
    "generator_ema",
    "generator",
    "model",
    "module",
)


def main(arguments: list[str]) -> int:
    """Convert; the last line of stderr says why not."""
    source, target, memory, room, seconds = arguments
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        tensors, dropped = tensors_of(loaded)
        save_file(tensors, target, metadata={"format": "pt"})
    except pickle.UnpicklingError as error:
        asked = _what_was_asked(error)
        return _say(CODE, asked) if asked else _say(BROKEN, "it is no pickle that torch can read")
    except SafetensorError as error:
        return _say(FULL if f"os error {errno.ENOSPC}" in str(error) else BROKEN, str(error))
    except OSError as error:
        return _say(FULL if error.errno == errno.ENOSPC else BROKEN, str(error))
    except (RuntimeError, ValueError, TypeError, KeyError, EOFError, MemoryError, RecursionError) as error:
        return _say(BROKEN, f"{type(error).__name__}: {error}")
    versions = {name: version(name) for name in ("safetensors", "torch")}
    sys.stdout.write(json.dumps({"tensors": len(tensors), "dropped": dropped, "versions": versions}) + "\n")
    return 0


def tensors_of(loaded: Any) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The tensors by name, each with memory of its own; and the names of what is left behind."""
    dropped: list[str] = []
    nest = next(
        (name for name in NESTS if isinstance(loaded, dict) and isinstance(loaded.get(name), dict)), None
    )
    if nest is not None:
        dropped += [str(name) for name in loaded if name != nest]
        loaded = loaded[nest]
    if not isinstance(loaded, dict):
        raise TypeError(f"it holds a {type(loaded).__name__}, not a table of tensors")
    tensors = {}
    for name, value in loaded.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            tensors[name] = value.detach().contiguous().clone()
        else:
            dropped.append(str(name))
    if not tensors:
        raise ValueError("it holds no tensors by name")
    return tensors, sorted(dropped)


def _what_was_asked(error: Exception) -> str:
    """The sentence of torch's long explanation that names what is not allowed; "" where there is none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "GLOBAL" in line or "nsupported" in line), "")


def _say(code: int, reason: str) -> int:
    sys.stderr.write(f"{' '.join(reason.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
