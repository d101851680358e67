"""The pictures: that they are drawn, and what is in them."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.train import figures

pytest.importorskip("matplotlib", reason="needs the package matplotlib, of the extra `train`")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, by the name of their file."""
    found = {}
    save = figures.save_figure

    def note(figure, path):
        found[path.name] = figure
        save(figure, path)

    monkeypatch.setattr(figures, "save_figure", note)
    return found


def texts(axes):
    return [each.get_text() for each in axes.texts]


HISTORY = [
    {"epoch": 1, "train_loss": 2.0, "test_loss": 2.5, "test_accuracy": 0.8},
    {"epoch": 2, "train_loss": 0.05, "test_loss": 1.0, "test_accuracy": 0.9},
]


def test_curves_have_a_panel_each_with_units_and_the_baselines_drawn_in(tmp_path, drawn):
    baselines = {
        "logistic regression": {"test_accuracy": 0.85},
        "majority class": {"test_accuracy": 0.1},
        "other": {"height": 3.0},
    }
    panels = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}
    figures.curves(tmp_path / "loss.png", HISTORY, panels, baselines, "a title")
    loss, accuracy = drawn["loss.png"].axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("cross-entropy (nats)", "accuracy (%)")
    assert loss.get_yscale() == "log"
    assert [list(line.get_ydata()) for line in loss.lines] == [[2.0, 0.05], [2.5, 1.0]]
    assert [line.get_label() for line in accuracy.lines] == [
        "test",
        "logistic regression, test",
        "majority class, test: 10, off the picture",
    ]
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [80, 90])
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_confusion_matrix_writes_every_count(tmp_path, drawn):
    figures.confusion_matrix(tmp_path / "c.png", np.array([[50, 2], [0, 1200]]), ("no", "yes"), "title")
    axes = drawn["c.png"].axes[0]
    assert texts(axes) == ["50", "2", "1,200"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "true")


@pytest.mark.parametrize("shape", [(5, 1, 4, 4), (5, 3, 4, 4), (5, 4, 4)])
def test_a_sheet_shows_every_image_with_its_line(tmp_path, drawn, shape):
    images = np.linspace(0, 0.5, 5).reshape((5,) + (1,) * (len(shape) - 1)) * np.ones(shape)
    figures.sample_sheet(tmp_path / "s.png", tg.asarray(images.tolist()), list("abcde"), "title", columns=3)
    (axes,) = drawn["s.png"].axes
    sheet = np.asarray(axes.images[0].get_array())
    assert texts(axes) == ["a", "b", "c", "d", "e"]
    across, down = [], []
    for place, text in enumerate(axes.texts):
        x, y = (int(each) for each in text.get_position())  # under the image, which stands above it
        np.testing.assert_allclose(sheet[y - 10, x], images[place].ravel()[0], atol=1e-6)
        np.testing.assert_allclose(sheet[y, x], 1.0)
        across.append(x)
        down.append(y)
    assert across[0] == across[3] < across[1] == across[4] < across[2]
    assert down[0] == down[1] == down[2] < down[3] == down[4]


def test_black_and_white_are_each_image_s_own_where_no_range_is_given(tmp_path, drawn):
    images = np.array([[[5.0, 7.0]], [[-1.0, 1.0]], [[3.0, 3.0]]])
    figures.sample_sheet(tmp_path / "s.png", images, value_range=None)
    sheet = np.asarray(drawn["s.png"].axes[0].images[0].get_array())[0].squeeze()
    found = [sheet[64 * place + 4 * place + 16 :][[0, 32]].tolist() for place in range(3)]
    assert found == [[0, 1], [0, 1], [0, 0]]


def test_a_title_is_no_wider_than_a_sheet_of_two_images(tmp_path, drawn):
    figures.sample_sheet(tmp_path / "s.png", tg.ones((2, 4, 4)), None, "most confident mistakes of a model on a set")
    figure = drawn["s.png"]
    extent = figure._suptitle.get_window_extent(
        pytest.importorskip("matplotlib.backends.backend_agg").FigureCanvasAgg(figure).get_renderer()
    )
    assert 0 < extent.x0 < extent.x1 < figure.bbox.width


def test_mistakes_on_normalised_pixels_keep_their_greys(tmp_path, drawn):
    images = np.full((2, 2, 2), -0.4)
    images[1, 0, 0] = 2.8
    figures.mistakes(tmp_path / "m.png", images, np.array([[0.9, 0.1]] * 2), np.array([1, 1]), "ab", "title")
    sheet = np.asarray(drawn["m.png"].axes[0].images[0].get_array())
    # Two images of 64 with a gap of 4: both from -0.4, black, to 2.8, white, which the second has in its first corner.
    assert [sheet[5, 5], sheet[5, 66], sheet[5, 73], sheet[5, 120]] == [0, 1, 1, 0]


def test_five_baselines_have_five_kinds_of_line(tmp_path, drawn):
    baselines = {name: {"test_loss": 1.0 + place} for place, name in enumerate("abcde")}
    rows = [{"epoch": 1, "test_loss": 1.0}, {"epoch": 2, "test_loss": 5.0}]
    figures.curves(tmp_path / "c.png", rows, {"loss": "nats"}, baselines)
    assert len({str(line._dash_pattern) for line in drawn["c.png"].axes[0].lines[1:]}) == 5


def test_a_long_legend_stands_below_its_panel(tmp_path, drawn):
    rows = [
        {"epoch": 1, "test_loss": 0.4, "test_accuracy": 0.97},
        {"epoch": 2, "test_loss": 0.05, "test_accuracy": 0.99},
    ]
    baselines = {name: {"test_accuracy": 0.1} for name in ("majority class", "logistic regression", "3 neighbours")}
    panels = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (%)"}
    figures.curves(tmp_path / "c.png", rows, panels, baselines, "title")
    _, accuracy = drawn["c.png"].axes
    legend = accuracy.get_legend().get_window_extent()
    assert 0 <= legend.y0 < legend.y1 < accuracy.get_window_extent().y0


def test_mistakes_come_with_the_most_confident_first(tmp_path, drawn):
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.99, 0.01]])
    figures.mistakes(tmp_path / "m.png", np.ones((4, 2, 2)), probabilities, np.array([1, 1, 1, 0]), "ab", "title")
    assert texts(drawn["m.png"].axes[0]) == ["a: 90%\ntruly b", "a: 60%\ntruly b"]
    figures.mistakes(tmp_path / "none.png", np.ones((1, 2, 2)), np.array([[1.0, 0.0]]), np.array([0]), "ab", "title")
    assert not (tmp_path / "none.png").exists()


def test_a_boundary_is_drawn_over_the_points(tmp_path, drawn):
    x = np.array([[-1.0, 0.0], [1.0, 0.0], [2.0, 1.0]])
    figures.decision_boundary(
        tmp_path / "b.png",
        lambda points: tg.sigmoid(tg.asarray(points)[:, 0]),
        x,
        [0, 1, 1],
        ("left", "right"),
        "title",
    )
    axes = drawn["b.png"].axes[0]
    assert [each.get_text() for each in axes.get_legend().get_texts()] == ["left", "right"]


def test_an_animation_has_its_pictures_in_turn(tmp_path):
    from PIL import Image

    pictures = [np.full((3, 4, 3), shade) for shade in (0.0, 0.5, 2.0)]
    figures.animation(tmp_path / "turn.gif", [*pictures[:2], tg.asarray(pictures[2])], seconds=0.6)
    with Image.open(tmp_path / "turn.gif") as found:
        assert (found.size, found.n_frames, found.info["duration"], found.info["loop"]) == ((8, 6), 3, 200, 0)
        shades = []
        for place in range(3):
            found.seek(place)
            shades.append(found.convert("RGB").getpixel((5, 5))[0])
    assert shades == [0, 128, 255]
