"""The convolutional networks of the papers, as specs for `BatchNetwork`.

Optimisers and epochs are arguments of `fit`; ``**options`` are those of `ConvolutionalSpec.of`.
"""

from __future__ import annotations

from typing import Any

from rate_models.batch.convolution import Convolution, ConvolutionalSpec, Image


def pepita_cnn(image: Image = (1, 28, 28), classes: int = 10, **options: Any) -> ConvolutionalSpec:
    """32 filters of 5 x 5, max-pooling 2 x 2, one dense layer; no bias, no dropout.

    Settings: batches of 100, momentum 0.9, rate 0.1 (times 0.1 at epochs 10, 30, 50), 0.01 for
    DRTP and, on CIFAR, for BP and FA; PEPITA with ``conv_norm="mean"``; DRTP with
    ``activation="tanh", loss="binary_cross_entropy"``. The paper has He's uniform weights, the
    released program PyTorch's (``init="torch_uniform"``), with which a rate of 0.1 is stable.

    Source: Dellaferrera & Kreiman, ICML 2022, section 3.3 and table 2.

    >>> pepita_cnn((3, 32, 32)).shapes
    [(32, 3, 5, 5), (10, 6272)]
    """
    return ConvolutionalSpec.of(image, (Convolution(32, 5, pool=2), classes), **options)


def lansdell_cnn(
    image: Image = (3, 32, 32), classes: int = 10, **options: Any
) -> ConvolutionalSpec:
    """Three convolutions with overlapping pooling, two dense layers of 2048, the output; biases.

    Settings: rule node_perturbation with ``feedback="dfa", dropout=0.5``, Adam, batches of 128.
    The released program has tanh units, 96 filters of 5 x 5 in the first layer, c = 0.067, rates
    4.78e-6 of Adam (ε = 1e-5) and eta_b = 8.32e-6, biases that start at 0.1 and W ~ U(±1/√fan-in).
    Here biases start at 0, and W is drawn by the rule's ``init``. The noise changes the
    cross-entropy; in the program it changes ½‖h_L - y‖². Dropout is inverted and applies to the
    dense layers.

    Source: Lansdell, Prakash & Kording, ICLR 2020, appendix C.4.

    >>> lansdell_cnn().sizes
    (3072, 8192, 8192, 4096, 2048, 2048, 10)
    """
    layers = (
        Convolution(32, 3, padding=1, pool=3, step=2),
        Convolution(128, 5, padding=2, pool=3, step=2),
        Convolution(256, 5, padding=2, pool=3, step=2),
        2048,
        2048,
        classes,
    )
    options = {"activation": "tanh", "bias": True, "units": "pooled", **options}
    return ConvolutionalSpec.of(image, layers, **options)
