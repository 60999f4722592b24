"""Bookmarks: a small application of the tutorial."""

import sys

from pyelevator import DatabaseError, Elevator

DATABASE = "bookmarks"


def connect() -> Elevator[str]:
    """A client of the application's database, which is created when it is first needed."""
    db = Elevator()
    try:
        db.connect(DATABASE)
    except DatabaseError:
        db.createdb(DATABASE)
        db.connect(DATABASE)
    return db


def add(db: Elevator[str], url: str, title: str, *tags: str) -> None:
    """Keeps a bookmark, and an entry for each tag: all of that, or nothing."""
    with db.WriteBatch() as batch:
        batch.Put(f"url/{url}", title)
        for tag in tags:
            batch.Put(f"tag/{tag}/{url}", "")


def tagged(db: Elevator[str], tag: str) -> list[tuple[str, str]]:
    """The bookmarks with a tag: URLs and titles."""
    prefix = f"tag/{tag}/"
    urls = [key.removeprefix(prefix) for key in db.RangeIter(prefix=prefix, include_value=False)]
    return [(url, title or "") for url, title in zip(urls, db.MGet([f"url/{url}" for url in urls]), strict=True)]


def main() -> None:
    match sys.argv[1:]:
        case ["add", url, title, *tags]:
            with connect() as db:
                add(db, url, title, *tags)
        case ["tagged", tag]:
            with connect() as db:
                for url, title in tagged(db, tag):
                    print(f"{title}: {url}")
        case _:
            sys.exit("usage: bookmarks.py add URL TITLE [TAG]... | tagged TAG")


if __name__ == "__main__":
    main()
