"""``python -m fuzz``: fuzzes each codec target for FUZZ_SECONDS (60), guided by coverage; needs the extra ``fuzz``.

``python -m fuzz TARGET`` runs one target; further arguments are libFuzzer's. What was found interesting stays in
``.fuzz/`` for the next run, and so does an input that failed.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / ".fuzz"
SECONDS: Final = os.environ.get("FUZZ_SECONDS", "60")
MISSING: Final = (
    "make fuzz needs atheris, which is not installed for this Python ({version}); install it with: "
    "pip install 'pyelevator[fuzz]' (it has wheels for Linux and CPython 3.11 to 3.13)"
)


def fuzz(name: str, arguments: list[str]) -> None:
    """Fuzzes one target until libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["pyelevator.codec", "pyelevator.commands", "pyelevator.arguments"]):
        from fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def run_each() -> int:
    """Fuzzes every target in a process of its own; 1 if one of them failed."""
    from fuzz.targets import TARGETS

    return max([run(name) for name in TARGETS])


def run(name: str) -> int:
    """Fuzzes one target for the time that is given to it."""
    print(f"fuzzing {name} for {SECONDS} s", flush=True)
    return min(1, abs(subprocess.run(command(name, SECONDS), check=False).returncode))


def command(name: str, seconds: str) -> list[str]:
    """The process that fuzzes one target, from the recordings and what earlier runs found."""
    corpus = write_corpus(name)
    options = (f"-max_total_time={seconds}", f"-artifact_prefix={FOLDER}/{name}-", "-max_len=4096")
    words = f"-dict={Path(__file__).parent / 'words.dict'}"
    return [sys.executable, "-m", "fuzz", name, *options, "-print_final_stats=1", words, str(corpus)]


def write_corpus(name: str) -> Path:
    """The folder with the inputs to start from; the recordings are in it."""
    from fuzz.targets import seeds

    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number:04}").write_bytes(data)
    return corpus


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print(MISSING.format(version=sys.version.split()[0]), file=sys.stderr)
        return 1
    if arguments:
        fuzz(arguments[0], arguments[1:])
        return 0
    return run_each()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
