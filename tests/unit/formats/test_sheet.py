"""Pictures of all leads for the map: where each pixel is, in which color, and what is no image of reflectivity."""

from __future__ import annotations

import io
import math
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dynamo.errors import InputError
from dynamo.formats.png import colour_table, encode_indexed, encode_reflectivity
from dynamo.formats.sheet import MOST_PIXELS, Cells, Sheet, Table, legend, make_sheet, read_cells
from dynamo.radar.mercator import LIMIT_DEG

DALLAS = (-98.0, 32.0, -96.0, 34.0)


def _published(field: NDArray[np.float32], bounds: tuple[float, ...] = DALLAS, side: int = 5) -> bytes:
    texts = {"bounds": ",".join(f"{edge:.6f}" for edge in bounds)}
    return encode_reflectivity(field, pixels_per_cell=side, smoothing_passes=0, texts=texts)


def _field(rows: int = 8, columns: int = 10) -> NDArray[np.float32]:
    return np.full((rows, columns), -10.0, dtype=np.float32)


def _pixels(sheet: Sheet) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(sheet.png)) as image:
        return np.asarray(image.convert("RGBA"))


def test_a_published_image_gives_back_its_cells() -> None:
    field = _field()
    field[0, 3] = 45.0
    field[7, 9] = 62.5
    cells = read_cells(_published(field), "a.png")
    assert cells.bounds == DALLAS
    # The northern row is the first one.
    assert cells.values.shape == field.shape
    assert (cells.values[7, 3], cells.values[0, 9], int(cells.values.sum())) == (90, 125, 215)


@pytest.mark.parametrize(("table", "shade"), [("nws", (253, 149, 0)), ("cividis", None)])
def test_each_lead_is_a_tile_with_the_color_of_its_value(table: Table, shade: tuple[int, int, int] | None) -> None:
    leads = []
    for lead in range(5):
        field = _field()
        field[4, lead] = 47.0
        leads.append(read_cells(_published(field), "a.png"))
    made = make_sheet(leads, table)
    assert (made.columns, made.rows, made.width, made.height) == (3, 2, 10, 8)
    pixels = _pixels(made)
    assert pixels.shape == (16, 30, 4)
    colors = dict(legend(table))
    expected = colors[45.0]
    for lead in range(5):
        tile = pixels[lead // 3 * 8 :, lead % 3 * 10 :][:8, :10]
        ((_, column),) = np.argwhere(tile[..., 3])
        assert column == lead
        told = tile[tile[..., 3] > 0][0, :3]
        assert f"#{bytes(told).hex()}" == expected
        assert shade is None or tuple(told) == shade


def test_color_blind_safe_colors_grow_lighter_with_reflectivity() -> None:
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for _, (r, g, b) in _rgb("cividis")]
    assert light == sorted(light)
    assert [dbz for dbz, _ in legend("cividis")] == [5 + 2.5 * step for step in range(29)]


def _rgb(table: Table) -> list[tuple[float, bytes]]:
    return [(dbz, bytes.fromhex(shade[1:])) for dbz, shade in legend(table)]


def test_rows_are_where_the_map_has_their_latitude() -> None:
    """A mark at 60 degrees stands where Web Mercator has it, not halfway from the equator to 85."""
    field = _field(rows=850, columns=4)
    field[600:602, :] = 50.0
    made = make_sheet([read_cells(_published(field, (0.0, 0.0, 4.0, 85.0), side=1), "a.png")], "nws")
    marked = np.flatnonzero(_pixels(made)[..., 3].any(axis=1)).mean() + 0.5
    part = math.asinh(math.tan(math.radians(60.1))) / math.asinh(math.tan(math.radians(85.0)))
    assert marked == pytest.approx(made.height * (1 - part), abs=1.0)


def test_poles_are_left_out() -> None:
    field = _field(rows=180, columns=360)
    field[-3:, 1:] = 50.0
    made = make_sheet([read_cells(_published(field, (-180.0, -90.0, 180.0, 90.0), side=1), "a.png")], "nws")
    assert made.bounds == (-180.0, -LIMIT_DEG, 180.0, LIMIT_DEG)
    assert made.height == 170
    assert not _pixels(made)[..., 3].any()


def test_grids_across_the_date_line_go_on_beyond_180_degrees() -> None:
    field = _field()
    field[:, 0] = 50.0
    made = make_sheet([read_cells(_published(field, (178.0, -20.0, 183.0, -16.0)), "a.png")], "nws")
    assert made.bounds == (178.0, -20.0, 183.0, -16.0)
    assert _pixels(made)[:, 0, 3].all()


def test_large_grids_are_thinned_to_their_maxima() -> None:
    field = _field(rows=2 * MOST_PIXELS + 10, columns=400)
    field[1001, 301] = 70.0
    made = make_sheet([read_cells(_published(field, side=1), "a.png")], "nws")
    assert max(made.width, made.height) <= MOST_PIXELS
    assert _pixels(made)[..., 3].sum() > 0


def test_an_image_without_echo_is_a_tile_like_the_others() -> None:
    field = _field()
    clear = read_cells(_published(field), "a.png")
    field[2, 2] = 30.0
    made = make_sheet([clear, read_cells(_published(field), "a.png")], "nws")
    assert (made.width, made.height) == (10, 8)
    assert np.count_nonzero(_pixels(made)[..., 3]) == 1
    # And all of them may be clear.
    assert make_sheet([clear], "nws").png


def _other_palette() -> bytes:
    texts = {"bounds": "0,0,1,1"}
    return encode_indexed(np.ones((4, 4), np.uint8), colour_table()[::-1].copy(), texts=texts)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg onload=alert(1)>",
        _published(_field())[:80],
        _published(_field(), bounds=(1.0, 2.0)),
        _published(_field(), bounds=(math.nan, 0.0, 1.0, 1.0)),
        _published(_field(), bounds=(10.0, 0.0, 1.0, 1.0)),
        _published(_field(), bounds=(0.0, 89.0, 1.0, 90.0)),
        encode_indexed(np.ones((4, 4), np.uint8), colour_table()),
        _other_palette(),
    ],
)
def test_what_is_no_image_of_reflectivity_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="cannot be shown"):
        read_cells(content, "a.png")


def test_an_image_that_claims_to_be_huge_is_not_read() -> None:
    content = bytearray(_published(_field()))
    content[16:24] = (9_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    with pytest.raises(InputError, match="too large"):
        read_cells(bytes(content), "a.png")


def test_leads_of_different_grids_make_no_picture() -> None:
    cells = read_cells(_published(_field()), "a.png")
    with pytest.raises(InputError, match="one grid"):
        make_sheet([cells, Cells(cells.values, (0.0, 0.0, 1.0, 1.0))], "nws")
