"""Arrays in files: ``.npz`` archives with equal bytes for equal content, and pytrees of arrays inside them."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from upliftlens.causal.errors import UpliftlensError

_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip member carries a time; a constant one keeps equal content equal


def write(file: IO[bytes], content: Mapping[str, np.ndarray], compress: bool) -> None:
    """Writes named arrays as an ``.npz`` that ``numpy.load`` reads. Any name works, also ``cp@k/semi`` or ``file``.

    Raises:
        TypeError: for an array that the format can't hold, such as one of Python objects or of an extension dtype.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
        for name, values in content.items():
            if values.dtype.kind not in "biufcSU":
                raise TypeError(
                    f"array {name!r} has dtype {values.dtype}, which an .npz file doesn't keep: convert it first"
                )
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.compress_type = method
            with archive.open(member, "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.asanyarray(values), allow_pickle=False)


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path, checksum: str | None = None) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz``; each is checked against its checksum, and the whole file against ``checksum``.

    Raises:
        UpliftlensError: if the file is missing or damaged, or another one than that with the ``checksum``.
    """
    try:
        if checksum is not None and checksum != checksum_of(path):
            raise ValueError("its checksum differs: it is not the file that was written")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UpliftlensError(f"{path} is missing: delete its folder and run the job again") from None
    except Exception as cause:  # a flipped bit may raise any kind: of zipfile, of zlib, of NumPy's header
        raise UpliftlensError(f"{path} is damaged ({cause}): delete its folder and run the job again") from None


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """The leaves of a pytree by their paths, as host arrays; typed PRNG keys become their uint32 data."""
    import jax

    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    content = {
        jax.tree_util.keystr(path): np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        for path, leaf in leaves
    }
    assert len(content) == len(leaves), "two leaves of a state share a path"
    return content


def unflatten(content: Mapping[str, np.ndarray], template: Any, where: str) -> Any:
    """The pytree with the structure of ``template`` and the stored arrays for leaves; ``where`` is named in errors.

    Template leaves may be arrays or ``jax.ShapeDtypeStruct``. Leaves are NumPy arrays where the template's are, else
    on the device.

    Raises:
        UpliftlensError: if a leaf is missing or too many, or differs in shape or dtype.
    """
    import jax

    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    if strange := sorted(expected.keys() ^ content.keys()):
        state = "not in the file" if strange[0] in expected else "only in the file"
        raise UpliftlensError(_mismatch(where, f"leaf {strange[0]} is {state}"))
    return jax.tree_util.tree_unflatten(
        structure, [_device(content[name], leaf, name, where) for name, leaf in expected.items()]
    )


def _is_key(leaf: Any) -> bool:
    import jax

    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _device(values: np.ndarray, leaf: Any, name: str, where: str) -> Any:
    import jax

    data = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    data = data if hasattr(data, "dtype") else np.asarray(data)
    if (values.shape, values.dtype) != (data.shape, data.dtype):
        raise UpliftlensError(
            _mismatch(where, f"leaf {name} is {values.dtype}{list(values.shape)}, not {data.dtype}{list(data.shape)}")
        )
    if isinstance(data, np.ndarray):
        return values
    on_device = jax.numpy.asarray(values)
    if not _is_key(leaf):
        return on_device
    return jax.random.wrap_key_data(on_device, impl=jax.random.key_impl(jax.numpy.empty((), leaf.dtype)))


def _mismatch(where: str, what: str) -> str:
    return f"{where} holds the state of another model: {what}.\nDelete its folder and run the job again."
