"""Programs in the pages: each stands in its page as it stands in its file, so that a code forge shows it too.

``python docs/shown.py`` writes the programs into the pages anew, below the comments that name their files.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parent
PROGRAM = re.compile(r"^<!-- program: (\S+\.py) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def renewed(page: Path) -> str:
    """Return the text of the page with its programs as their files have them."""

    def program(shown: re.Match[str]) -> str:
        text = (page.parent / shown[1]).read_text()
        return f"<!-- program: {shown[1]} -->\n```python\n{text}```"

    return PROGRAM.sub(program, page.read_text())


if __name__ == "__main__":
    for page in sorted(DOCS.rglob("*.md")):
        page.write_text(renewed(page))
