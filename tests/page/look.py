#!/usr/bin/env python3
"""Looks at the page of a run with a browser, uses it as a reader does, and checks what comes of it.

    look.py BROWSER FOLDER      FOLDER holds run.html; pictures are saved beside it
"""

import pathlib
import sys

from browser import Browser

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def window(browser):
    """How long a time is shown, in seconds, by the words of the page."""
    words = browser.evaluate("document.getElementById('window').textContent")
    begin, _, rest = words.partition(" s to ")
    return float(rest.partition(" s")[0]) - float(begin)


def box(browser, selector):
    expression = f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();" \
        " return [b.left, b.top, b.width, b.height]; })()"
    return browser.evaluate(expression)


def frame(browser):
    """Waits for the next picture."""
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@check
def the_script_has_drawn(browser, _):
    assert int(browser.evaluate("document.documentElement.dataset.marks")) > 50
    assert browser.evaluate("document.querySelectorAll('#legend button').length") >= 6
    width, height = browser.evaluate("[picture.width, picture.height]")
    assert width > 500 and height > 300, (width, height)
    colours = browser.evaluate(
        "(() => { const c = document.getElementById('picture'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; const seen = new Set();"
        " for (let at = 0; at < d.length; at += 4) seen.add((d[at] << 16) | (d[at + 1] << 8) | d[at + 2]);"
        " return seen.size; })()"
    )
    assert colours > 20, colours


@check
def names_from_the_log_are_text(browser, _):
    assert browser.evaluate("document.images.length") == 0
    assert browser.evaluate("document.scripts.length") == 2
    browser.evaluate("document.getElementById('list').open = true")
    browser.wait("document.querySelectorAll('#rows tr').length > 50")
    assert "<img src=x" in browser.evaluate("document.getElementById('rows').textContent")
    browser.evaluate("document.getElementById('list').open = false")


@check
def keys_zoom_and_move(browser, _):
    whole = window(browser)
    browser.evaluate("document.getElementById('picture').focus()")
    browser.key("+")
    browser.key("+")
    frame(browser)
    assert abs(window(browser) - whole / 4) < 0.01 * whole, window(browser)
    browser.key("ArrowRight")
    browser.key("0")
    frame(browser)
    assert window(browser) == whole


@check
def a_failover_is_one_key_away(browser, folder):
    browser.key("n")
    frame(browser)
    assert window(browser) < 5.0, window(browser)
    browser.picture(folder / "failover.png")
    browser.key("n")
    frame(browser)
    browser.evaluate("document.getElementById('reset').click()")


@check
def events_are_told_by_keys_and_by_the_pointer(browser, _):
    browser.evaluate("document.getElementById('picture').focus()")
    browser.key(".")
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    assert "node" in browser.evaluate(tip)
    browser.key("Escape")
    assert browser.evaluate(tip) == ""
    left, top, width, _ = box(browser, "#picture")
    browser.mouse("mouseMoved", left + width / 2, top + 74)
    assert "coordinates in epoch" in browser.evaluate(tip) or "nobody acts" in browser.evaluate(tip)


@check
def the_wheel_zooms_and_dragging_moves(browser, _):
    whole = window(browser)
    left, top, width, height = box(browser, "#picture")
    x, y = left + width / 2, top + height / 2
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    frame(browser)
    zoomed = window(browser)
    assert zoomed < whole / 2, (zoomed, whole)
    before = browser.evaluate("document.getElementById('window').textContent")
    browser.mouse("mousePressed", x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 90, y, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 90, y, button="left", clickCount=1)
    frame(browser)
    assert browser.evaluate("document.getElementById('window').textContent") != before
    assert abs(window(browser) - zoomed) < 1e-5
    browser.evaluate("document.getElementById('reset').click()")


@check
def the_legend_hides_kinds(browser, _):
    pressed = "document.querySelector('#legend button').getAttribute('aria-pressed')"
    assert browser.evaluate(pressed) == "true"
    browser.evaluate("document.querySelector('#legend button').click()")
    assert browser.evaluate(pressed) == "false"
    browser.evaluate("document.querySelector('#legend button').click()")


@check
def an_address_sets_the_time(browser, folder):
    address = (folder / "run.html").resolve().as_uri()
    browser.open(f"{address}#from=0.1&to=0.35")
    assert abs(window(browser) - 0.25) < 1e-5, window(browser)
    browser.open(address)


@check
def torn_lines_are_told(browser, _):
    assert "torn" in browser.evaluate("document.querySelector('.left-out').textContent")


@check
def it_is_dark_for_those_who_like_it_so(browser, folder):
    corner = "document.getElementById('picture').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
    assert browser.evaluate(corner) > 200
    browser.picture(folder / "light.png")
    browser.scheme("dark")
    frame(browser)
    assert browser.evaluate(corner) < 60
    browser.picture(folder / "dark.png")


@check
def paper_is_white_and_the_screen_is_as_it_was(browser, folder):
    browser.paper(folder / "page.pdf")
    assert (folder / "page.pdf").stat().st_size > 20_000
    frame(browser)
    corner = "document.getElementById('picture').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
    assert browser.evaluate(corner) < 60
    browser.scheme("light")


@check
def a_telephone_has_room_for_it(browser, folder):
    browser.size(400, 800)
    frame(browser)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    browser.picture(folder / "narrow.png")
    browser.size(1400, 1000)


@check
def two_fingers_zoom(browser, _):
    whole = window(browser)
    left, top, width, height = box(browser, "#picture")
    y = top + height / 2

    def touch(kind, *distances):
        points = [{"x": left + width / 2 + one, "y": y, "id": number} for number, one in enumerate(distances)]
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    touch("touchStart", -50)
    touch("touchStart", -50, 50)
    for spread in range(60, 201, 20):
        touch("touchMove", -spread, spread)
    touch("touchEnd")
    frame(browser)
    assert window(browser) < whole / 2, (window(browser), whole)
    browser.evaluate("document.getElementById('reset').click()")
    frame(browser)


@check
def nothing_was_refused_and_nothing_fetched(browser, _):
    own = ("file:", "about:")
    assert [url for url in browser.fetched() if not url.startswith(own)] == []
    assert browser.complaints() == []


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    failed = 0
    with Browser(program) as browser:
        browser.size(1400, 1000)
        browser.scheme("light")
        browser.open((folder / "run.html").resolve().as_uri())
        for function in CHECKS:
            name = function.__name__.replace("_", " ")
            try:
                function(browser, folder)
                print(f"ok      {name}")
            except (AssertionError, RuntimeError) as error:
                failed += 1
                print(f"FAILED  {name}: {error} {browser.complaints()}")
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
