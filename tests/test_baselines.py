"""Laws: clouds and order play no part; enlarging is what torch calls bicubic."""

from datetime import date

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from sitsr.baselines import (
    bicubic,
    median,
    median_bicubic,
    nearest,
    nearest_bicubic,
    weighted,
    weighted_bicubic,
)
from sitsr.series import InputError, Series

T, C, H, W = 5, 3, 6, 9
DATES = tuple(date(2021, 7, day) for day in (1, 5, 11, 14, 30))


@pytest.fixture
def series():
    chance = np.random.default_rng(5)
    images = chance.uniform(0, 0.5, (T, C, H, W)).astype(np.float32)
    clear = chance.uniform(size=(T, H, W)) < 0.6
    clear[:, 2, 3], clear[:, 4, 5] = False, True
    grid = GeoBox((H, W), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632")
    return Series(images, clear, DATES, ("B02", "B03", "B04"), grid, DATES_AS_SOURCES)


DATES_AS_SOURCES = tuple(map(str, DATES))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("shape", [(H, W), (2, 3), (1, 4)])
def test_enlarging_is_what_torch_does(scale, shape):
    functional = pytest.importorskip("torch.nn.functional")
    from torch import from_numpy

    image = np.random.default_rng(1).uniform(0, 1, (C, *shape)).astype(np.float32)
    tensors = functional.interpolate(
        from_numpy(image)[None], scale_factor=scale, mode="bicubic", align_corners=False
    )
    ours = bicubic(image, scale)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, tensors[0].numpy(), atol=1e-5)


def test_every_pixel_is_of_its_nearest_clear_date(series):
    target = date(2021, 7, 12)
    image = nearest(series, target)
    for row, col in np.ndindex(H, W):
        clear = [t for t in range(T) if series.clear[t, row, col]]
        if clear:
            closest = min(clear, key=lambda t: abs((DATES[t] - target).days))
            np.testing.assert_array_equal(image[:, row, col], series.images[closest, :, row, col])


def test_of_two_dates_as_near_the_earlier_is_taken(series):
    np.testing.assert_array_equal(
        nearest(series, date(2021, 7, 3))[:, 4, 5], series.images[0, :, 4, 5]
    )


def test_the_median_is_over_clear_dates(series):
    image = median(series)
    for row, col in np.ndindex(H, W):
        clear = series.clear[:, row, col]
        if clear.any():
            expected = np.median(series.images[clear, :, row, col], axis=0)
            np.testing.assert_allclose(image[:, row, col], expected, atol=1e-7)


@pytest.mark.parametrize("system", [nearest_bicubic, median_bicubic, weighted_bicubic])
def test_what_lies_under_cloud_does_not_matter(system, series):
    target = date(2021, 7, 9)
    images = np.where(series.clear[:, None], series.images, np.float32(9))
    painted = Series(
        images, series.clear, series.dates, series.bands, series.grid, DATES_AS_SOURCES
    )
    estimate = system(series, target, 4)
    assert estimate.shape == (C, 4 * H, 4 * W)
    np.testing.assert_array_equal(system(painted, target, 4), estimate)


@pytest.mark.parametrize("image", [lambda s: nearest(s, DATES[1]), median])
def test_a_pixel_never_clear_is_like_one_beside_it(image, series):
    made = image(series)
    beside = [(2, 2), (2, 4), (1, 3), (3, 3)]
    assert any(np.array_equal(made[:, 2, 3], made[:, row, col]) for row, col in beside)


def test_a_series_without_a_clear_pixel_is_refused(series):
    dark = Series(
        series.images,
        np.zeros_like(series.clear),
        DATES,
        series.bands,
        series.grid,
        DATES_AS_SOURCES,
    )
    for system in (nearest_bicubic, median_bicubic):
        with pytest.raises(InputError, match="no pixel is clear on any of 5 dates"):
            system(dark, DATES[0], 4)


@pytest.mark.parametrize("a_year", [7.0, 73.0])
def test_weights_are_inverse_squares_of_days_and_of_days_in_the_year(series, a_year):
    """The formula of encoders.nearness, written out for two dates of two years."""
    dates = (date(2020, 7, 1), date(2021, 6, 1))
    clear = np.ones((2, H, W), bool)
    two = Series(series.images[:2], clear, dates, series.bands, series.grid, ("a", "b"))
    weights = []
    for away, season in ((365, 365 - 365.25), (30, 30)):  # from 1 July 2021
        years = a_year * away / 365.25
        weights.append((1 + away) ** -2.0 + (1 + abs(season) + years) ** -2.0)
    wanted = np.average(two.images, axis=0, weights=weights)
    np.testing.assert_allclose(weighted(two, date(2021, 7, 1), a_year), wanted, rtol=1e-5)
