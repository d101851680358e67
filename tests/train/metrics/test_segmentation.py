"""Dice and intersection over union, beside scikit-learn's F1 and Jaccard index over all pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.train import Dice, IoU

theirs = pytest.importorskip("sklearn.metrics", reason="needs the package scikit-learn")


@given(st.integers(0, 10_000))
def test_figures_are_those_of_the_pixels_of_all_images(seed):
    rng = np.random.default_rng(seed)
    logits, y = rng.normal(size=(4, 3, 5, 6)), rng.integers(0, 3, (4, 5, 6))
    answered = logits.argmax(axis=1).ravel()
    for metric, score in ((Dice, theirs.f1_score), (IoU, theirs.jaccard_score)):
        whole, one = metric(3), metric(3, only=1)
        for part in (slice(0, 1), slice(1, 4)):
            for each in (whole, one):
                each.update(logits[part], y[part])
        assert whole.compute() == pytest.approx(score(y.ravel(), answered, average="macro"))
        assert one.compute() == pytest.approx(score(y.ravel(), answered, average=None)[1])


def test_pixels_that_are_ignored_and_classes_that_do_not_occur_do_not_count():
    y = np.array([[[0, 0, 11, 11]]])
    logits = np.zeros((1, 3, 1, 4))
    logits[:, 1] = [1, -1, 1, 1]
    iou = IoU(3, ignore_index=11)
    iou.update(logits, y)
    assert iou.compute() == pytest.approx((0.5 + 0) / 2)  # class 0: one of two; class 1: answered once, wrongly


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="only is 2; expected a class, 0 to 1"):
        Dice(2, only=2)
    with pytest.raises(ValueError, match="y hold 0 to 5; expected 0 to 1"):
        Dice().update(np.ones((1, 2, 3)), np.array([[[0, 5, 0], [0, 0, 0]]]))
