"""The state of a training run on disk: tensors as safetensors, the rest as JSON, each with a checksum; never pickle."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

INDEX = "checkpoint.json"


def save(folder: Path, state: Any) -> None:
    """Write a tree of dicts, lists, tuples, tensors and plain values, so that at any moment a whole one is there.

    The tensors go into a new file under the name of their own checksum; the index that points to it then replaces the old
    one in a single step of the file system. Tensors that share their memory are written once.

    Raises:
        TypeError: the tree holds something else.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors, {})
    data = safetensors.torch.save(tensors)
    digest = hashlib.sha256(data).hexdigest()
    name = f"checkpoint-{digest[:16]}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / name, data)
    _replace(folder / INDEX, _index({"tensors": name, "sha256": digest, "tree": tree}))
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != name:
            old.unlink()


def load(folder: Path) -> Any:
    """Return what :func:`save` wrote, its tensors on the CPU, or None where the folder has no checkpoint.

    Raises:
        ValueError: a byte of it is not what was written.
    """
    path = folder / INDEX
    if not path.exists():
        return None
    text = path.read_bytes()
    try:
        content = json.loads(text)["content"]
        whole = text == _index(content)
    except (ValueError, KeyError, TypeError):  # no JSON any more, or another object
        whole = False
    if not whole:
        raise ValueError(_damaged(path))
    path = folder / content["tensors"]
    data = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(data).hexdigest() != content["sha256"]:
        raise ValueError(_damaged(path))
    return _unpack(content["tree"], safetensors.torch.load(data))


def _index(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, sort_keys=True)
    return json.dumps(
        {"content": content, "sha256": hashlib.sha256(body.encode()).hexdigest()}, sort_keys=True
    ).encode()


def _damaged(path: Path) -> str:
    return (
        f"{path} is not as it was written: its checksum differs. Take the folder from a backup, or start again: "
        f"fit(…, resume=False)."
    )


def _replace(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # else the new name may be on the disk before the bytes are
    part.replace(path)


def _pack(value: Any, tensors: dict[str, Tensor], seen: dict[Any, str]) -> Any:
    """Return a tree as JSON can hold it; every container is a pair of its kind and its items, since JSON has no tuples."""
    if isinstance(value, Tensor):
        # a prior that shares the encoder gives the same memory under two names
        place = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
        if place not in seen or value.numel() == 0:
            seen[place] = str(len(tensors))
            tensors[seen[place]] = value.detach().to("cpu", copy=True).contiguous()
        return ["tensor", seen[place]]
    if isinstance(value, dict):
        return ["dict", [[_pack(key, tensors, seen), _pack(item, tensors, seen)] for key, item in value.items()]]
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_pack(item, tensors, seen) for item in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"A checkpoint holds tensors, numbers, strings and containers of them, and the model or the optimizer keeps "
        f"{value!r} in its state, a {type(value).__name__}. Give one whose state_dict() has none."
    )


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, list):
        return value
    kind, items = value
    if kind == "tensor":
        return tensors[items]
    if kind == "dict":
        return {_unpack(key, tensors): _unpack(item, tensors) for key, item in items}
    unpacked = [_unpack(item, tensors) for item in items]
    return unpacked if kind == "list" else tuple(unpacked)
