"""Tests of the extension: they need it built (``make native``), and compare it with the reference."""

import pytest

pytest.importorskip("pyelevator_native", reason="the extension is not built; say make native")
