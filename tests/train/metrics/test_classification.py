"""Metrics of classifiers, beside scikit-learn's and however the rows are cut into batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.train import AUROC, F1, Accuracy, ConfusionMatrix, TopK

theirs = pytest.importorskip("sklearn.metrics", reason="needs the package scikit-learn")

CLASSES = 4
seeds = st.integers(0, 10_000)


def rows(seed, count=50, classes=CLASSES, ties=False):
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, 3, (count, classes)).astype(float) if ties else rng.normal(size=(count, classes))
    return logits, rng.integers(0, classes, count)


def streamed(metric, output, y, seed=0):
    """The figure, from batches of drawn sizes."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(y), 3))
    for part, labels in zip(np.split(output, cuts), np.split(y, cuts), strict=True):
        metric.update(tg.asarray(part.tolist(), dtype="float64") if len(part) else part, labels)
    return metric.compute()


@given(seeds)
def test_figures_are_those_of_scikit_learn(seed):
    logits, y = rows(seed)
    answered = logits.argmax(axis=1)
    labels = list(range(CLASSES))
    assert streamed(Accuracy(), logits, y, seed) == pytest.approx(theirs.accuracy_score(y, answered))
    expected = theirs.confusion_matrix(y, answered, labels=labels)
    np.testing.assert_array_equal(streamed(ConfusionMatrix(CLASSES), logits, y, seed), expected)
    for average in ("macro", "micro"):
        found = streamed(F1(CLASSES, average), logits, y, seed)
        expected = theirs.f1_score(y, answered, labels=labels, average=average, zero_division=0)
        assert found == pytest.approx(expected)
    for k in (1, 2, 3):
        expected = theirs.top_k_accuracy_score(y, logits, k=k, labels=labels)
        assert streamed(TopK(k), logits, y, seed) == pytest.approx(expected)


@given(seeds, st.booleans())
def test_binary_figures_are_those_of_scikit_learn(seed, ties):
    logits, y = rows(seed, classes=2, ties=ties)
    y[:2] = (0, 1)
    scores = logits[:, 1] - logits[:, 0]
    expected = theirs.roc_auc_score(y, scores)
    assert streamed(AUROC(), scores, y, seed) == pytest.approx(expected)
    assert streamed(AUROC(), logits, y, seed) == pytest.approx(expected)
    expected = theirs.f1_score(y, logits.argmax(axis=1), zero_division=0)
    assert streamed(F1(2, "binary"), logits, y, seed) == pytest.approx(expected)
    assert streamed(Accuracy(), scores, y) == pytest.approx(theirs.accuracy_score(y, scores > 0))


def test_classes_are_axis_1_as_in_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(3, CLASSES, 5))
    y = logits.argmax(axis=1)
    accuracy = Accuracy()
    accuracy.update(logits, y)
    assert accuracy.compute() == 1


@pytest.mark.parametrize(
    ("metric", "output", "y", "message"),
    [
        (Accuracy(), np.ones((2, 3)), np.ones(3), "output has 2 rows and y has 3"),
        (Accuracy(), np.ones((2, 3, 4)), np.ones((2, 3)), "the classes as axis 1, or one logit for each y"),
        (ConfusionMatrix(2), np.ones((2, 2)), np.array([0, 2]), "y hold 0 to 2; expected 0 to 1"),
        (ConfusionMatrix(2), np.eye(3), np.array([0, 1, 1]), "answers hold 0 to 2"),
        (AUROC(), np.ones((2, 3)), np.array([0, 1]), r"expected scores \(n,\) or two logits"),
    ],
)
def test_what_does_not_fit_is_refused(metric, output, y, message):
    with pytest.raises(ValueError, match=message):
        metric.update(output, y)


def test_arguments_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="k is 0"):
        TopK(0)
    with pytest.raises(ValueError, match="classes is 1"):
        ConfusionMatrix(1)
    with pytest.raises(ValueError, match="'binary' of 2"):
        F1(3, "binary")
    area = AUROC()
    area.update([0.1, 0.2], [1, 1])
    with pytest.raises(ValueError, match="2 positives and 0 negatives; it needs both"):
        area.compute()
