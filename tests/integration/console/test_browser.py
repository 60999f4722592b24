"""The console in a real browser: a headless Chromium that a driver tells what to do. Skipped where there is none.

``--screenshots`` writes the pictures of the documentation into docs/; without it they go to a temporary directory.
"""

import json
import math
import re
import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pyelevator import Elevator, KeyNotFound
from pyelevator.application import Application
from pyelevator.commands import PUT
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.testing.servers import serve
from support.eventually import eventually
from support.web_console import running_console
from support.webdriver import CHROMEDRIVER, CHROMIUM, MISSING, open_browser

pytestmark = pytest.mark.skipif(CHROMIUM is None or CHROMEDRIVER is None, reason=MISSING)

MANY = 1_000_000
WIDE, NARROW = (1200, 760), (390, 760)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(opened, console):
    """A browser that has opened the link of a console; at the end, its log has no complaint about the page."""
    opened.resize(*WIDE)
    opened.prefer("light")
    opened.open(console.url)
    opened.find("main table")
    opened.note_messages()
    opened.log()
    yield opened
    assert opened.log() == []
    opened.open("about:blank")


@pytest.fixture(scope="session")
def pictures(request, tmp_path_factory):
    """Where screenshots are written."""
    if request.config.getoption("--screenshots"):
        return Path(__file__).parents[3] / "docs" / "pictures"
    return tmp_path_factory.mktemp("pictures")


def go(browser, view, **parameters):
    """Go to a view of the console, and wait until it is there."""
    script = "return location.hash = `#/${arguments[0]}?${new URLSearchParams(arguments[1])}`"
    address = browser.run(script, view, parameters)
    script = "return document.getElementById('main').dataset.address === arguments[0]"
    browser.wait(lambda: browser.run(script, address), address)


def fill(database):
    """A shop: orders as JSON, sessions as msgpack, users as text."""
    with database.WriteBatch(timeout=60) as batch:
        for number in range(1200):
            order = {
                "id": number,
                "customer": f"customer:{number % 50}",
                "items": [{"sku": "A-17", "count": 2}],
                "paid": True,
            }
            batch.Put(f"order:{number:06}", json.dumps(order))
        for number in range(300):
            batch.Put(f"session:{number:04x}", msgpack.packb({"user": number, "seen": 1.5, "key": b"\x00\x01"}))
        for number in range(250):
            batch.Put(f"user:{number:05}", f"Ann Example {number}")
        batch.Put(b"raw:\xff\x00", b"\x00\xff")


def focused(browser):
    return browser.run("return document.activeElement.textContent || document.activeElement.id")


def test_the_token_leaves_the_address_and_scripts_cannot_read_the_cookie(browser):
    assert "token" not in browser.address
    assert browser.run("return document.cookie") == ""
    assert browser.run("return document.referrer") == ""


def test_databases_keys_and_values_are_browsed(browser, server, database):
    database.createdb("shop")
    with Elevator.from_url(server.urls[0], db_name="shop", encoding=None, timeout=60) as shop:
        fill(shop)
    go(browser, "databases", again=1)
    browser.click("main a", "shop")
    browser.see("100 keys from the first on")
    assert browser.texts(".list a")[:2] == ["order:000000", "order:000001"]
    browser.click(".pager button", "Next")
    browser.wait(lambda: browser.texts(".list a")[:1] == ["order:000100"], "the next page")
    browser.click(".pager button", "Last")
    browser.wait(lambda: browser.texts(".list a")[-1:] == ["user:00249"], "the last page")
    browser.click(".pager button", "Previous")
    browser.wait(lambda: browser.texts(".list a")[-1:] == ["user:00149"], "the page before")
    browser.type("#prefix", "session:00")
    browser.press("Enter")
    browser.wait(lambda: browser.texts(".list a")[:1] == ["session:0000"], "what was searched for")
    browser.click(".list a", "session:0002")
    assert json.loads(browser.value("textarea")) == {"user": 2, "seen": 1.5, "key": {"$bin": "0001"}}
    browser.click(".formats button", "Hex")
    browser.wait(lambda: browser.value("textarea").startswith("83 a4 75 73"), "bytes")
    browser.type("#prefix", "raw:")
    browser.press("Enter")
    browser.click(".list a", "raw:\\xff\\x00")
    browser.wait(lambda: browser.value("textarea") == "00 ff", "bytes")
    assert "key=raw" in browser.address


def test_keys_and_values_are_text_and_never_markup(browser, database):
    markup = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'
    database.createdb('<img src=x onerror="document.title=3">')
    database.Put(markup, markup)
    go(browser, "databases", again=1)
    go(browser, "keys", prefix='"><img', key=markup)
    assert browser.value("textarea") == markup
    assert browser.texts(".list a") == [markup]
    go(browser, "prefixes", run=1, prefix='"><img')
    assert browser.run("return [document.title, document.querySelectorAll('main img, main script').length]") == [
        "Elevator console",
        0,
    ]


def test_a_value_is_edited_and_saved(browser, database):
    database.Put("greeting", '{"text":"hello"}')
    go(browser, "keys", key="greeting")
    browser.type("textarea", '{"text": "bye"}')
    browser.see("changed, not saved")
    browser.click("button", "Save")
    browser.see_message("Saved.")
    assert database.Get("greeting") == b'{"text":"bye"}'
    browser.click(".formats button", "Hex")
    browser.type("textarea", "zz")
    browser.click("button", "Save")
    browser.see_message("not pairs of hexadecimal digits")
    browser.click("button", "Revert")
    assert json.loads(browser.value("textarea")) == {"text": "bye"}


def test_a_text_that_was_typed_is_converted_into_another_format(browser, database):
    database.Put("k", "v")
    go(browser, "keys", key="k")
    browser.type("textarea", "caf\u00e9")
    browser.click(".formats button", "Hex")
    browser.wait(lambda: browser.value("textarea") == "63 61 66 c3 a9", "the digits")
    browser.click("button", "Save")
    browser.see_message("Saved.")
    assert database.Get("k") == "caf\u00e9".encode()


def test_keys_are_added_and_deleted(browser, database):
    go(browser, "keys")
    browser.click("button", "New key")
    browser.type("#new-key", "new:\\x00")
    browser.type("textarea", "fresh")
    browser.click("button", "Save")
    browser.find(".list a[aria-current]", "new:\\x00")
    assert database.Get(b"new:\x00") == b"fresh"
    browser.click("button", "Delete")
    browser.click("dialog button", "Delete")
    browser.see_message("Deleted.")
    browser.wait(lambda: browser.texts(".list a") == [], "an empty list")
    with pytest.raises(KeyNotFound):
        database.Get(b"new:\x00")


def test_an_edit_overwrites_nothing_that_was_written_meanwhile(browser, database, pictures):
    database.Put("stock:17", '{"count":12}')
    go(browser, "keys", key="stock:17")
    browser.type("textarea", '{"count": 11}')
    database.Put("stock:17", '{"count":3,"reserved":9}')
    browser.click("button", "Save")
    browser.see("Another client changed this value after you opened it.")
    browser.screenshot(pictures / "console-conflict.png")
    assert database.Get("stock:17") == b'{"count":3,"reserved":9}'
    assert json.loads(browser.value("textarea")) == {"count": 11}
    browser.click("button", "Show theirs")
    browser.wait(lambda: '"reserved": 9' in browser.value("textarea"), "their value")
    browser.type("textarea", '{"count": 2}')
    database.Put("stock:17", '{"count":1}')
    browser.click("button", "Save")
    browser.click("button", "Keep mine")
    browser.click("button", "Save")
    browser.see_message("Saved.")
    assert database.Get("stock:17") == b'{"count":2}'


def test_a_value_that_was_deleted_meanwhile_does_not_come_back_unasked(browser, database):
    database.Put("k", "one")
    go(browser, "keys", key="k")
    browser.type("textarea", "two")
    database.Delete("k")
    browser.click("button", "Save")
    browser.see("They deleted it.")
    assert not database.Exists("k")
    browser.click("button", "Keep mine")
    browser.click("button", "Save")
    browser.see_message("Saved.")
    assert database.Get("k") == b"two"


def test_changes_that_are_not_saved_are_not_left_unasked(browser, database):
    database.Put("a", "one")
    database.Put("b", "two")
    go(browser, "keys", key="a")
    browser.type("textarea", "changed")
    browser.click(".list a", "b")
    browser.click("dialog button", "Cancel")
    assert browser.value("textarea") == "changed"
    assert "key=a" in browser.address
    browser.click(".list a", "b")
    browser.click("dialog button", "Discard")
    browser.wait(lambda: browser.value("textarea") == "two", "the other value")
    assert database.Get("a") == b"one"


def test_without_write_nothing_can_be_edited(opened, server, database):
    database.Put("k", "v")
    with running_console(server.urls[0]) as console:
        opened.resize(*WIDE)
        opened.open(console.url)
        opened.see("read-only")
        opened.find("main table")
        go(opened, "keys", key="k")
        opened.find("textarea[readonly]")
        buttons = " ".join(opened.texts("main button"))
        assert not re.search("Save|Revert|Delete|New", buttons)
        opened.open("about:blank")


def test_a_backup_is_made_and_shown(opened, tmp_path):
    with (
        serve(Application.on_leveldb(tmp_path / "data")) as server,
        running_console(server.urls[0], write=True) as console,
    ):
        with Elevator.from_url(server.urls[0], encoding=None, timeout=60) as E:
            fill(E)
        opened.resize(*WIDE)
        opened.open(console.url)
        opened.find("main table")
        go(opened, "backups")
        opened.type("#directory", str(tmp_path / "copy"))
        opened.press("Enter")
        opened.find("span.done", "done")
        opened.type("#directory", str(tmp_path / "copy"))
        opened.press("Enter")
        opened.find("span.failed", "failed")
        assert (tmp_path / "copy" / "CURRENT").exists()
        assert opened.log() == []
        opened.open("about:blank")


class Load(threading.Thread):
    """A client that asks, now more and now less, until it is told to stop."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.stopping = threading.Event()

    def run(self):
        turn = 0
        while not self.stopping.wait(0.05):
            turn += 1
            for _ in range(20 + round(15 * math.sin(turn / 40)) + turn % 7):
                self.database.Exists("k")
            self.database.Slice(None, 100)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


def test_the_charts_are_live(browser, database, pictures, request):
    fill(database)
    go(browser, "activity")
    label = "return document.querySelector('section[aria-label=Requests] svg').getAttribute('aria-label')"
    points = "return document.querySelector('path.line-1').getAttribute('d').split('L').length"
    with Load(database):
        browser.wait(lambda: re.search(r"all [1-9]", browser.run(label)), "requests in the chart")
        browser.wait(lambda: browser.run(points) >= 3, "a line")
        first = browser.run(label)
        browser.wait(lambda: browser.run(label) != first, "other figures")
        if request.config.getoption("--screenshots"):
            browser.wait(lambda: browser.run(points) >= 50, "a chart for the page")
            browser.screenshot(pictures / "console-activity.png")
    browser.see("EXISTS")
    names = ["Requests", "Latency", "Connections", "Traffic"]
    assert (
        browser.run("return [...document.querySelectorAll('.chart')].map(each => each.getAttribute('aria-label'))")
        == names
    )


def test_everything_is_done_with_the_keyboard_alone(browser, database):
    with database.WriteBatch(timeout=60) as batch:
        for number in range(250):
            batch.Put(f"user:{number:03}", f"name {number}")
    browser.press("2")
    browser.see("100 keys from the first on")
    browser.press("/")
    assert focused(browser) == "prefix"
    browser.press(*"user:", "Enter")
    browser.wait(lambda: "prefix=user" in browser.address, "the search")
    browser.press("Escape")
    browser.run("document.activeElement.blur()")
    browser.press("n")
    browser.wait(lambda: browser.texts(".list a")[:1] == ["user:100"], "the next page")
    browser.press("p")
    browser.wait(lambda: browser.texts(".list a")[:1] == ["user:000"], "the page before")
    browser.press("Down", "Down", "Down", "Up")
    assert focused(browser) == "user:001"
    browser.press("Enter")
    browser.wait(lambda: browser.value("textarea") == "name 1", "the value")
    browser.press("e")
    assert focused(browser) == "text"
    browser.press("!")
    browser.press("s", held=["Control"])
    browser.see_message("Saved.")
    assert database.Get("user:001") in (b"name 1!", b"!name 1")
    browser.press("Escape")
    assert focused(browser) == "user:001"
    browser.press("?")
    browser.find("dialog[open]", "Keyboard")
    browser.press("Escape")
    browser.wait(lambda: not browser.texts("dialog[open]"), "no dialog")


HOLD = """const [method, path] = arguments, real = window.fetch;
    window.held = [];
    window.fetch = (url, options) => !url.startsWith(path) || options.method !== method
        ? real(url, options)
        : new Promise((done) => held.push(() => done(real(url, options))));
    window.release = () => { window.fetch = real; held.forEach((each) => each()); };"""
"""Holds requests back until ``release()``."""


def held(browser):
    return browser.run("return window.held.length")


def test_the_focus_stays_on_its_key_when_the_page_is_read_again(browser, database):
    with database.WriteBatch(timeout=60) as batch:
        for number in range(100):
            batch.Put(f"user:{number:03}", f"name {number}")
    go(browser, "keys", key="user:070")
    browser.wait(lambda: browser.value("textarea") == "name 70", "the value")
    browser.run(HOLD, "GET", "/api/keys")
    browser.press("!")
    browser.press("s", held=["Control"])
    browser.wait(lambda: held(browser) == 1, "the page is asked for")
    browser.press("Escape")
    assert focused(browser) == "user:070"
    scrolled = browser.run("return document.querySelector('.list').scrollTop")
    assert scrolled > 0
    browser.run("document.querySelector('.list a').dataset.old = ''; release()")
    browser.wait(lambda: browser.run("return !document.querySelector('[data-old]')"), "the page is there again")
    assert focused(browser) == "user:070"
    assert browser.run("return document.querySelector('.list').scrollTop") == scrolled


def test_what_is_typed_while_a_value_is_saved_stays_there_to_be_saved(browser, database):
    database.Put("k", "one")
    go(browser, "keys", key="k")
    browser.wait(lambda: browser.value("textarea") == "one", "the value")
    browser.run(HOLD, "PUT", "/api/value")
    browser.press("End", "!")
    browser.press("s", held=["Control"])
    browser.wait(lambda: held(browser) == 1, "the value is sent")
    browser.press("?")
    browser.run("release()")
    browser.see_message("Saved.")
    assert database.Get("k") == b"one!"
    assert browser.value("textarea") == "one!?"
    browser.see("changed, not saved")
    browser.press("2")
    assert browser.value("textarea") == "one!?2"
    browser.press("s", held=["Control"])
    eventually(lambda: database.Get("k") == b"one!?2", lambda: database.Get("k"))


def test_a_table_that_is_read_again_keeps_focus_and_scrolled_place(browser, database):
    fill(database)
    browser.resize(*NARROW)
    go(browser, "activity")
    browser.find(".scroll")
    script = """const table = document.querySelector('.scroll');
        Object.assign(table.dataset, { old: '' });
        table.focus();
        table.scrollLeft = 30;
        return table.scrollLeft;"""
    scrolled = browser.run(script)
    assert scrolled > 0
    browser.wait(lambda: browser.run("return !document.querySelector('[data-old]')"), "the table is read again")
    assert browser.run("return document.activeElement.matches('.scroll')")
    assert browser.run("return document.querySelector('.scroll').scrollLeft") == scrolled


def test_tab_reaches_everything_and_shows_where_it_is(browser, database):
    database.Put("k", "v")
    go(browser, "keys", key="k")
    browser.find("textarea")
    browser.run("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    seen, unseen = list[Any](), list[Any]()
    script = """const here = document.activeElement;
        if (here === document.body) return null;
        const style = getComputedStyle(here);
        return [here.textContent.trim() || here.id, style.outlineStyle !== 'none' && here.matches(':focus-visible')];"""
    for _ in range(40):
        browser.press("Tab")
        here = browser.run(script)
        if here is None or (seen and here[0] == seen[0]):
            break
        seen.append(here[0])
        if not here[1]:
            unseen.append(here[0])
    assert unseen == []
    assert {
        "Skip to the content",
        "Keys",
        "prefix",
        "from",
        "Search",
        "New key",
        "k",
        "Text",
        "Hex",
        "text",
        "Download",
        "Delete…",
    } <= set(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW, (320, 568)], ids=["wide", "narrow", "smallest"])
def test_every_view_fits_its_screen_and_can_be_read(browser, database, size, scheme):
    """Nothing sticks out to the right, and each text stands off from what is behind it (4.5 to 1, as WCAG 2 AA asks)."""
    fill(database)
    browser.resize(*size)
    browser.prefer(scheme)
    for view, parameters in VIEWS:
        go(browser, view, **parameters)
        browser.find("main h1, main h2")
        assert browser.run("return document.documentElement.scrollWidth") <= size[0], view
        assert browser.run(CONTRAST) == [], view


VIEWS = [
    ("databases", {}),
    ("keys", {"prefix": "order:"}),
    ("keys", {"prefix": "order:", "key": "order:000004"}),
    ("prefixes", {"run": "1"}),
    ("activity", {}),
    ("slowlog", {}),
    ("backups", {}),
]

CONTRAST = """
const channels = color => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = element => {
    for (let at = element; at; at = at.parentElement) {
        const color = channels(getComputedStyle(at).backgroundColor);
        if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
};
return [...document.querySelectorAll("body *")]
    .filter(each => each.checkVisibility() && !each.disabled && [...each.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(each => !(each instanceof SVGElement))
    .map(each => {
        const [one, other] = [light(channels(getComputedStyle(each).color)), light(behind(each))].sort((a, b) => b - a);
        return [each.textContent.trim().slice(0, 40), (one + 0.05) / (other + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
"""


def test_pictures_for_the_documentation(browser, server, database, pictures):
    """Each is of what the other tests look into; a picture of nothing would be smaller."""
    database.createdb("shop")
    with Elevator.from_url(server.urls[0], db_name="shop", encoding=None, timeout=60) as shop:
        fill(shop)
    go(browser, "keys", db="shop", prefix="order:", key="order:000004")
    browser.find("textarea")
    browser.screenshot(pictures / "console.png")
    browser.prefer("dark")
    browser.screenshot(pictures / "console-dark.png")
    browser.resize(*NARROW)
    browser.screenshot(pictures / "console-narrow.png")
    browser.prefer("light")
    browser.resize(*WIDE)
    go(browser, "prefixes", db="shop", run=1)
    browser.see("Done: 1,751 keys")
    browser.screenshot(pictures / "console-prefixes.png")
    names = {"console", "console-dark", "console-narrow", "console-prefixes"}
    assert names <= {path.stem for path in pictures.glob("*.png") if path.stat().st_size > 10_000}


def test_on_a_narrow_screen_the_value_takes_the_place_of_the_list(browser, database):
    database.Put("a", "one")
    browser.resize(*NARROW)
    go(browser, "keys")
    browser.click(".list a", "a")
    browser.find("textarea")
    assert browser.run("return document.querySelector('.list').checkVisibility()") is False
    browser.click("button", "Keys")
    browser.find(".list a", "a")
    assert browser.run("return document.querySelector('section.value').checkVisibility()") is False
    assert focused(browser) == "a"


def test_a_million_keys_are_browsed_a_page_at_a_time(opened, tmp_path):
    """They are in a LevelDB; the page never holds more than its hundred, and the scan counts all of them."""
    with LevelDbStorage().open(str(tmp_path / "default"), {}) as engine:
        for start in range(0, MANY, 50_000):
            keys = (f"{'event' if number % 4 else 'user'}:{number:07}" for number in range(start, start + 50_000))
            engine.write([(PUT, key.encode(), b"v" * 20) for key in keys])
    with serve(Application.on_leveldb(tmp_path)) as server:
        with running_console(server.urls[0], {"timeout": 60}) as console:
            opened.resize(*WIDE)
            opened.prefer("light")
            opened.open(console.url)
            opened.find("main table")
            go(opened, "keys")
            opened.see("100 keys from the first on")
            opened.type("#from", "event:0500000")
            opened.press("Enter")
            opened.wait(lambda: opened.texts(".list a")[:1] == ["event:0500001"], "the middle")
            opened.click(".pager button", "Last")
            opened.wait(lambda: opened.texts(".list a")[-1:] == ["user:0999996"], "the end")
            opened.click(".pager button", "Previous")
            opened.wait(lambda: opened.texts(".list a")[-1:] == [f"user:{999_996 - 400:07}"], "the page before")
            assert len(opened.texts(".list a")) == 100
            go(opened, "prefixes", run="1")
            opened.see("Done: 1,000,000 keys")
            assert [text.partition(":")[0] for text in opened.texts("tbody tr")] == ["event", "user"]
            assert "750,000" in opened.texts("tbody tr")[0]
            assert opened.log() == []
            opened.open("about:blank")
