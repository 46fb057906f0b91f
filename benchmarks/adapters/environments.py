"""The packages that benchmarks.peers measures, each in an environment of its own."""

import subprocess
import sys
from importlib import metadata

from lab import cli
from lab.cli import check

PACKAGES = {  # file in this folder -> what its environment has beside the project's
    "tiny_diffusion": (),
    "flow_matching": ("flow-matching==1.0.10", "tqdm==4.67.1"),  # whose solver needs tqdm and does not say so
    "bionemo_moco": ("bionemo-moco==0.0.2.2", "pandas==2.3.3"),
    "diffusers": ("diffusers==0.42.1",),
    "x_transformers": ("x-transformers==2.31.10",),
    "dllm_reason": ("dllm-reason==1.6.1",),
    "telos_ml": ("telos-ml==1.2.0",),
    "bitnet_dllm": ("bitnet-dllm==1.3.0",),
    "slm388_torchdiff": ("slm388-torchdiff==0.1.74",),
    "omgformers": ("omgformers==2.0.6",),
    "hedgehog_dlm": ("hedgehog-dlm==0.2.0",),
    "dlmserve": ("dlmserve==0.1.1",),
    "dfastllm": ("dfastllm==0.0.4",),
    "d3_dna": ("d3-dna==0.1.3",),
    "kieve_moe": ("kieve-moe==0.1.0",),
}


def is_installed(name):
    """Whether a package stands here in its version."""
    for pin in PACKAGES[name][:1]:
        package, version = pin.split("==")
        try:
            return metadata.version(package) == version
        except metadata.PackageNotFoundError:
            return False
    return True


def run_in_its_own(name):
    """This command for one package, in an environment that has it. Raises UserError when it fails."""
    pins = [f"--with={pin}" for pin in PACKAGES[name]]
    command = ["uv", "run", *pins, "-m", "benchmarks.peers", *sys.argv[1:], f"--only={name}"]  # the last --only counts
    status = subprocess.run(command, cwd=cli.ROOT, check=False).returncode
    check(status == 0, f"{name}: ended with status {status}; what it says stands above")
