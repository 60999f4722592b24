"""Builds both modules; the one for servers links LevelDB's library."""

import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HEADERS = [Path(folder, "leveldb", "db.h") for folder in ("/usr/include", "/usr/local/include")]

if not any(header.exists() for header in HEADERS):
    sys.exit(
        "pyelevator-native needs LevelDB's headers and a C++ compiler; install them with:\n"
        "  apt-get install g++ libleveldb-dev"
    )


def extension(name: str, libraries: list[str]) -> Extension:
    """Describe one of the modules."""
    return Extension(
        f"pyelevator_native.{name}",
        [f"src/pyelevator_native/{name}.pyx"],
        include_dirs=["src/pyelevator_native"],
        libraries=libraries,
        language="c++",
        extra_compile_args=["-std=c++17", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter"],
    )


setup(ext_modules=cythonize([extension("leveldb", ["leveldb"]), extension("pages", []), extension("messages", [])]))
