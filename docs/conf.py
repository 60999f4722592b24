"""How Sphinx makes the site: `make docs`."""

import sys
from pathlib import Path

from pyelevator import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for public_names

project = "pyelevator"
version = release = __version__
author = "The pyelevator developers"
copyright = "the pyelevator developers, MIT License"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser", "public_names"]
exclude_patterns = ["_build", "programs"]
html_theme = "furo"
html_title = "pyelevator"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {"navigation_with_keys": True}

default_role = "code"  # in docstrings one backtick means code, as it does in Markdown
python_maximum_signature_line_length = 88
nitpicky = True
suppress_warnings = ["ref.python"]  # a client imports Pipeline for type checkers only, and a command has that name too
nitpick_ignore = [  # the options of a constructor, and types that only type checkers import
    ("py:class", name)
    for name in (
        "AsyncClient",
        "TypedOptions",
        "SyncBatch",
        "SyncClient",
        "SyncPipeline",
        "T",
        "Traffic",
        "_pytest.config.argparsing.Parser",
        "_pytest.fixtures.FixtureRequest",
        "contextlib.AbstractContextManager",
        "socket.socket",
    )
]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_class_signature = "mixed"
autodoc_typehints_format = "short"
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_numpy_docstring = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
