"""The page of settings is what the schema says."""

from support.pages import load


def test_the_page_shows_the_settings_of_today():
    module = load("docs/settings_page.py")
    assert module.PAGE.read_text() == module.page(), "python docs/settings_page.py writes the page"
