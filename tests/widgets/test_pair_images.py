"""Images in the viewer: one zoom for all, their difference, swapped, missing, and let go of."""

import pytest
from viewer_pages import judged, opened, pairs, png, press, settled, wait_for

from workbench.pairs.comparison import Comparison
from workbench.widgets.pair_viewer import PairViewer

BOXES = """[...document.querySelectorAll('.wb-frame')].map((frame) => {
  const [f, p] = [frame.getBoundingClientRect(), frame.querySelector('img, canvas').getBoundingClientRect()];
  return [(f.left + f.width / 2 - p.left) / p.width, (f.top + f.height / 2 - p.top) / p.height, p.width / f.width];
})"""


def together(page):
    """Centre of view in each image, as fractions, and the zoom; the same for all."""
    boxes = page.evaluate(BOXES)
    for box in boxes:
        assert box == pytest.approx(boxes[0], abs=0.01)
    return boxes[0]


def test_zoom_and_pan_move_all_images_to_the_same_place(browser_page):
    sizes = [(640, 480), (1280, 960), (64, 48)]  # one shape, three resolutions
    shown = Comparison(
        "p", "edit", "x", (png("red", sizes[1]), png("blue", sizes[2])), source_image=png("green", sizes[0])
    )
    page = opened(browser_page, PairViewer([shown]))
    whole = together(page)
    assert page.evaluate("document.querySelectorAll('.wb-frame img')[2].style.imageRendering") == "pixelated"
    assert page.evaluate("document.querySelectorAll('.wb-frame img')[1].style.imageRendering") == "auto"
    press(page, "+", "+", "=", "+")
    assert together(page)[2] == pytest.approx(whole[2] * 1.25**4, rel=0.01)
    before = together(page)
    press(page, "Shift+ArrowRight", "Shift+ArrowDown")
    after = together(page)
    assert after[0] > before[0]
    assert after[1] > before[1]
    box = page.locator(".wb-frame").nth(1).bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 130)
    page.mouse.up()
    dragged = together(page)
    assert dragged[0] < after[0]
    assert dragged[1] < after[1]
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(50)
    assert together(page)[2] > dragged[2]
    press(page, "1")
    assert page.inner_text(".wb-scale") == "100%"
    press(page, "0")
    assert together(page) == pytest.approx(whole, abs=0.01)
    press(page, "Escape")
    page.mouse.wheel(0, -300)  # without the focus the wheel is the page's
    page.wait_for_timeout(50)
    assert together(page)[2] == pytest.approx(whole[2], abs=0.01)


def test_the_difference_shows_one_changed_pixel_and_says_when_sizes_differ(browser_page):
    images = (png("red"), png("red", dot=(250, 0, 0)), png("red", size=(32, 48)))
    page = opened(browser_page, PairViewer([Comparison("p", "edit", "x", images, source_image=png("red"))]))
    press(page, "x")
    caption = "[data-slot=difference] figcaption"
    assert (
        page.inner_text(caption)
        == "difference of a and b under 0.1% of pixels differ, by at most 5 of 255; shown ×51.0"
    )
    pixels = page.evaluate(
        "[...document.querySelector('.wb-frame canvas').getContext('2d').getImageData(0, 0, 2, 1).data]"
    )
    assert pixels == [255, 255, 255, 255, 0, 0, 0, 255]
    press(page, "x")
    assert "sizes differ: 32×48 was scaled to 64×48" in page.inner_text(caption)
    press(page, "x", "x")
    assert page.inner_text(caption) == "difference of source and a no pixel differs"
    press(page, "x", "x", "x")
    assert page.locator(caption).count() == 0


def test_swapping_moves_images_and_their_captions_and_says_what_the_judge_saw(browser_page, tmp_path):
    page = opened(browser_page, judged(tmp_path))
    captions = "[...document.querySelectorAll('figcaption b')].map((each) => each.textContent)"
    pixel = """(() => { const [image] = document.querySelectorAll('.wb-frame img');
        const context = document.createElement('canvas').getContext('2d');
        context.drawImage(image, 0, 0);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); })()"""
    assert page.evaluate(captions) == ["a · people prefer", "b"]
    assert page.evaluate(pixel) == [255, 0, 0]
    press(page, "w")
    assert page.evaluate(captions) == ["b", "a · people prefer"]
    assert page.evaluate(pixel) == [255, 255, 255]
    assert "forward: shown a as Image 1, b as Image 2" in page.inner_text(".wb-judges")
    assert "reverse: shown b as Image 1, a as Image 2" in page.inner_text(".wb-judges")
    press(page, "ArrowRight")
    settled(page)
    press(page, "a")  # a is a, wherever it stands
    wait_for(page, "saved a")
    assert page.evaluate(captions) == ["b", "a · people prefer"]


def test_an_image_that_vanished_leaves_the_rest_at_work(browser_page, tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(png())
    bad = Comparison(
        "p0", "edit", "x", (str(path), b"junk", png("blue", (3000, 6))), source_image=png("green", (5, 2500))
    )
    widget = PairViewer([bad, *pairs()[1:]], annotations=tmp_path / "labels.jsonl", author="ada")
    path.unlink()
    page = opened(browser_page, widget)
    missing = page.locator(".wb-missing").all_inner_texts()
    assert missing == [
        f"no image: {path} does not exist: add the file, or correct the path",
        "no image: not an image file, or its start is damaged: use JPEG, PNG, WebP or GIF",
    ]
    page.wait_for_selector(".wb-gone")
    press(page, "x", "+", "c")  # no difference, a zoom, and a label for what cannot all be seen
    wait_for(page, "saved c")
    assert "an image is missing" in page.inner_text("[data-slot=difference]")
    press(page, "ArrowRight")
    page.wait_for_function("document.querySelectorAll('.wb-frame img').length === 2")
    settled(page)
    assert page.get_attribute("[data-action=difference]", "aria-pressed") == "false"


def test_thumbnails_come_on_demand_and_images_are_let_go(browser_page):
    widget = PairViewer(pairs(3000))
    browser_page.page.add_init_script(
        """window.alive = 0;
        const [make, drop] = [URL.createObjectURL, URL.revokeObjectURL];
        URL.createObjectURL = (blob) => ((alive += 1), make.call(URL, blob));
        URL.revokeObjectURL = (url) => ((alive -= 1), drop.call(URL, url));"""
    )
    page = opened(browser_page, widget)
    for _ in range(12):
        press(page, "ArrowRight")
        page.wait_for_timeout(15)
    settled(page)
    page.wait_for_timeout(200)
    asked = [
        message["content"]["content"]
        for message in browser_page.bridge.received
        if message["content"]["ask"] == "image"
    ]
    thumbs = {each["key"] for each in asked if each["size"] == "thumb"}
    assert 10 < len(thumbs) < 90
    assert page.locator(".wb-cell").count() < 30
    assert page.evaluate("alive") <= len(thumbs) + 2 + 1  # the pair in view; the module itself is one too
    page.evaluate("destroy()")
    assert page.evaluate("alive") <= 1
