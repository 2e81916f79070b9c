"""Reads offline ``run-<id>.wandb`` files: LevelDB's log format, each entry a protobuf ``Record``."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32 * 1024


def records(path: Path) -> Iterator[Any]:
    """The messages of a file; an entry may be cut into first (2), middle (3) and last (4) pieces, or be full (1)."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, entry = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := _BLOCK - at % _BLOCK) < 7:  # the rest of a block is padding
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        entry += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield Record.FromString(entry)
            entry = b""


def read_run(path: Path) -> dict[str, Any]:
    """One run: name, group, tags, config, history (a dict per row), summary (as last written), exit code, metrics."""
    run: dict[str, Any] = {"history": [], "summary": {}, "exit_code": None, "metrics": {}}
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
                run |= {"name": record.run.display_name, "group": record.run.run_group, "tags": set(record.run.tags)}
                run["config"] = {name: value for name, value in config.items() if name != "_wandb"}
            case "history":
                run["history"].append({_key(item): json.loads(item.value_json) for item in record.history.item})
            case "summary":
                run["summary"] |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
            case "metric":
                run["metrics"][record.metric.name or record.metric.glob_name] = record.metric
            case "exit":
                run["exit_code"] = record.exit.exit_code
    return run


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)
