import base64
import io

import pytest
from PIL import Image, PngImagePlugin
from shared_runs import png

from workbench.sharing.markup import clean_html, clean_picture, markdown_html, metadata_of, preformatted

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<form action=https://e.example><input name=x autofocus onfocus=alert(1)></form>",
    "<meta http-equiv=refresh content='0;url=https://e.example'>",
    "<base href=https://e.example/><link rel=stylesheet href=//e.example>",
    "<div style='background:url(https://e.example/x)'>x</div>",
    "<div style='position:fixed;inset:0'>x</div>",
    "<p id=viewer class=wb data-figure=0>x</p>",
    "<style>body{display:none}</style>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<template><script>alert(1)</script></template>",
]
ACTING = ("script", "iframe", "svg", "form", "input", "meta", "base", "link", "style", "template")
DANGEROUS = (" on", "javascript:", "url(", "position", " id=", " class=", " data-", "src=")


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("clean", [clean_html, markdown_html])
def test_nothing_that_acts_is_left(attack, clean):
    html = clean(f"before {attack}\n\nafter").lower()
    tags = html.replace("&lt;", "").split("<")
    assert not [
        tag for tag in tags if tag.startswith(("script", "iframe", "svg", "form", "meta", "base", "link", "style"))
    ]
    assert not [
        tag
        for tag in tags[1:]
        if any(word in tag for word in (" on", "javascript:", "url(", "position", " id=", "src="))
    ]
    assert "before" in html


def test_text_tables_links_and_colours_remain():
    html = clean_html(
        '<table style="border-collapse:collapse"><tr><th scope="col">a</th><td colspan="2"><b>1</b></td></tr></table>'
        '<a href="https://e.example/p">out</a><a href="#pair=p1">pair</a><ins style="color: red">new</ins>'
    )
    for part in ("border-collapse", 'colspan="2"', "<b>1</b>", 'href="#pair=p1"', "color: red", "noopener"):
        assert part in html


def test_markdown_is_rendered():
    html = markdown_html("# Title\n\n| a |\n|---|\n| *b* |\n\n[p](#pair=p%2F1)\n\n$x < y$")
    for part in ("<h1>Title</h1>", "<td><em>b</em></td>", 'href="#pair=p%2F1"', "$x &lt; y$"):
        assert part in html


def test_pictures_stay_and_lose_what_is_not_pixels():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "by ada on gpu7")
    told = png((1, 2, 3), pnginfo=info)
    assert metadata_of(told) == ["parameters"]
    url = f"data:image/png;base64,{base64.b64encode(told).decode()}"
    html = clean_html(f'<img alt="x" src="{url}">')
    kept = base64.b64decode(html.split("base64,")[1].split('"')[0])
    assert metadata_of(kept) == []
    assert b"gpu7" not in kept
    assert Image.open(io.BytesIO(kept)).getpixel((0, 0)) == (1, 2, 3)
    plain = f"data:image/png;base64,{base64.b64encode(png((4, 5, 6))).decode()}"
    assert clean_picture(plain) == plain
    assert clean_picture("data:image/png;base64,AAAA") is None
    assert clean_picture("data:image/svg+xml;base64,AAAA") is None
    assert "src=" not in clean_html('<img src="data:image/png;base64,AAAA">')
    assert "src=" not in clean_html('<img src="https://e.example/x.png">')


def test_exif_is_seen():
    image, buffer = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = image.getexif()
    exif[0x010F] = "Camera of Ada"
    image.save(buffer, "JPEG", exif=exif)
    assert metadata_of(buffer.getvalue()) == ["exif"]


def test_a_megabyte_is_cut_and_hidden_signs_are_shown():
    assert len(clean_html("<p>" + "x" * 1_000_000)) < 450_000
    assert "cut: 980,000 more" in preformatted("x" * 1_000_000)
    assert preformatted("\x1b[31mred\x1b[0m \u202e<b>") == "<pre>red ⟨U+202E⟩&lt;b&gt;</pre>"
