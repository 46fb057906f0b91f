"""What the methods and the scripts share. They import it before the libraries, which take seconds to load: until `cli.run`
takes over, a Ctrl-C ends a command at once, without a traceback. A program that is not ours keeps its own way."""

import signal
import sys
from pathlib import Path

ROOT, PROGRAM = Path(__file__).resolve().parents[1], getattr(sys.modules["__main__"], "__file__", None) or "/"
if (
    Path(PROGRAM).resolve().parent in (ROOT, ROOT / "benchmarks")
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
