"""Files that are whole or absent."""

import contextlib
import os


@contextlib.contextmanager
def atomic(path):
    """A file to write bytes to that takes its name only when it is whole; otherwise nothing is left of it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
